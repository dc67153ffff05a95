#include "backfill/export/export_source.h"

#include <doctest/doctest.h>

#include "base/rng.h"
#include "test/doubles/export_world.h"

using namespace moveout;
using namespace moveout::backfill;
using base::ErrorKind;
using test::ExportMade;
using test::ExportWorld;
using test::item_line;
using test::Read;
using test::small_export;

namespace {

std::string change_line(int number, std::int64_t micros, bool alive) {
  const std::string keys = fmt::format("{{\"id\":{{\"S\":\"key {}\"}}}}", number);
  return fmt::format(
      "{{\"Metadata\":{{\"WriteTimestampMicros\":{{\"N\":\"{}\"}}}},\"Keys\":{},\"OldImage\":{}{}}}\n", micros, keys,
      keys,
      alive ? fmt::format(",\"NewImage\":{{\"v\":{{\"N\":\"{}\"}},\"id\":{{\"S\":\"key {}\"}}}}", micros, number)
            : std::string());
}

std::string key_text(int number) {
  std::string key;
  item::append_key_part(key, item::KeyType::S, fmt::format("key {}", number));
  return key;
}

// The error that reading all of the world ends in.
base::Error refusal(ExportWorld& world, ExportConfig config = {}) {
  const auto read = world.read_all(std::move(config));
  REQUIRE_MESSAGE(!read.has_value(), "it was read to its end");
  return read.error();
}

bool says(const base::Error& error, std::string_view text) { return error.what.find(text) != std::string::npos; }

}  // namespace

TEST_CASE("a full export's items come with its time, from a folder and from a bucket alike") {
  for (const bool near : {true, false}) {
    CAPTURE(near);
    ExportWorld world(near);
    test::put_export(world.objects.files, small_export());
    const auto read = world.read_all({.find = {.root = "pre/fix/"}});
    REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().what));
    REQUIRE(read->size() == 3);
    const Read& one = read->find(key_text(1))->second;
    CHECK(one.version == item::Version{0, item::Band::Backfill, 1'695'353'076'500'000});
    CHECK(one.image == R"({"id":{"S":"key 1"},"pad":{"S":"xxxxxxxxxxxxxxxxxxxx"}})");
    CHECK(world.known->table == "orders");
    CHECK(world.known->items == 3);
    CHECK(!world.known->key);
    // Nothing stays in the spool.
    CHECK(world.spool.list()->empty());
  }
}

TEST_CASE("an export is found by its prefix, by AWSDynamoDB, by its own folder, and where it was copied to") {
  ExportWorld world;
  const ExportMade made = small_export();
  test::put_export(world.objects.files, made);
  for (const std::string& root : {std::string("pre/fix/"), made.top(), made.folder()}) {
    CAPTURE(root);
    CHECK(world.read_all({.find = {.root = root}})->size() == 3);
  }
  std::map<std::string, std::string> moved;
  for (const auto& [name, bytes] : world.objects.files) moved["else/where/" + name.substr(8)] = bytes;
  world.objects.files = moved;
  CHECK(world.read_all({.find = {.root = "else/where/"}})->size() == 3);
  moved.clear();
  for (const auto& [name, bytes] : world.objects.files)
    moved[name.substr(std::string("else/where/AWSDynamoDB/").size() + made.id.size() + 1)] = bytes;
  world.objects.files = moved;
  CHECK(world.read_all()->size() == 3);
}

