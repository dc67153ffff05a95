#include "item/slice.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/rng.h"
#include "item/gen.h"
#include "item/json.h"

namespace moveout::item {
namespace {

const KeySchema kSchema{{"pk", KeyType::S}, KeyAttribute{"sk", KeyType::N}};

std::string error_of(std::string_view body) {
  Page page;
  page.items.push_back("left over");
  const auto sliced = slice_page(body, kSchema, page);
  if (sliced) return "";
  CHECK(sliced.error().kind == base::ErrorKind::Corrupt);
  CHECK(page.items.empty());
  CHECK(page.last_evaluated_key.empty());
  return sliced.error().what;
}

TEST_CASE("a page is cut into its items' own text, their keys, and the rest of the answer") {
  const std::string first = R"({"pk":{"S":"a}"},"v":{"S":"\"{[\\"},"sk":{"N":"1.0"}})";
  const std::string second = R"({ "sk" : {"N":"2"} , "m" : {"M":{"pk":{"S":"no"}}} , "pk" : {"S":"b"} })";
  const std::string last = R"({"pk":{"S":"b"},"sk":{"N":"2"}})";
  const std::string body =
      R"({"Count":2,"Items":[)" + first + " , " + second + R"(],"LastEvaluatedKey": )" + last +
      R"( ,"ConsumedCapacity":{"TableName":"T","CapacityUnits":128.5},"Odd":[1,{"a":null}],"ScannedCount":7})";
  Page page;
  REQUIRE(slice_page(body, kSchema, page).has_value());
  CHECK(page.items == std::vector<std::string_view>{first, second});
  CHECK(page.key(0) == key_of_json(kSchema, first)->encoded());
  CHECK(page.key(1) == key_of_json(kSchema, second)->encoded());
  CHECK(page.last_evaluated_key == last);
  CHECK(page.consumed_capacity == 128.5);
  CHECK(page.count == 2);
  CHECK(page.scanned_count == 7);
  REQUIRE(page.others.size() == 1);
  CHECK(page.others[0].name == "Odd");
  CHECK(page.others[0].text == R"([1,{"a":null}])");

  // Used again, nothing of the first page is left.
  REQUIRE(slice_page(R"({"Items":[],"Count":0,"ScannedCount":0})", kSchema, page).has_value());
  CHECK(page.items.empty());
  CHECK(page.last_evaluated_key.empty());
  CHECK(page.consumed_capacity == 0);
  CHECK(page.scanned_count == 0);
  CHECK(page.others.empty());
}

TEST_CASE("a page without a schema is cut the same, and items need no key") {
  Page page;
  REQUIRE(slice_page(R"({"Items":[{},{"a":{"BOOL":true}}]})", page).has_value());
  CHECK(page.items == std::vector<std::string_view>{"{}", R"({"a":{"BOOL":true}})"});
}

TEST_CASE("an array of items is cut like a page's") {
  Page page;
  REQUIRE(slice_items(R"( [{"pk":{"S":"a"},"sk":{"N":"1"}}] )", kSchema, page).has_value());
  CHECK(page.items.size() == 1);
  CHECK(page.key(0) == key_of_json(kSchema, page.items[0])->encoded());
  CHECK_FALSE(slice_items(R"([{"pk":{"S":"a"},"sk":{"N":"1"}}]])", kSchema, page).has_value());
  CHECK_FALSE(slice_items("{}", kSchema, page).has_value());
}

