#include "item/documents.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/rng.h"
#include "item/gen.h"
#include "item/json.h"

using namespace moveout;
using namespace moveout::item;
using base::ErrorKind;
using base::Result;

namespace {

const KeySchema kSchema{{"pk", KeyType::S}, KeyAttribute{"sk", KeyType::N}};

struct Read {
  std::vector<std::string> items;
  std::vector<std::uint64_t> offsets;  // of each item's first byte
  std::vector<DocumentPlace> places;   // behind each page
  DocumentPlace end;
  Result<> result;
};

// In pieces and pages of chance.
Read read(std::string_view text, base::Rng& rng, DocumentPlace from = {}, std::size_t piece_max = 40) {
  Read all;
  DocumentReader reader(from);
  const std::string_view whole = text;
  const auto take = [&] {
    const DocumentPage page = reader.take();
    for (std::size_t i = 0; i < page.items.size(); ++i) {
      const std::string item(page[i]);
      all.items.push_back(item);
      all.places.push_back(page.places[i]);
      all.offsets.push_back(page.offset_of(page.items[i].from));
      for (std::size_t at = 0; at < item.size(); ++at) {
        CHECK(whole[page.offset_of(page.items[i].from + at)] == item[at]);
      }
    }
    all.places.push_back(page.after);
  };
  for (std::size_t at = from.offset; at < text.size() && all.result;) {
    const std::size_t size = std::min<std::size_t>(text.size() - at, 1 + rng.below(piece_max));
    // A copy of its own, so that a read beyond its end is seen.
    const std::string piece(text.substr(at, size));
    all.result = reader.feed(piece);
    at += size;
    if (rng.chance(3)) take();
  }
  if (all.result) all.result = reader.finish();
  take();
  all.end = reader.place();
  return all;
}

Read read(std::string_view text) {
  base::Rng rng(1);
  return read(text, rng);
}

using Texts = std::vector<std::string>;

std::string space(base::Rng& rng) {
  std::string out;
  while (rng.chance(3)) out += " \n\r\t"[rng.below(4)];
  return out;
}

// Items, each bare or wrapped.
std::string spelled(base::Rng& rng, const Item& item) {
  const std::string text = rng.chance(2) ? to_json(item) : random_json(rng, item);
  if (rng.chance(2)) return text;
  return "{" + space(rng) + "\"Item\"" + space(rng) + ":" + space(rng) + text + space(rng) + "}";
}

std::string listed(base::Rng& rng, const std::vector<Item>& items) {
  std::string out = "[" + space(rng);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += "," + space(rng);
    out += spelled(rng, items[i]) + space(rng);
  }
  return out + "]";
}

std::string document(base::Rng& rng, const std::vector<Item>& items) {
  std::vector<std::string> members{"\"Items\":" + space(rng) + listed(rng, items)};
  if (rng.chance(2)) members.push_back("\"Count\" : " + std::to_string(items.size()));
  if (rng.chance(2)) members.push_back("\"ScannedCount\":" + std::to_string(items.size() + rng.below(3)));
  if (rng.chance(2)) members.push_back(R"("ConsumedCapacity":{"TableName":"t","CapacityUnits":1.5,"Items":["x"]})");
  if (rng.chance(2)) members.push_back(R"("ConsumedCapacity" :null)");
  if (rng.chance(2)) members.push_back(R"("LastEvaluatedKey": {"pk":{"S":"a\"]}"}})");
  if (rng.chance(2)) members.push_back(R"("Other":[[],{},"Items",-1.5e3,true,{"Count":7}])");
  rng.shuffle(members);
  std::string out = "{" + space(rng);
  for (std::size_t i = 0; i < members.size(); ++i) out += (i > 0 ? "," : "") + space(rng) + members[i];
  return out + space(rng) + "}";
}

}  // namespace