TEST_CASE("incremental records carry their own times, deletes are tombstones, and the key is theirs") {
  ExportWorld world;
  ExportMade made;
  made.from_us = 1'000'000'000'000'000;
  made.to_us = 1'000'000'900'000'000;
  made.files = {change_line(1, 1'000'000'000'000'001, true) + change_line(2, 1'000'000'000'000'002, false)};
  test::put_export(world.objects.files, made);
  // Another export's file in the folder they share.
  world.objects.files[made.data() + "other.json.gz"] = "x";
  const auto read = world.read_all({.find = {.root = "pre/fix/"}});
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().what));
  CHECK(world.known->key == world.key);
  CHECK(!world.known->t_us);
  CHECK(read->find(key_text(1))->second.version == item::Version{0, item::Band::Incremental, 1'000'000'000'000'001});
  CHECK(read->find(key_text(2))->second.image.empty());
}

TEST_CASE("from every page's place, the rest and only the rest comes") {
  for (const bool near : {true, false}) {
    ExportMade made;
    made.files = {""};
    for (int i = 0; i < 3000; ++i) made.files[0] += item_line(i, 1000);
    ExportWorld world(near);
    test::put_export(world.objects.files, made);
    std::multimap<std::string, Read> whole;
    std::vector<std::string> ats;
    {
      auto source = world.source({.find = {.root = "pre/fix/"}});
      REQUIRE(source.has_value());
      REQUIRE(world.read(**source, 0, {}, whole, &ats).has_value());
    }
    REQUIRE(whole.size() == 3000);
    REQUIRE(ats.size() >= 3);
    for (const std::string& at : ats) {
      auto source = world.source({.find = {.root = "pre/fix/"}});
      std::multimap<std::string, Read> before;
      std::multimap<std::string, Read> after;
      const auto reader = (*source)->open(0, {});
      for (;;) {
        auto page = base::run_task(reader->next());
        REQUIRE(page.has_value());
        for (std::size_t i = 0; i < page->writes.size(); ++i) {
          before.emplace(std::string(page->writes[i].key),
                         Read{page->writes[i].version, std::string(page->writes[i].image)});
        }
        if (page->at == at) break;
      }
      auto later = world.source({.find = {.root = "pre/fix/"}});
      REQUIRE(world.read(**later, 0, at, after).has_value());
      CHECK(before.size() + after.size() == 3000);
      before.merge(after);
      CHECK(before == whole);
    }
  }
}

TEST_CASE("nothing of a file whose MD5 is another one is given out") {
  for (const bool near : {true, false}) {
    base::Rng rng(3);
    for (int round = 0; round < 40; ++round) {
      ExportWorld world(near);
      const ExportMade made = small_export();
      test::put_export(world.objects.files, made);
      std::string& bytes = world.objects.files[made.key(0)];
      if (round % 2 == 0) {
        bytes[rng.below(bytes.size())] ^= static_cast<char>(1 + rng.below(255));
      } else {
        bytes.resize(rng.below(bytes.size()));
      }
      auto source = world.source({.find = {.root = "pre/fix/"}});
      REQUIRE(source.has_value());
      std::multimap<std::string, Read> read;
      const auto done = world.read(**source, 0, {}, read);
      REQUIRE(!done.has_value());
      CHECK(done.error().kind == ErrorKind::Corrupt);
      CHECK(says(done.error(), "MD5"));
      CHECK(read.empty());
    }
  }
}

TEST_CASE("a file that was replaced while it was read is a conflict") {
  ExportWorld world(false);
  const ExportMade made = small_export();
  test::put_export(world.objects.files, made);
  auto source = world.source({.find = {.root = "pre/fix/"}});
  REQUIRE(source.has_value());
  world.objects.files[made.key(0)] = test::gzip_of(item_line(7));
  std::multimap<std::string, Read> read;
  CHECK(world.read(**source, 0, {}, read).error().kind == ErrorKind::Conflict);
  CHECK(read.empty());
}

TEST_CASE("gzip data that is cut, damaged or followed by other bytes is refused although its MD5 fits") {
  const std::string good = test::gzip_of(item_line(1) + item_line(2));
  for (const std::string& bytes : {good.substr(0, good.size() - 4), good.substr(0, good.size() / 2), good + "x",
                                   std::string("not gzip at all"), std::string()}) {
    CAPTURE(bytes.size());
    ExportWorld world;
    const ExportMade made = small_export();
    test::put_export(world.objects.files, made);
    world.objects.files[made.key(0)] = bytes;
    test::put_with_md5(world.objects.files, made.folder() + "manifest-files.json",
                       test::files_line(made.key(0), 2, bytes) +
                           test::files_line(made.key(1), 0, world.objects.files[made.key(1)]) +
                           test::files_line(made.key(2), 1, world.objects.files[made.key(2)]));
    CHECK(refusal(world, {.find = {.root = "pre/fix/"}}).kind == ErrorKind::Corrupt);
  }
}

TEST_CASE("several gzip members are one file, and an object without a byte holds no item") {
  ExportWorld world;
  ExportMade made;
  made.files = {item_line(1), ""};
  test::put_export(world.objects.files, made);
  const std::string two = test::gzip_of(item_line(1)) + test::gzip_of(item_line(2)) + test::gzip_of("");
  world.objects.files[made.key(0)] = two;
  world.objects.files[made.key(1)] = "";
  test::put_with_md5(world.objects.files, made.folder() + "manifest-files.json",
                     test::files_line(made.key(0), 2, two) + test::files_line(made.key(1), 0, ""));
  test::put_with_md5(world.objects.files, made.folder() + "manifest-summary.json", test::summary_text(made, 2));
  const auto read = world.read_all({.find = {.root = "pre/fix/"}});
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().what));
  CHECK(read->size() == 2);
}