TEST_CASE("an answer that is not a whole page is never taken for an empty or a last one") {
  for (const std::string body : {"",
                                 "{}",
                                 "[]",
                                 "null",
                                 R"({"Count":0})",
                                 R"({"message":"x"})",
                                 R"({"Items":{}})",
                                 R"({"Items":null})",
                                 R"({"Items":[]} x)",
                                 R"({"Items":[],"Items":[]})",
                                 R"({"Items":[],"Count":1})",
                                 R"({"Items":[],"Count":"0"})",
                                 R"({"Items":[],"Count":0.5})",
                                 R"({"Items":[],"Count":0,"Count":0})",
                                 R"({"Items":[],"LastEvaluatedKey":{}})",
                                 R"({"Items":[],"LastEvaluatedKey":"x"})",
                                 R"({"Items":[],"LastEvaluatedKey":{"pk":"x"}})",
                                 R"({"Items":[],"LastEvaluatedKey":null,"LastEvaluatedKey":{"pk":{"S":"a"}}})",
                                 R"({"Items":[],"ConsumedCapacity":1})",
                                 R"({"Items":[],"ConsumedCapacity":{"CapacityUnits":"1"}})",
                                 R"({"Items":[],"x":01})",
                                 R"({"Items":[],"x":tru})",
                                 R"({"Items":[],"x":1.})",
                                 R"({"Items":[],"x":-})",
                                 R"({"Items":[],"x":1e})",
                                 R"({"Items":[],"x":})",
                                 R"({"Items":[null]})",
                                 R"({"Items":[[]]})",
                                 R"({"Items":[{"pk":{"S":"a"},"sk":{"N":"1"}},]})"}) {
    CAPTURE(body);
    CHECK(error_of(body) != "");
  }
  CHECK(error_of("{\"Items\":[],\"x\":\"\xFF\"}") == "a malformed page: expected UTF-8 at byte 17");
  CHECK(error_of(R"({"Items":[],"LastEvaluatedKey":null,"ConsumedCapacity":null,"x":-1.5e-3})") == "");
}

TEST_CASE("a broken item breaks its page, and the error says where") {
  CHECK(error_of(R"({"Items":[{"pk":{"S":"a"},"sk":{"N":"x"}}]})") ==
        "a malformed page: expected a number of DynamoDB in the key at byte 36");
  for (const std::string item :
       {R"({"pk":{"S":"a"}})", R"({"pk":{"S":"a"},"sk":{"S":"1"}})", R"({"pk":{"S":""},"sk":{"N":"1"}})",
        R"({"pk":{"S":"a"},"sk":{"N":"1"},"pk":{"S":"a"}})", R"({"pk":{"S":"a"},"sk":{"N":"1"},"v":{"S":"x"})",
        R"({"pk":{"S":"a"},"sk":{"N":"1"},"v":{"L":[}]})", R"({"pk":{"S":"a"},"sk":{"N":"1"},"v":{"X":"x"}})",
        R"({"pk":{"S":"a"},"sk":{"N":"1"},"v":{"S":"\q"}})", R"({"pk":{"S":"a"},"sk":{"N":"1"},"v":{"S":1}})",
        R"({"pk":{"S":"a"},"sk":{"N":"1"},"v":{"S":"x"]})", R"({"pk":{"S":"a"},"sk":{"N":"1"} "v":{"S":"x"}})",
        R"({"pk":{"S":"a"},"sk":{"N":"1"},"v":{"S":"x","N":"1"}})", R"({"pk":{"S":"a","sk":{"N":"1"}}})",
        "{\"pk\":{\"S\":\"a\nb\"},\"sk\":{\"N\":\"1\"}}"}) {
    CAPTURE(item);
    CHECK(error_of("{\"Items\":[" + std::string(item) + "]}") != "");
  }
}

TEST_CASE("a page with what the parser refuses for its shape is refused too") {
  for (const std::string value : {R"("x")",
                                  "1",
                                  "null",
                                  "[]",
                                  R"({"X":"x"})",
                                  R"({"S":1})",
                                  R"({"S":null})",
                                  R"({"S":["x"]})",
                                  R"({"S":{}})",
                                  R"({"N":1})",
                                  R"({"B":true})",
                                  R"({"M":"x"})",
                                  R"({"L":"x"})",
                                  R"({"M":[]})",
                                  R"({"L":{}})",
                                  R"({"SS":"x"})",
                                  R"({"SS":[]})",
                                  R"({"SS":[1]})",
                                  R"({"BOOL":"true"})",
                                  R"({"BOOL":tru})",
                                  R"({"BOOL":true x})",
                                  R"({"BOOL":true"x"})",
                                  R"({"BOOL":truefalse})",
                                  R"({"NULL":false})",
                                  R"({"NULL":"true"})",
                                  R"({"NULL":null})",
                                  R"({"S":"x"y})",
                                  R"({"S":"x" "y"})",
                                  R"({"S":"x"y"})",
                                  R"({"S":x"y"})",
                                  R"({"S" "x"})",
                                  R"({"S"::"x"})",
                                  R"({{"S":"x"}})",
                                  R"({"S":"x"}})",
                                  R"({"S":"x",})",
                                  R"({"S":"x"],)",
                                  R"({"M":{"a":"x"}})",
                                  R"({"L":["x"]})",
                                  R"({"":"x"})",
                                  R"({"S":"\x"})",
                                  R"({"S":"\ud800"})",
                                  R"({"S":"x"\})",
                                  "{\\u0022S\":\"x\"}",
                                  "{\"S\":\"\t\"}",
                                  "{\"S\":\v\"x\"}",
                                  "{\"S\":\f\"x\"}",
                                  "{\"S\"\x1A\"x\"}"}) {
    CAPTURE(value);
    const std::string item = R"({"pk":{"S":"a"},"sk":{"N":"1"},"v":)" + std::string(value) + "}";
    CHECK(error_of("{\"Items\":[" + item + "]}") != "");
    // In the middle of a long body, far from where the text ends.
    CHECK(error_of("{\"Items\":[" + item + "],\"padding\":\"" + std::string(1000, 'x') + "\"}") != "");
    CHECK_FALSE(parse_item(item).has_value());
  }
}