TEST_CASE("items come out of every shape, in order, whatever the pieces, and reading goes on from every place") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    base::Rng rng(seed);
    std::vector<Item> wanted;
    std::string text = rng.chance(4) ? "\xEF\xBB\xBF" : "";
    for (std::uint64_t block = rng.below(5); block > 0; --block) {
      std::vector<Item> items;
      for (std::uint64_t n = rng.below(4); n > 0; --n) items.push_back(random_item(rng, kSchema));
      wanted.insert(wanted.end(), items.begin(), items.end());
      text += space(rng);
      if (rng.chance(3)) {
        for (const Item& item : items) text += spelled(rng, item) + space(rng);
      } else if (rng.chance(2)) {
        text += listed(rng, items);
      } else {
        text += document(rng, items);
      }
    }
    text += space(rng);
    const Read all = read(text, rng);
    REQUIRE(all.result);
    REQUIRE(all.items.size() == wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) CHECK(parse_item(all.items[i]).value() == wanted[i]);
    CHECK(all.end.offset == text.size());
    CHECK(all.end.items == wanted.size());
    for (const DocumentPlace& place : all.places) {
      const Result<DocumentPlace> kept = DocumentPlace::parse(place.to_text());
      REQUIRE(kept);
      REQUIRE(*kept == place);
      const Read rest = read(text, rng, *kept);
      REQUIRE(rest.result);
      CHECK(rest.items == Texts(all.items.begin() + static_cast<std::ptrdiff_t>(place.items), all.items.end()));
      CHECK(rest.end == all.end);
    }
  }
}

// As `aws dynamodb scan` of Debian's awscli 2.9 writes it.
TEST_CASE("the document of the AWS CLI") {
  const Read all = read(R"({
    "Items": [
        {
            "id": {
                "S": "a b"
            }
        },
        {
            "id": {
                "S": "ü"
            },
            "n": {
                "N": "1"
            }
        }
    ],
    "Count": 2,
    "ScannedCount": 2,
    "ConsumedCapacity": null
}
)");
  REQUIRE(all.result);
  CHECK(all.items == Texts{R"({"id":{"S":"a b"}})", R"({"id":{"S":"ü"},"n":{"N":"1"}})"});
  CHECK(!all.end.more);
}

TEST_CASE("an attribute called Item or Items is not taken for what stands around items") {
  const auto one = [](const std::string& text) {
    const Read all = read(text);
    CAPTURE(text);
    REQUIRE(all.result);
    REQUIRE(all.items.size() == 1);
    return all.items[0];
  };
  CHECK(one(R"({"Item":{"S":"x"}})") == R"({"Item":{"S":"x"}})");
  CHECK(one(R"({"Item":{"Item":{"S":"x"}}})") == R"({"Item":{"S":"x"}})");
  CHECK(one(R"({"Item":{"L":[]},"id":{"S":"x"}})") == R"({"Item":{"L":[]},"id":{"S":"x"}})");
  CHECK(one(R"({"Items":{"L":[]},"id":{"S":"x"}})") == R"({"Items":{"L":[]},"id":{"S":"x"}})");
  CHECK(one(R"({"Items":[{"Items":{"L":[]},"id":{"S":"x"}}]})") == R"({"Items":{"L":[]},"id":{"S":"x"}})");
  // Something is wrong with the item, not with what stands around it.
  CHECK(one(R"({"Item":{"id":{"S":"x"},"bad":5}})") == R"({"id":{"S":"x"},"bad":5})");
  CHECK(one(R"({"Items":[{"id":{"S":"x"},"bad":5}]})") == R"({"id":{"S":"x"},"bad":5})");
}

