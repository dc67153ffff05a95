#include "backfill/item_file.h"

#include <doctest/doctest.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <boost/asio/io_context.hpp>

#include "backfill/unpacking.h"
#include "base/inline_worker.h"
#include "base/memory_disk.h"
#include "base/rng.h"
#include "base/run_task.h"
#include "item/gen.h"
#include "item/json.h"

using namespace moveout;
using backfill::FilePage;
using backfill::ItemFile;
using backfill::PartReader;
using base::ErrorKind;
using base::Result;
using base::run_task;

namespace {

const item::KeySchema kKey{{"pk", item::KeyType::S}, item::KeyAttribute{"sk", item::KeyType::N}};

std::string gzip(const std::string& text) {
  std::string out(text.size() + 1000, '\0');
  isal_zstream stream;
  isal_deflate_init(&stream);
  stream.gzip_flag = IGZIP_GZIP;
  stream.end_of_stream = 1;
  stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<std::uint32_t>(text.size());
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = static_cast<std::uint32_t>(out.size());
  REQUIRE(isal_deflate_stateless(&stream) == COMP_OK);
  out.resize(out.size() - stream.avail_out);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

// In members or frames of chance.
std::string packed(const std::string& text, const std::string& how, base::Rng& rng) {
  if (how == "plain") return text;
  std::string out;
  for (std::size_t at = 0; at < text.size() || out.empty();) {
    const std::size_t size = std::min<std::size_t>(text.size() - at, 1 + rng.below(700'000));
    out += how == "gzip" ? gzip(text.substr(at, size)) : zstd(text.substr(at, size));
    at += size;
  }
  return out;
}

struct World {
  base::MemoryDisk disk;
  base::InlineWorker worker;
  base::NoLog log;
  bool forwards = false;

  void put(const std::string& bytes) {
    if (disk.size("f").value() > 0) REQUIRE(disk.truncate("f", 0));
    REQUIRE(disk.append("f", bytes));
  }
  std::unique_ptr<ItemFile> make() {
    auto file = std::make_unique<ItemFile>(ItemFile::Options{"f", "f.json", forwards}, disk, worker, log);
    file->set(kKey, {0, item::Band::Backfill, 7});
    return file;
  }
};

struct Got {
  std::vector<std::string> images;
  std::vector<std::string> at;  // behind each page
  std::vector<std::size_t> items;
  Result<> result;
  std::size_t unreadable = 0;
  bool last = false;
};

Got read(ItemFile& file, std::string at = "") {
  Got got;
  const std::unique_ptr<PartReader> reader = file.open(0, std::move(at));
  while (!got.last) {
    const Result<FilePage> page = run_task(reader->next());
    if (!page) {
      got.result = base::fail(page.error());
      return got;
    }
    for (std::size_t i = 0; i < page->writes.size(); ++i) {
      got.images.emplace_back(page->writes[i].image);
      CHECK(page->writes[i].version == item::Version{0, item::Band::Backfill, 7});
      if (page->writes.unreadable(i)) ++got.unreadable;
    }
    got.at.push_back(page->at);
    got.items.push_back(got.images.size());
    got.last = page->last;
  }
  return got;
}

// Some megabytes, so that there are pages.
std::string many(base::Rng& rng, std::size_t count, std::vector<item::Item>& items) {
  const std::uint64_t shape = rng.below(3);
  std::string out = shape == 0 ? "" : shape == 1 ? "[" : "{\n    \"Items\": [";
  for (std::size_t i = 0; i < count; ++i) {
    item::Item item = item::random_item(rng, kKey);
    item["filler"] = item::Value(std::string(1000 + rng.below(2000), 'x'));
    if (i > 0 && shape != 0) out += ",";
    out += rng.chance(3) ? "\n        " : "\n";
    out += rng.chance(2) ? "{\"Item\": " + item::to_json(item) + "}" : item::random_json(rng, item);
    items.push_back(std::move(item));
  }
  return out + (shape == 0 ? "\n" : shape == 1 ? "]" : "],\n\"Count\": " + std::to_string(count) + "}\n");
}

}  // namespace

TEST_CASE("a file's items come page by page, packed or not, and from behind every page again") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    base::Rng rng(seed);
    std::vector<item::Item> items;
    const std::string text = many(rng, 1500, items);
    for (const std::string how : {"plain", "gzip", "zstd"}) {
      CAPTURE(how);
      World world;
      world.put(packed(text, how, rng));
      const Got all = read(*world.make());
      REQUIRE(all.result);
      REQUIRE(all.images.size() == items.size());
      for (std::size_t i = 0; i < items.size(); ++i) CHECK(item::parse_item(all.images[i]).value() == items[i]);
      REQUIRE(all.at.size() > 2);
      for (const bool forwards : {false, true}) {
        world.forwards = forwards;
        const std::size_t page = rng.below(all.at.size());
        const Got rest = read(*world.make(), all.at[page]);
        REQUIRE(rest.result);
        CHECK(rest.images == std::vector<std::string>(all.images.begin() + static_cast<std::ptrdiff_t>(all.items[page]),
                                                      all.images.end()));
        CHECK(rest.at.back() == all.at.back());
      }
    }
  }
}

TEST_CASE("a sample takes nothing away from what is read") {
  base::Rng rng(5);
  std::vector<item::Item> items;
  World world;
  world.put(many(rng, 1500, items));
  const auto file = world.make();
  schema::Sampler sampler(kKey);
  REQUIRE(run_task(file->sample(sampler)));
  CHECK(sampler.seen() == 1500);
  CHECK(read(*file).images.size() == 1500);
}

TEST_CASE("a mistake is told with its byte and item behind the items before it, and a mended file goes on from there") {
  const std::string a = "{\"Item\":{\"pk\":{\"S\":\"a\"},\"sk\":{\"N\":\"1\"}}}\n";  // 41 bytes
  const std::string b = "{\"pk\":{\"S\":\"b\"},\"sk\":{\"N\":\"2\"}}\n";
  const auto broken = [&](const std::string& bad, const std::string& good, const std::string& what) {
    CAPTURE(bad);
    World world;
    world.put(a + bad);
    const Got before = read(*world.make());
    REQUIRE(!before.result);
    CHECK(before.result.error().kind == ErrorKind::Corrupt);
    CHECK(before.result.error().what.starts_with(what));
    REQUIRE(before.images.size() == 1);
    world.put(a + good);
    const Got after = read(*world.make(), before.at.back());
    REQUIRE(after.result);
    CHECK(after.images.size() == 1);
  };
  const std::string at = "f.json: item 2: expected ";
  broken("{\"pk\":{\"S\":\"b\"},\"sk\"", b, at + "a colon at byte 61, where the text ends");
  broken("{\"pk\":{\"S\":\"b\n" + b, b, at + "no raw control character in a string at byte 54");
  broken("{\"pk\":{\"S\":\"b\"}}\n", b,
         "f.json: item 2, which begins at byte 41: no key in the item: expected an item with the key attributes");
  broken("{\"pk\":{\"N\":\"1\"},\"sk\":{\"N\":\"2\"}}\n", b, "f.json: item 2, which begins at byte 41: ");
  broken("{\"pk\":{\"S\":\"\xFF\"},\"sk\":{\"N\":\"2\"}}\n", b, at + "UTF-8 at byte 53");
}

TEST_CASE("an item that nobody understands but for its key is marked, and the others are not held up") {
  World world;
  world.put(R"({"Item":{"pk":{"S":"a"},"sk":{"N":"1"},"x":{"X":"y"}}}
{"Item":{"pk":{"S":"b"},"sk":{"N":"2"},"x":{"S":"\ud800"}}}
{"pk":{"S":"c"},"sk":{"N":"3"}})");
  const Got all = read(*world.make());
  REQUIRE(all.result);
  CHECK(all.images.size() == 3);
  CHECK(all.unreadable == 2);
  // Also where such an item is the last one before the place.
  CHECK(read(*world.make(), all.at.back()).result);
}

TEST_CASE("a packed file that is cut or damaged gives what stands before, then says so") {
  base::Rng rng(3);
  std::vector<item::Item> items;
  const std::string text = many(rng, 2000, items);
  for (const std::string how : {"gzip", "zstd"}) {
    CAPTURE(how);
    World world;
    const std::string whole = packed(text, how, rng);
    world.put(whole.substr(0, whole.size() * 2 / 3));
    const Got cut = read(*world.make());
    REQUIRE(!cut.result);
    CHECK(cut.result.error().kind == ErrorKind::Corrupt);
    CHECK(cut.images.size() > 100);
    world.put(whole);
    const Got rest = read(*world.make(), cut.at.back());
    REQUIRE(rest.result);
    CHECK(rest.images.size() + cut.images.size() == items.size());
    std::string damaged = whole;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x10);
    world.put(damaged);
    CHECK(!read(*world.make()).result);
    world.put(whole + "rubbish");
    CHECK(!read(*world.make()).result);
  }
}