TEST_CASE("a refused item leaves the keys as they were") {
  std::string keys = "before";
  CHECK_FALSE(append_key_of_json(kSchema, R"({"pk":{"S":"a"},"sk":{"N":"x"}})", keys).has_value());
  CHECK(keys == "before");
  CHECK(append_key_of_json(kSchema, R"({"pk":{"S":"a"},"sk":{"N":"1"}})", keys).has_value());
  CHECK(keys == "before" + key_of_json(kSchema, R"({"pk":{"S":"a"},"sk":{"N":"1"}})")->encoded());
}

// Every schema the service has; names that need escapes too.
KeySchema random_schema(base::Rng& rng) {
  const auto type = [&] { return static_cast<KeyType>("SNB"[rng.below(3)]); };
  KeySchema schema{{rng.chance(4) ? "p\"/k" : "pk", type()}, {}};
  if (rng.chance(2)) schema.sort = KeyAttribute{"sk\xC3\xA9", type()};
  return schema;
}

std::string random_page(base::Rng& rng, const std::vector<std::string>& items, bool more) {
  std::string array = "[";
  for (const std::string& text : items) array += (array.size() > 1 ? "," : "") + text;
  array += "]";
  std::vector<std::string> members = {"\"Items\":" + array, "\"Count\":" + std::to_string(items.size()),
                                      R"("ScannedCount":9)",
                                      R"("ConsumedCapacity":{"CapacityUnits":0.5,"TableName":"}{"})"};
  if (more) members.push_back(R"("LastEvaluatedKey":{"pk":{"S":"\\\"}"}})");
  rng.shuffle(members);
  std::string body = "{";
  for (const std::string& member : members) body += (body.size() > 1 ? "," : "") + member;
  return body + "}";
}

TEST_CASE("every page of every spelling is cut into exactly its items and their keys") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    const KeySchema schema = random_schema(rng);
    std::vector<Item> items;
    std::vector<std::string> texts;
    for (std::size_t i = rng.below(6); i > 0; --i) {
      items.push_back(random_item(rng, schema));
      texts.push_back(rng.chance(2) ? to_json(items.back()) : random_json(rng, items.back()));
    }
    const bool more = rng.chance(2);
    const std::string body = random_page(rng, texts, more);
    Page page;
    RC_ASSERT(slice_page(body, schema, page).has_value());
    RC_ASSERT(page.items.size() == items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      // Space around an item is not part of it.
      const std::string& text = texts[i];
      const std::size_t from = text.find('{');
      RC_ASSERT(page.items[i] == std::string_view(text).substr(from, text.rfind('}') + 1 - from));
      RC_ASSERT(page.key(i) == Key::of(schema, items[i]).encoded());
    }
    RC_ASSERT(page.last_evaluated_key == (more ? R"({"pk":{"S":"\\\"}"}})" : ""));
    RC_ASSERT(page.consumed_capacity == 0.5);
    RC_ASSERT(page.scanned_count == 9);
  }));
}