TEST_CASE("more or fewer items than the manifest says are named") {
  for (const std::size_t stated : {std::size_t{1}, std::size_t{3}}) {
    ExportWorld world;
    ExportMade made;
    made.files = {item_line(1) + item_line(2)};
    test::put_export(world.objects.files, made);
    test::put_with_md5(world.objects.files, made.folder() + "manifest-files.json",
                       test::files_line(made.key(0), stated, world.objects.files[made.key(0)]));
    test::put_with_md5(world.objects.files, made.folder() + "manifest-summary.json", test::summary_text(made, stated));
    const base::Error error = refusal(world, {.find = {.root = "pre/fix/"}});
    CHECK(error.kind == ErrorKind::Corrupt);
    CHECK(says(error, "its manifest"));
  }
}

TEST_CASE("what is missing, too much, damaged or not complete in a tree is named before anything is read") {
  struct Row {
    std::string name;
    std::function<void(std::map<std::string, std::string>&, const ExportMade&)> meddle;
    ErrorKind kind;
    std::string said;
  };
  using Files = std::map<std::string, std::string>;
  const std::vector<Row> rows = {
      {"nothing", [](Files& f, const ExportMade&) { f.clear(); }, ErrorKind::NotFound, "holds no export"},
      {"only begun",
       [](Files& f, const ExportMade& m) {
         std::erase_if(f, [&](const auto& e) { return e.first != m.folder() + "_started"; });
       },
       ErrorKind::NotFound, "not complete"},
      {"data file missing", [](Files& f, const ExportMade& m) { f.erase(m.key(2)); }, ErrorKind::NotFound,
       "file02.json.gz"},
      {"data file too much", [](Files& f, const ExportMade& m) { f[m.data() + "zz.json.gz"] = "x"; },
       ErrorKind::Corrupt, "zz.json.gz"},
      {"no file list", [](Files& f, const ExportMade& m) { f.erase(m.folder() + "manifest-files.json"); },
       ErrorKind::NotFound, "manifest-files.json"},
      {"no MD5", [](Files& f, const ExportMade& m) { f.erase(m.folder() + "manifest-summary.md5"); },
       ErrorKind::NotFound, ".checksum"},
      {"summary damaged", [](Files& f, const ExportMade& m) { f[m.folder() + "manifest-summary.json"] += " "; },
       ErrorKind::Corrupt, "MD5"},
      {"list damaged", [](Files& f, const ExportMade& m) { f[m.folder() + "manifest-files.json"][9] ^= 1; },
       ErrorKind::Corrupt, "MD5"},
      {"an MD5 that is none", [](Files& f, const ExportMade& m) { f[m.folder() + "manifest-files.md5"] = "abc"; },
       ErrorKind::Corrupt, "no MD5"},
      {"list cut",
       [](Files& f, const ExportMade& m) {
         std::string& list = f[m.folder() + "manifest-files.json"];
         test::put_with_md5(f, m.folder() + "manifest-files.json",
                            list.substr(0, list.rfind('\n', list.size() - 2) + 1));
       },
       ErrorKind::Corrupt, "is it whole?"},
      {"key elsewhere",
       [](Files& f, const ExportMade& m) {
         test::put_with_md5(f, m.folder() + "manifest-files.json",
                            test::files_line("pre/fix2/AWSDynamoDB/x/data/f.json.gz", 3, ""));
       },
       ErrorKind::Corrupt, "does not lie under"},
      {"key upwards",
       [](Files& f, const ExportMade& m) {
         test::put_with_md5(f, m.folder() + "manifest-files.json",
                            test::files_line(m.data() + "../../../../etc/passwd", 3, ""));
       },
       ErrorKind::Corrupt, "does not lie under"},
      {"key twice",
       [](Files& f, const ExportMade& m) {
         const std::string line = test::files_line(m.key(2), 1, f[m.key(2)]);
         test::put_with_md5(f, m.folder() + "manifest-files.json", line + line + line);
       },
       ErrorKind::Corrupt, "stands twice"},
      {"summary of another format",
       [](Files& f, const ExportMade& m) {
         ExportMade other = m;
         other.format = "CSV";
         test::put_with_md5(f, m.folder() + "manifest-summary.json", test::summary_text(other, 3));
       },
       ErrorKind::Corrupt, "outputFormat"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ExportWorld world;
    const ExportMade made = small_export();
    test::put_export(world.objects.files, made);
    row.meddle(world.objects.files, made);
    const auto source = world.source({.find = {.root = "pre/fix/"}});
    REQUIRE(!source.has_value());
    CHECK(source.error().kind == row.kind);
    CHECK_MESSAGE(says(source.error(), row.said), source.error().what);
  }
}

TEST_CASE("the checksum files' other names, and a place that may not be listed, are taken") {
  ExportWorld world;
  const ExportMade made = small_export();
  test::put_export(world.objects.files, made);
  auto& files = world.objects.files;
  const std::string folder = made.folder();
  auto node = files.extract(folder + "manifest-summary.md5");
  node.key() = folder + "manifest-summary.checksum";
  node.mapped() += "\n";
  files.insert(std::move(node));
  node = files.extract(folder + "manifest-files.md5");
  node.key() = folder + "manifest-files.json.md5";
  files.insert(std::move(node));
  world.objects.deny_list = true;
  CHECK(world.read_all({.find = {.root = folder}})->size() == 3);
}

TEST_CASE("a bomb is refused long before it is unpacked") {
  ExportWorld world;
  ExportMade made;
  made.files = {std::string(50 << 20, ' ')};
  test::put_export(world.objects.files, made);
  base::Error error = refusal(world, {.find = {.root = "pre/fix/"}});
  CHECK(error.kind == ErrorKind::TooLarge);  // one line without end
  made.files = {""};
  for (int i = 0; i < 20; ++i) made.files[0] += item_line(1, 300'000);
  test::put_export(world.objects.files, made);
  CHECK(world.read_all({.find = {.root = "pre/fix/"}}).has_value());
  error = refusal(world, {.find = {.root = "pre/fix/"}, .limits = {.ratio_max = 50, .ratio_from = 1 << 20}});
  CHECK(error.kind == ErrorKind::TooLarge);
  CHECK(says(error, "no export is packed like that"));
  error = refusal(world, {.find = {.root = "pre/fix/"}, .limits = {.bytes_max = 1 << 20}});
  CHECK(error.kind == ErrorKind::TooLarge);
}

TEST_CASE("a record that cannot be one is named by file and number, without its data") {
  for (const char* line :
       {"{}\n", "\n", "[]\n", "{\"Item\":{\"id\":{\"S\":\"secret\"}}} x\n", "{\"Item\":{\"pad\":{\"S\":\"secret\"}}}\n",
        "{\"Item\":{\"id\":{\"N\":\"5\"}}}\n",
        "{\"Item\":{\"id\":{\"S\":\"secret\"}},\"Keys\":{\"id\":{\"S\":\"secret\"}}}\n",
        "{\"Item\":{\"id\":{\"S\":\"secr\n", "\xFF\xFE\n", "{\"NewImage\":{\"id\":{\"S\":\"secret\"}}}\n"}) {
    CAPTURE(line);
    ExportWorld world;
    ExportMade made;
    made.files = {item_line(1) + line};
    test::put_export(world.objects.files, made);
    const base::Error error = refusal(world, {.find = {.root = "pre/fix/"}});
    CHECK(error.kind == ErrorKind::Corrupt);
    CHECK_MESSAGE(says(error, "file00.json.gz: item 2"), error.what);
    CHECK(!says(error, "secret"));
  }
}

TEST_CASE("other spellings of a record are taken, and an item nobody understands is marked under its key") {
  ExportWorld world;
  ExportMade made;
  made.files = {
      "  { \"Item\" : {\"id\":{\"S\":\"key 1\"}} }\r\n{\"Item\":{\"id\":{\"S\":\"key "
      "2\"},\"n\":{\"N\":\"x\"},\"q\":{\"Q\":1}}}"};
  test::put_export(world.objects.files, made);
  test::put_with_md5(world.objects.files, made.folder() + "manifest-files.json",
                     test::files_line(made.key(0), 2, world.objects.files[made.key(0)]));
  test::put_with_md5(world.objects.files, made.folder() + "manifest-summary.json", test::summary_text(made, 2));
  auto source = world.source({.find = {.root = "pre/fix/"}});
  REQUIRE(source.has_value());
  const auto page = base::run_task((*source)->open(0, {})->next());
  REQUIRE_MESSAGE(page.has_value(), (page ? "" : page.error().what));
  REQUIRE(page->writes.size() == 2);
  CHECK(page->writes[0].image == "{\"id\":{\"S\":\"key 1\"}}");
  CHECK(page->writes.unreadable(0) == nullptr);
  CHECK(page->writes.unreadable(1) != nullptr);
}

TEST_CASE("an incremental record with a wrong time, key or member is refused") {
  const std::string keys = R"("Keys":{"id":{"S":"a"}})";
  for (const std::string& line :
       {"{" + keys + ",\"NewImage\":{\"id\":{\"S\":\"a\"}}}",
        R"({"Metadata":{"WriteTimestampMicros":{"N":"x"}},)" + keys + "}",
        R"({"Metadata":{"WriteTimestampMicros":{"N":"-5"}},)" + keys + "}",
        R"({"Metadata":{"WriteTimestampMicros":{"N":"99999999999999999"}},)" + keys + "}",
        std::string(R"({"Metadata":{"WriteTimestampMicros":{"N":"5"}},"NewImage":{"id":{"S":"a"}}})"),
        R"({"Metadata":{"WriteTimestampMicros":{"N":"5"}},)" + keys + R"(,"NewImage":{"id":{"S":"b"}}})",
        R"({"Metadata":{"WriteTimestampMicros":{"N":"5"}},)" + keys + R"(,"Surprise":{}})"}) {
    CAPTURE(line);
    ExportWorld world;
    ExportMade made;
    made.from_us = 1;
    made.to_us = 900'000'001;
    made.files = {change_line(1, 5, true) + line + "\n"};
    test::put_export(world.objects.files, made);
    CHECK(refusal(world, {.find = {.root = "pre/fix/"}}).kind == ErrorKind::Corrupt);
  }
  // A bare number is a time too.
  ExportWorld world;
  ExportMade made;
  made.from_us = 1'000'000;
  made.to_us = 900'000'000;
  made.files = {R"({"Metadata":{"WriteTimestampMicros":1600000000000001},)" + keys + "}\n"};
  test::put_export(world.objects.files, made);
  const auto read = world.read_all({.find = {.root = "pre/fix/"}});
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().what));
  CHECK(read->begin()->second.version.t == 1600000000000001);
}