TEST_CASE("a file whose beginning is another one is not gone on with; one that grew is seen") {
  const std::string a = "{\"pk\":{\"S\":\"a\"},\"sk\":{\"N\":\"1\"}}\n";
  const std::string b = "{\"pk\":{\"S\":\"b\"},\"sk\":{\"N\":\"2\"}}\n";
  World world;
  world.put(a);
  const Got all = read(*world.make());
  REQUIRE(all.last);
  Got again = read(*world.make(), all.at.back());
  CHECK(again.last);
  CHECK(again.images.empty());
  for (const std::string& other : {b, std::string(), a.substr(0, 20), "   " + a}) {
    CAPTURE(other);
    world.put(other);
    again = read(*world.make(), all.at.back());
    REQUIRE(!again.result);
    CHECK(again.result.error().what.find("is not what was loaded") != std::string::npos);
  }
  world.put(a + b);
  again = read(*world.make(), all.at.back());
  REQUIRE(again.result);
  CHECK(again.images.size() == 1);
}

TEST_CASE("an empty file, packed or not, holds no items") {
  for (const std::string how : {"plain", "gzip", "zstd"}) {
    CAPTURE(how);
    World world;
    base::Rng rng(1);
    world.put(packed("", how, rng));
    const Got all = read(*world.make());
    CHECK(all.last);
    CHECK(all.images.empty());
    CHECK(read(*world.make(), all.at.back()).last);
  }
  World world;
  CHECK(run_task(world.make()->begin()).error().kind == ErrorKind::NotFound);
}
