#include <doctest/doctest.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/inline_worker.h"
#include "base/memory_disk.h"
#include "base/run_task.h"
#include "base/task_group.h"
#include "item/json.h"
#include "state/allotter.h"
#include "state/poison_store.h"
#include "state/posix_disk.h"
#include "state/quarantine_file.h"
#include "state/run_lock.h"
#include "state/sqlite_store.h"

using namespace moveout;
using namespace moveout::state;
using base::ErrorKind;
using base::run_task;

namespace {

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/moveout-state-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return path + "/" + name; }
};

struct FixedClock final : base::Clock {
  std::int64_t micros = 1'000'000;
  base::Instant now() const override { return base::instant_of_micros(micros); }
  base::Steady steady() const override { return base::Steady(base::Micros(micros)); }
  base::Task<> sleep_until(base::Steady) override { co_return; }
};

std::unique_ptr<Store> open_store(base::Worker& worker, const std::string& path) {
  auto store = run_task(SqliteStore::open(worker, path));
  if (!store) FAIL(store.error().what);
  return std::move(*store);
}

int mode_of(const std::string& path) {
  struct stat status{};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

void poke(const std::string& path, const char* sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

base::Task<base::Result<>> take_versions(VersionAllotter& allotter, int count, std::vector<item::Version>& out) {
  for (int i = 0; i < count; ++i) {
    base::Result<item::Version> version = co_await allotter.next();
    if (!version) co_return base::fail(std::move(version.error()));
    out.push_back(*version);
  }
  co_return base::Result<>();
}

}  // namespace

TEST_CASE("the store keeps what it committed, and finds it by prefix") {
  Folder folder;
  base::InlineWorker worker;
  const std::string odd = std::string("nul\0 and ü", 11);
  {
    auto store = open_store(worker, folder / "state.db");
    CHECK(run_task(store->commit({{"a/1", "one"}, {"a/2", odd}, {"b", ""}, {"a", "x"}})));
    CHECK(run_task(store->commit({{"a/1", std::nullopt}, {"a/3", "three"}})));
  }
  auto store = open_store(worker, folder / "state.db");
  CHECK(*run_task(store->read("a/")) == Rows{{"a/2", odd}, {"a/3", "three"}});
  CHECK(*run_task(store->read("")) == Rows{{"a", "x"}, {"a/2", odd}, {"a/3", "three"}, {"b", ""}});
  CHECK(run_task(store->read("c"))->empty());
}

TEST_CASE("a commit whose expectation fails changes nothing") {
  Folder folder;
  base::InlineWorker worker;
  auto store = open_store(worker, folder / "state.db");
  REQUIRE(run_task(store->commit({{"owner", "1"}})));
  const auto refused = run_task(store->commit({{"x", "1"}}, {{"owner", "2"}}));
  REQUIRE(!refused);
  CHECK(refused.error().kind == ErrorKind::Conflict);
  CHECK(run_task(store->commit({{"x", "1"}}, {{"y", "2"}})).error().kind == ErrorKind::Conflict);
  CHECK(*run_task(store->read("")) == Rows{{"owner", "1"}});
  CHECK(run_task(store->commit({{"x", "1"}, {"owner", "2"}}, {{"owner", "1"}, {"y", std::nullopt}})));
  CHECK(*run_task(store->read("")) == Rows{{"owner", "2"}, {"x", "1"}});
}

TEST_CASE("a damaged row, a lost row and a foreign file are said, not guessed") {
  Folder folder;
  base::InlineWorker worker;
  {
    REQUIRE(run_task(open_store(worker, folder / "state.db")->commit({{"a", "1"}, {"b", "2"}})));
  }
  SUBCASE("changed") { poke(folder / "state.db", "UPDATE rows SET value = '9' WHERE name = 'a'"); }
  SUBCASE("lost") { poke(folder / "state.db", "DELETE FROM rows WHERE name = 'a'"); }
  SUBCASE("torn") { std::ofstream(folder / "state.db", std::ios::in | std::ios::out).seekp(20) << "garbage in here"; }
  SUBCASE("no database") { std::ofstream(folder / "state.db") << std::string(8192, 'x'); }
  const auto opened = run_task(SqliteStore::open(worker, folder / "state.db"));
  REQUIRE(!opened);
  CHECK(opened.error().kind == ErrorKind::Corrupt);
}

TEST_CASE("a state of a newer format, or another program's file, is refused") {
  Folder folder;
  base::InlineWorker worker;
  SUBCASE("newer") {
    {
      open_store(worker, folder / "state.db");
    }
    poke(folder / "state.db", "PRAGMA user_version = 99");
  }
  SUBCASE("foreign") { poke(folder / "state.db", "CREATE TABLE users(id)"); }
  const auto opened = run_task(SqliteStore::open(worker, folder / "state.db"));
  REQUIRE(!opened);
  CHECK(opened.error().kind == ErrorKind::Usage);
}

TEST_CASE("two processes may write one store, each seeing the other's rows") {
  Folder folder;
  base::InlineWorker worker;
  auto one = open_store(worker, folder / "state.db");
  auto two = open_store(worker, folder / "state.db");
  CHECK(run_task(one->commit({{"a", "1"}})));
  CHECK(run_task(two->commit({{"b", "2"}}, {{"a", "1"}})));
  CHECK(run_task(one->commit({{"c", "3"}}, {{"b", "2"}})));
  CHECK(run_task(two->read(""))->size() == 3);
  open_store(worker, folder / "state.db");
}

TEST_CASE("the run lock keeps a second one out, names its holder, and goes with it") {
  Folder folder;
  const std::string state = folder / "deep/state";
  CHECK(*RunLock::holder(state) == 0);
  {
    auto lock = RunLock::take(state);
    REQUIRE(lock);
    CHECK(mode_of(state) == 0700);
    CHECK(*RunLock::holder(state) == getpid());
    const auto second = RunLock::take(state);
    REQUIRE(!second);
    CHECK(second.error().kind == ErrorKind::RunLocked);
    CHECK(second.error().what.find(std::to_string(getpid())) != std::string::npos);
  }
  CHECK(*RunLock::holder(state) == 0);
  CHECK(RunLock::take(state));
}

TEST_CASE("the disk appends, reads back, cuts and lists") {
  Folder folder;
  auto disk = std::move(*PosixDisk::open(folder / "files"));
  CHECK(mode_of(folder / "files") == 0700);
  CHECK(*disk->size("a") == 0);
  CHECK(disk->append("a", "hello "));
  CHECK(disk->append("a", "world"));
  CHECK(disk->sync("a"));
  CHECK(mode_of(folder / "files/a") == 0600);
  CHECK(*disk->read("a", 6, 100) == "world");
  CHECK(disk->read("a", 100, 5)->empty());
  CHECK(disk->truncate("a", 5));
  CHECK(disk->append("a", "!"));
  CHECK(*disk->read("a", 0, 100) == "hello!");
  CHECK(disk->append("b", ""));
  CHECK(*disk->list() == std::vector<std::string>{"a", "b"});
  CHECK(disk->remove("a"));
  CHECK(disk->remove("a"));
  CHECK(*disk->size("a") == 0);
  CHECK(disk->read("a", 0, 1).error().kind == ErrorKind::NotFound);
}

TEST_CASE("however many files a disk has, few are open at once; what is not in sync stays open") {
  Folder folder;
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto before = open_files();
  auto disk = std::move(*PosixDisk::open(folder / "files"));
  for (int i = 0; i < 500; ++i) {
    const std::string name = "f" + std::to_string(i);
    REQUIRE(disk->append(name, name));
    REQUIRE(disk->sync(name));
  }
  CHECK(open_files() - before < 100);
  for (int i = 0; i < 500; ++i) CHECK(*disk->read("f" + std::to_string(i), 0, 10) == "f" + std::to_string(i));
  CHECK(open_files() - before < 100);
  for (int i = 0; i < 200; ++i) REQUIRE(disk->append("f" + std::to_string(i), "!"));
  CHECK(open_files() - before >= 200);
  for (int i = 0; i < 200; ++i) REQUIRE(disk->sync("f" + std::to_string(i)));
  CHECK(*disk->read("f300", 0, 10) == "f300");
  CHECK(open_files() - before < 100);
}

TEST_CASE("versions are never given twice, rise across owners, and stand above the clock") {
  Folder folder;
  base::InlineWorker worker;
  auto store = open_store(worker, folder / "state.db");
  FixedClock clock;
  REQUIRE(run_task(store->commit({{"owner", "1"}})));
  std::vector<item::Version> seen;
  VersionAllotter first(*store, clock, "table/t/", 3, {"owner", "1"});
  REQUIRE(run_task(take_versions(first, 5000, seen)));
  CHECK(seen.front().t > clock.micros);
  CHECK(seen.front().era == 3);
  clock.micros = 5;  // the clock went back
  REQUIRE(run_task(store->commit({{"owner", "2"}})));
  VersionAllotter second(*store, clock, "table/t/", 3, {"owner", "2"});
  REQUIRE(run_task(take_versions(second, 10, seen)));
  for (std::size_t i = 1; i < seen.size(); ++i) {
    if (!(seen[i - 1] < seen[i]) || seen[i].t % item::kFoldStep != 0) FAIL("version " << i << " does not rise");
  }
}

TEST_CASE("an owner that was deposed is told so at its next block") {
  Folder folder;
  base::InlineWorker worker;
  auto store = open_store(worker, folder / "state.db");
  FixedClock clock;
  REQUIRE(run_task(store->commit({{"owner", "2"}})));
  VersionAllotter deposed(*store, clock, "table/t/", 0, {"owner", "1"});
  const auto version = run_task(deposed.next());
  REQUIRE(!version);
  CHECK(version.error().kind == ErrorKind::RunLocked);
}

TEST_CASE("many takers at once still get rising versions") {
  Folder folder;
  base::InlineWorker worker;
  auto store = open_store(worker, folder / "state.db");
  FixedClock clock;
  REQUIRE(run_task(store->commit({{"owner", "1"}})));
  VersionAllotter allotter(*store, clock, "t/", 0, {"owner", "1"});
  boost::asio::io_context io;
  base::TaskGroup group(io.get_executor());
  std::vector<item::Version> seen;
  for (int i = 0; i < 4; ++i) group.start(take_versions(allotter, 3000, seen));
  io.run();
  REQUIRE(seen.size() == 12000);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(std::set<item::Version>(seen.begin(), seen.end()).size() == seen.size());
}

TEST_CASE("poison stays until a newer write of its key was applied") {
  Folder folder;
  base::InlineWorker worker;
  auto store = open_store(worker, folder / "state.db");
  const std::string key("S\0\0\0\1k", 6), other("S\0\0\0\1o", 6);
  const PoisonRow old{key, {.t = 10}, "too large", "{}"},
      newer{key, {.t = 20}, "still too large", R"({"a":{"S":"ü\n"}})"};
  {
    PoisonStore poison(*store, "t");
    REQUIRE(run_task(poison.load()));
    CHECK(run_task(poison.put({newer})));
    CHECK(run_task(poison.put({old, {other, {.t = 1}, "why", ""}})));
    CHECK(poison.count() == 2);
  }
  PoisonStore poison(*store, "t");
  REQUIRE(run_task(poison.load()));
  CHECK(poison.count() == 2);
  CHECK(poison.holds(key));
  CHECK(run_task(poison.resolve({{key, {.t = 20}}, {key, {.t = 15}}})));
  CHECK(poison.count() == 2);
  auto rows = run_task(poison.list());
  REQUIRE(rows);
  CHECK(std::count(rows->begin(), rows->end(), newer) == 1);
  CHECK(run_task(poison.resolve({{key, {.t = 21}}})));
  CHECK(!poison.holds(key));
  PoisonStore again(*store, "t");
  REQUIRE(run_task(again.load()));
  CHECK(again.count() == 1);
  PoisonStore another_table(*store, "t2");
  REQUIRE(run_task(another_table.load()));
  CHECK(another_table.count() == 0);
}

TEST_CASE("what both sides are seen to hold the same of is forgotten, but not what was set aside since that look") {
  Folder folder;
  base::InlineWorker worker;
  auto store = open_store(worker, folder / "state.db");
  const std::string key("S\0\0\0\1k", 6), other("S\0\0\0\1o", 6);
  PoisonStore poison(*store, "t");
  REQUIRE(run_task(poison.put({{key, {.t = 10}, "why", "{}"}, {other, {.t = 10}, "why", "{}"}})));
  const auto seen = poison.held();
  CHECK(seen.size() == 2);
  REQUIRE(run_task(poison.put({{key, {.t = 20}, "again", "{}"}})));
  CHECK(run_task(poison.forget(seen)));
  CHECK(poison.holds(key));
  CHECK_FALSE(poison.holds(other));
  CHECK(run_task(poison.forget({{"unknown", {.t = 99}}})));
  PoisonStore again(*store, "t");
  REQUIRE(run_task(again.load()));
  CHECK(again.held() == std::vector<std::pair<std::string, item::Version>>{{key, {.t = 20}}});
}

TEST_CASE("a quarantine line is one line of JSON with keys, reason and the item as it came") {
  const item::KeySchema schema{{"pk", item::KeyType::S}, item::KeyAttribute{"sk", item::KeyType::N}};
  const item::Key key = *item::key_of_json(schema, R"({"pk":{"S":"a\"b"},"sk":{"N":"1"}})");
  PoisonRow row{key.encoded(), {1, item::Band::Change, 48}, "too \"odd\"", "{\"x\":\n {\"S\":\"\\ud800\"}}"};
  CHECK(quarantine_line("t", schema, row) ==
        R"({"Table":"t","Reason":"too \"odd\"","Era":1,"Version":"2/48","Keys":{"pk":{"S":"a\"b"},"sk":{"N":"1"}},)"
        R"("Item":{"x":  {"S":"\ud800"}}})"
        "\n");
  row.image.clear();
  CHECK(quarantine_line("t", schema, row).find("Item") == std::string::npos);
}

TEST_CASE("the quarantine file is durable line by line, and a rewrite leaves nothing else in it") {
  base::MemoryDisk disk;
  base::InlineWorker worker;
  QuarantineFile file(disk, worker, "q");
  const auto content = [&] { return disk.read("q", 0, 1000).value_or("absent"); };
  REQUIRE(base::run_task(file.append("one\n")));
  REQUIRE(base::run_task(file.append("two\n")));
  disk.crash();
  CHECK(content() == "one\ntwo\n");
  REQUIRE(base::run_task(file.rewrite("two\n")));
  disk.crash();
  CHECK(content() == "two\n");
  const auto before = disk.operations();
  REQUIRE(base::run_task(file.rewrite("two\n")));
  CHECK(disk.operations() == before + 2);  // looked at, not written
  REQUIRE(base::run_task(file.rewrite("")));
  CHECK(content() == "absent");
}