TEST_CASE("hostile items are cut like any other") {
  std::vector<std::string> texts;
  const auto hostile = hostile_items(kSchema);
  for (const NamedItem& named : hostile) texts.push_back(to_json(named.item));
  base::Rng rng(1);
  const std::string body = random_page(rng, texts, true);
  Page page;
  REQUIRE(slice_page(body, kSchema, page).has_value());
  REQUIRE(page.items.size() == hostile.size());
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    CAPTURE(hostile[i].name);
    CHECK(page.items[i] == texts[i]);
    CHECK(page.key(i) == Key::of(kSchema, hostile[i].item).encoded());
  }
}

TEST_CASE("no prefix of a page is a page, and an altered byte never makes an item that is not JSON") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    std::vector<std::string> texts;
    for (int i = 0; i < 3; ++i) texts.push_back(random_json(rng, random_item(rng, kSchema)));
    const std::string body = random_page(rng, texts, true);
    Page page;
    RC_ASSERT(!slice_page(std::string_view(body).substr(0, rng.below(body.size())), kSchema, page).has_value());
    std::string altered = body;
    altered[rng.below(altered.size())] = static_cast<char>(rng.below(256));
    if (!slice_page(altered, kSchema, page)) return;
    const auto ignore = [](std::string_view, Type, std::string_view) {};
    for (std::size_t i = 0; i < page.items.size(); ++i) {
      RC_ASSERT(page.key(i) == key_of_json(kSchema, page.items[i]).value().encoded());
      const auto item = parse_item(page.items[i]);
      if (item) RC_ASSERT(for_each_attribute(page.items[i], ignore).has_value());
      if (item) RC_ASSERT(Key::of(kSchema, *item).encoded() == page.key(i));
    }
  }));
}

TEST_CASE("of an item that nobody understands the key is understood, or nothing") {
  const KeySchema schema{{"pk", KeyType::S}, KeyAttribute{"sk", KeyType::N}};
  const auto loose = [&](const std::string& text) {
    std::string key;
    CHECK(!append_key_of_json(schema, text, key));
    return append_key_of_unreadable(schema, text, key) ? key : "none";
  };
  const std::string sound = key_of_json(schema, R"({"pk":{"S":"a"},"sk":{"N":"1"}})")->encoded();
  CHECK(loose(R"({"pk":{"S":"a"},"sk":{"N":"1.0"},"x":{"S":"\ud800"}})") == sound);
  CHECK(loose(R"({"\ud800":{"S":"x"},"p\u006b":{"S":"\u0061"},"sk":{"N":"1"},"y":{"Q":[1,{"z":null}]}})") == sound);
  CHECK(loose(R"({"pk":{"S":"a\ud800"},"sk":{"N":"1"}})") == "none");
  CHECK(loose(R"({"pk":{"S":"a"},"sk":{"N":"x"}})") == "none");
  CHECK(loose(R"({"pk":{"S":"a"},"sk":{"S":"1"},"x":{"S":"\ud800"}})") == "none");
  CHECK(loose(R"({"pk":{"S":"a"},"pk":{"S":"b"},"sk":{"N":"1"}})") == "none");
  CHECK(loose(R"({"pk":{"S":"a"},"x":{"S":"\ud800"}})") == "none");
  CHECK(loose(R"({"pk":{"S":"a"},"sk":{"N":"1"},"x":})") == "none");
  CHECK(loose(R"({"pk":{"S":"a"},"sk":{"N":"1"},"x":1} )"
              "x") == "none");
}

TEST_CASE("a page sliced loosely has every item, and is still refused where it is no page") {
  Page page;
  const std::string items = R"([{"a":{"S":"\ud800"}}, {"b":[1,2]}])";
  REQUIRE(slice_items_loosely(items, page));
  CHECK(page.items == std::vector<std::string_view>{R"({"a":{"S":"\ud800"}})", R"({"b":[1,2]})"});
  CHECK(slice_page_loosely(R"({"Items":)" + items + R"(,"Count":2})", page));
  for (const std::string& body : {R"({"Items":)" + items + R"(,"Count":3})", R"({"Items":)" + items, std::string("{}"),
                                  std::string(R"({"Items":[7]})"), R"({"Items":)" + items + "} \xff"}) {
    CAPTURE(body);
    CHECK(!slice_page_loosely(body, page));
    CHECK(page.items.empty());
  }
}

}  // namespace
}  // namespace moveout::item