TEST_CASE("a broken text names the byte, the item and what was expected, and the items before it stand") {
  const auto wrong = [](const std::string& text, const std::string& what, std::size_t items) {
    CAPTURE(text);
    const Read all = read(text);
    REQUIRE(!all.result);
    CHECK(all.result.error().kind == ErrorKind::Corrupt);
    CHECK(all.result.error().what == what);
    CHECK(all.items.size() == items);
    CHECK(all.end.items == items);
    CHECK(all.end == all.places.back());
  };
  const std::string a = R"({"id":{"S":"a"}})";  // 16 bytes
  wrong(a + "\n{\"Item\":{\"id\":{\"S\":\"b", "item 2: expected the end of a string at byte 38, where the text ends",
        1);
  wrong(a + "\n{\"id\":{\"S\":\"b\n" + a, "item 2: expected no raw control character in a string at byte 30", 1);
  wrong(a + "\n{\"id\":{\"S\":\"b\"}\n" + a, "item 2: expected a comma or the end of an object at byte 33", 1);
  wrong("[" + a + " " + a + "]", "item 2: expected a comma or the end of an array at byte 18", 1);
  wrong("[" + a + ",]", "item 2: expected an item at byte 18", 1);
  wrong("[" + a + ",7]", "item 2: expected an item at byte 18", 1);
  wrong(a + "," + a, "item 2: expected an item, or a document with Items at byte 16", 1);
  wrong(a + "\nError: throttled", "item 2: expected an item, or a document with Items at byte 17", 1);
  wrong("{\"Items\":[" + a + "],\"Count\":3}", "item 2: expected as many items as Count says at byte 37", 1);
  wrong("{\"Count\":1,\"Items\":[" + a + "]",
        "item 2: expected a comma or the end of an object at byte 37, where the text ends", 1);
  wrong("{\"Items\":[],\"Items\":[]}", "item 1: expected each member of the document once at byte 20", 0);
  wrong("{\"Items\":null}", "item 1: expected an array of items at byte 9", 0);
  wrong(R"({"id":"a","n":1})", "item 1: expected an item of DynamoDB JSON, or a document with Items at byte 15", 0);
  wrong(R"({"id":{"S":"a"]})", "item 1: expected a comma or the end of an object at byte 14", 0);
  wrong("{}", "item 1: expected an item, or a document with Items at byte 1", 0);
  wrong("\xFF\xFE{", "item 1: expected UTF-8 (it may be UTF-16, as some shells write) at byte 0", 0);
  wrong(std::string("\0", 1), "item 1: expected an item, or a document with Items at byte 0", 0);
  wrong("{\"a\":{\"L\":" + std::string(200, '['), "item 1: expected at most 128 levels at byte 144", 0);
  wrong("{\"a\\\n\":1}", "item 1: expected an escape of JSON at byte 4", 0);
}

// With --max-items the CLI cuts Items, leaves Count and says NextToken.
TEST_CASE("a document that says its scan went on may have fewer items than Count, and is told apart") {
  const Read cut = read(R"({"Items":[{"id":{"S":"a"}}],"Count":100,"ScannedCount":100,"NextToken":"e"})");
  CHECK(cut.result);
  CHECK(cut.items.size() == 1);
  CHECK(cut.end.more);
  // One page of several in a file: what the last one says counts.
  CHECK(!read(R"({"Items":[],"LastEvaluatedKey":{"id":{"S":"a"}}}{"Items":[],"NextToken":null})").end.more);
}

TEST_CASE("nothing, white space and empty documents hold no items") {
  for (const char* text : {"", " \n\t\r ", "[]", "[] []", R"({"Items":[],"Count":0})", R"([{"Items":[]}])"}) {
    CAPTURE(text);
    const Read all = read(text);
    CHECK(all.result);
    CHECK(all.items.empty());
  }
}

TEST_CASE("an item without an end does not fill the memory") {
  DocumentReader reader;
  const std::string piece(1 << 20, 'x');
  REQUIRE(reader.feed("{\"a\":{\"S\":\""));
  Result<> fed;
  for (int i = 0; i < 20 && fed; ++i) fed = reader.feed(piece);
  REQUIRE(!fed);
  CHECK(fed.error().what == "item 1, which begins at byte 0: expected at most 16 MiB of text");
}

TEST_CASE("a place that nobody wrote is refused") {
  for (const char* text : {"", "1", "1 1 n 0 - 2", "1 1 x 0 - 0", "1 1 n 0 x 0", "1 1 nn 0 - 0", "1 1 n 0 - 0 "}) {
    CAPTURE(text);
    CHECK(!DocumentPlace::parse(text));
  }
}