TEST_CASE("a manifest that changed between two processes is noticed at a part that was begun, and at a complete one") {
  ExportWorld world;
  ExportMade made = small_export();
  test::put_export(world.objects.files, made);
  std::multimap<std::string, Read> read;
  std::vector<std::string> ats;
  {
    auto source = world.source({.find = {.root = "pre/fix/"}});
    REQUIRE(world.read(**source, 0, {}, read, &ats).has_value());
    const auto again = base::run_task((*source)->open(0, ats.back())->next());
    REQUIRE(again.has_value());
    CHECK(again->last);
    CHECK(again->writes.empty());
  }
  made.files[0] = item_line(8) + item_line(9);
  test::put_export(world.objects.files, made);
  auto source = world.source({.find = {.root = "pre/fix/"}});
  const auto other = base::run_task((*source)->open(0, ats.back())->next());
  REQUIRE(!other.has_value());
  CHECK(other.error().kind == ErrorKind::Corrupt);
}

TEST_CASE("several exports need a choice, an id, or a chain; a chain is a full one and its windows in order") {
  ExportWorld world;
  const std::int64_t t = 1'695'353'076'500'000;
  ExportMade full = small_export();
  ExportMade first;
  first.id = "01695353076001-bbbbbbbb";
  first.from_us = t - 300'000'000;
  first.to_us = t + 600'000'000;
  first.files = {change_line(1, t + 5, true)};
  ExportMade second = first;
  second.id = "01695353076002-cccccccc";
  second.from_us = first.to_us;
  second.to_us = first.to_us + 900'000'000;
  second.files = {change_line(1, t + 700'000'000, false)};
  for (const ExportMade& made : {second, full, first}) test::put_export(world.objects.files, made);
  base::Error error = refusal(world, {.find = {.root = "pre/fix/"}});
  CHECK(error.kind == ErrorKind::Usage);
  CHECK(says(error, "3 exports"));
  CHECK(world.read_all({.find = {.root = "pre/fix/", .only = first.id}})->size() == 1);
  const base::Micros margin(300'000'000);
  const auto all = world.read_all({.find = {.root = "pre/fix/", .only = {}, .chain = true, .margin = margin}});
  REQUIRE_MESSAGE(all.has_value(), (all ? "" : all.error().what));
  CHECK(all->size() == 5);
  CHECK(world.known->t_us == t);

  const auto with = [&](std::int64_t from, std::int64_t to) {
    ExportWorld other;
    ExportMade odd = second;
    odd.from_us = from;
    odd.to_us = to;
    for (const ExportMade& made : {odd, full, first}) test::put_export(other.objects.files, made);
    return refusal(other, {.find = {.root = "pre/fix/", .only = {}, .chain = true, .margin = margin}});
  };
  error = with(first.to_us + 1000, second.to_us);
  CHECK(error.kind == ErrorKind::Usage);
  CHECK_MESSAGE(says(error, "hole"), error.what);
  CHECK(says(with(first.to_us - 1000, second.to_us), "overlap"));
  // The full export's content may be off by the margin.
  ExportWorld other;
  first.from_us += 1000;
  for (const ExportMade& made : {second, full, first}) test::put_export(other.objects.files, made);
  error = refusal(other, {.find = {.root = "pre/fix/", .only = {}, .chain = true, .margin = margin}});
  CHECK_MESSAGE(says(error, "may lack writes"), error.what);
}

TEST_CASE("a sample sees items and takes none away") {
  for (const bool near : {true, false}) {
    ExportWorld world(near);
    test::put_export(world.objects.files, small_export());
    auto source = world.source({.find = {.root = "pre/fix/"}});
    REQUIRE(source.has_value());
    schema::Sampler sampler(world.key);
    REQUIRE(base::run_task((*source)->sample(sampler)).has_value());
    CHECK(sampler.seen() == 3);
    std::multimap<std::string, Read> read;
    for (std::size_t part = 0; part < 3; ++part) REQUIRE(world.read(**source, part, {}, read).has_value());
    CHECK(read.size() == 3);
  }
}
