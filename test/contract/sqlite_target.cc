// What SQLite alone promises: the shape of the tables, files of others, copy, and disks that fail.
#include <sqlite3.h>

#include <fstream>
#include <iterator>

#include "base/signal.h"
#include "base/task_group.h"
#include "test/contract/faulty_vfs.h"
#include "test/contract/worlds.h"

using namespace moveout;
using namespace moveout::test;
using base::ErrorKind;
using base::run_task;
using target::Checkpoints;
using target::Mode;

namespace {

constexpr auto kA = Outcome::Applied;
constexpr auto kS = Outcome::Stale;
using Seen = std::vector<Outcome>;

// What a reader that knows nothing of moveout sees: rows as text, columns by '|', NULL as "-".
std::vector<std::string> select(const std::string& file, const std::string& sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr) == SQLITE_OK);
  std::vector<std::string> rows;
  const auto add = [](void* to, int count, char** values, char**) {
    std::string row;
    for (int i = 0; i < count; ++i) row += (i ? "|" : "") + std::string(values[i] ? values[i] : "-");
    static_cast<std::vector<std::string>*>(to)->push_back(std::move(row));
    return 0;
  };
  char* error = nullptr;
  const int code = sqlite3_exec(db, sql.c_str(), add, &rows, &error);
  CAPTURE(error);
  CHECK(code == SQLITE_OK);
  sqlite3_close(db);
  return rows;
}

std::string bytes_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

using Lines = std::vector<std::string>;

// Begins its work only when the gate opens; cancelled before, it drops it.
class GatedWorker final : public base::Worker {
 public:
  base::Signal* gate = nullptr;
  base::Task<> run(std::function<void()> work) override {
    if (gate != nullptr) co_await gate->wait();
    work();
  }
};

base::Task<base::Result<>> apply_into(target::Target& to, item::Batch batch, Checkpoints checkpoints, Seen& seen) {
  base::Result<target::Outcomes> outcomes = co_await to.apply(std::move(batch), std::move(checkpoints));
  if (!outcomes) co_return base::fail(std::move(outcomes.error()));
  seen = outcomes->each;
  co_return base::Result<>();
}

base::Task<base::Result<>> stop_group(base::TaskGroup& group) {
  co_await group.stop();
  co_return base::Result<>();
}

}  // namespace

TEST_CASE("the table reads by plain SQL as the product says") {
  SqliteWorld world;
  auto to = world.process();
  open(world, *to);
  apply(world, *to,
        {{"a", backfill(), R"("bin":{"B":"AP8="},"num":{"N":"42"},"ok":{"BOOL":true},"text":{"S":"x"})"},
         {"b", change(5), R"("num":{"N":"1.50"},"ok":{"S":"no"},"more":{"NS":["1"]})"},
         {"c", change(5), "-"}});
  CHECK(select(world.file(), "SELECT id,at,hex(bin),num,typeof(num),ok,text,attributes FROM t ORDER BY id") ==
        Lines{"a|1|00FF|42|integer|1|x|-", R"(b|1||1.5|text|-|-|{"ok":{"S":"no"},"more":{"NS":["1"]}})"});
  CHECK(select(world.file(), "SELECT name, type, pk FROM pragma_table_info('t')") ==
        Lines{"id|TEXT|1", "at|ANY|2", "bin|BLOB|0", "num|ANY|0", "ok|INTEGER|0", "text|TEXT|0", "attributes|TEXT|0"});
  CHECK(select(world.file(), "SELECT strict FROM pragma_table_list('t')") == Lines{"1"});
  // Back-filled rows carry no guard; deleted ones keep theirs.
  CHECK(select(world.file(), "SELECT version, deleted FROM _moveout_guard_t ORDER BY deleted") ==
        Lines{std::to_string(change(5).packed()) + "|0", std::to_string(change(5).packed()) + "|1"});
  REQUIRE(run_task(world.io, to->finish()));
  CHECK(select(world.file(), "SELECT name FROM sqlite_schema WHERE name LIKE '\\_moveout%' ESCAPE '\\'").empty());
  CHECK(select(world.file(), "PRAGMA journal_mode") == Lines{"delete"});
  CHECK(!std::filesystem::exists(world.file() + "-wal"));
}

TEST_CASE("from the second era on the back-fill writes its guards") {
  SqliteWorld world;
  auto to = world.process();
  open(world, *to);
  apply(world, *to, {{"a", backfill(), ""}});
  CHECK(select(world.file(), "SELECT count(*) FROM _moveout_guard_t") == Lines{"0"});
  apply(world, *to, {{"a", backfill(2000, 1), ""}, {"b", backfill(2000, 1), ""}});
  CHECK(select(world.file(), "SELECT count(*) FROM _moveout_guard_t") == Lines{"2"});
}

TEST_CASE("what is not an SQLite file, or holds rows of others, is refused and left as it is") {
  SqliteWorld world;
  SUBCASE("text") { std::ofstream(world.file()) << "these are my notes, and not a database at all, in any way\n"; }
  SUBCASE("rows") {
    select(world.file(), "CREATE TABLE t(id TEXT, at ANY, attributes TEXT); INSERT INTO t VALUES('x',1,'')");
  }
  SUBCASE("shape") { select(world.file(), "CREATE TABLE t(id TEXT PRIMARY KEY, at INTEGER)"); }
  SUBCASE("keys") { select(world.file(), "CREATE TABLE t(id BLOB, at ANY, attributes TEXT) STRICT"); }
  SUBCASE("overflow") { select(world.file(), "CREATE TABLE t(id TEXT, at ANY) STRICT"); }
  SUBCASE("twin") { select(world.file(), "CREATE TABLE T(id TEXT, at ANY, attributes TEXT) STRICT"); }
  SUBCASE("view") { select(world.file(), "CREATE VIEW t AS SELECT 1"); }
  const std::string before = bytes_of(world.file());
  auto to = world.process();
  CHECK(kind_of(world, to->open("run-1", 1, layout(), Mode::Run, false)) == ErrorKind::Usage);
  to.reset();
  CHECK(bytes_of(world.file()) == before);
  CHECK(!std::filesystem::exists(world.file() + "-wal"));
}

TEST_CASE("names that SQLite or moveout keep are refused, odd ones are fine") {
  SqliteWorld world;
  auto to = world.process();
  CHECK(kind_of(world, to->open("r", 1, layout("sqlite_x"), Mode::Run, false)) == ErrorKind::Usage);
  CHECK(kind_of(world, to->open("r", 1, layout("_moveout_run"), Mode::Run, false)) == ErrorKind::Usage);
  const item::KeySchema reserved{{"attributes", item::KeyType::S}, std::nullopt};
  CHECK(kind_of(world, to->open("r", 1, {"t", reserved, ""}, Mode::Run, false)) == ErrorKind::Usage);
  const item::KeySchema odd{{"row\"id ü", item::KeyType::S}, item::KeyAttribute{"rowid", item::KeyType::S}};
  REQUIRE(run_task(world.io, to->open("r", 1, {"my-table.\"x\" select", odd, ""}, Mode::Run, false)));
  const std::string json = R"({"row\"id ü":{"S":"a"},"rowid":{"S":"b"}})";
  item::Batch batch;
  batch.add_copy(item::key_of_json(odd, json).value().encoded(), change(1), json);
  CHECK(run_task(world.io, to->apply(batch, {}))->count(kA) == 1);
  CHECK(all_rows(world, *to).size() == 1);
  REQUIRE(run_task(world.io, to->finish()));
}

TEST_CASE("an empty table of the right shape is taken as it is") {
  for (const Mode mode : {Mode::Run, Mode::Copy}) {
    SqliteWorld world;
    select(world.file(), "CREATE TABLE t(text TEXT, at ANY NOT NULL, id TEXT NOT NULL, attributes TEXT) STRICT");
    auto to = world.process();
    CHECK(!open(world, *to, 1, mode).columns_json.empty());
    CHECK(apply(world, *to, {{"a", backfill(), R"("text":{"S":"x"},"num":{"N":"1"})"}}) == Seen{kA});
    REQUIRE(run_task(world.io, to->seal()));
    CHECK(standing(world, *to, "a") == canonical(item_json("a", R"("text":{"S":"x"},"num":{"N":"1"})")));
    CHECK(select(world.file(), "SELECT text, attributes FROM t") == Lines{R"(x|{"num":{"N":"1"}})"});
    CHECK(select(world.file(), "SELECT name FROM pragma_index_list('t')") == Lines{"_moveout_key_t"});
  }
}

TEST_CASE("copy appends, and its key is built at the end and stays") {
  SqliteWorld world;
  auto to = world.process();
  open(world, *to, 1, Mode::Copy);
  CHECK(apply(world, *to, {{"a", backfill(), ""}, {"b", backfill(), ""}}, {{"segment/0", "1"}}) == Seen{kA, kA});
  CHECK(select(world.file(), "SELECT count(*) FROM pragma_index_list('t')") == Lines{"0"});
  CHECK(kind_of(world, to->apply(batch_of({{"a", change(5), ""}}), {})) == ErrorKind::Usage);
  CHECK(kind_of(world, to->apply(batch_of({{"a", backfill(), "-"}}), {})) == ErrorKind::Usage);
  to = world.process();
  CHECK(open(world, *to, 2, Mode::Copy, true).checkpoints == Checkpoints{{"segment/0", "1"}});
  CHECK(apply(world, *to, {{"c", backfill(), ""}, {"b", backfill(), ""}}) == Seen{kA, kA});
  REQUIRE(run_task(world.io, to->seal()));
  REQUIRE(run_task(world.io, to->seal()));
  CHECK(select(world.file(), "SELECT id FROM t ORDER BY id") == Lines{"a", "b", "c"});
  CHECK(apply(world, *to, {{"c", backfill(), ""}, {"d", backfill(), ""}}) == Seen{kS, kA});
  to = world.process();
  const target::Opened opened = open(world, *to, 3, Mode::Copy, true);
  CHECK(opened.sealed);
  // `moveout finish` knows of no mode.
  to = world.process();
  open(world, *to, 3, Mode::Run, true);
  REQUIRE(run_task(world.io, to->finish()));
  CHECK(select(world.file(), "SELECT name, \"unique\" FROM pragma_index_list('t')") == Lines{"_moveout_key_t|1"});
  CHECK(select(world.file(), "SELECT name FROM sqlite_schema ORDER BY name") == Lines{"_moveout_key_t", "t"});
}

TEST_CASE("several tables of one run share a file, and the last finish takes the marks") {
  SqliteWorld world;
  auto database = world.database();
  auto one = target::sqlite::make_target(database), two = target::sqlite::make_target(database);
  REQUIRE(run_task(world.io, one->open("run", 1, layout("one"), Mode::Run, false)));
  REQUIRE(run_task(world.io, two->open("run", 1, layout("two"), Mode::Run, false)));
  apply(world, *one, {{"a", change(1), ""}}, {{"c", "1"}});
  apply(world, *two, {{"a", change(1), "-"}, {"b", backfill(), ""}}, {{"c", "2"}});
  CHECK(standing(world, *one, "a") != "");
  CHECK(standing(world, *two, "a").empty());
  REQUIRE(run_task(world.io, one->finish()));
  CHECK(apply(world, *two, {{"d", change(1), ""}}) == Seen{kA});
  CHECK(select(world.file(), "SELECT tbl, name, value FROM _moveout_checkpoint") == Lines{"two|c|2"});
  REQUIRE(run_task(world.io, two->finish()));
  CHECK(select(world.file(), "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1") == Lines{"one", "two"});
  CHECK(kind_of(world, one->apply(batch_of({{"z", change(9), ""}}), {})) != ErrorKind::Unavailable);
}

TEST_CASE("a table or mark that goes away under a run is said as such") {
  SqliteWorld world;
  auto to = world.process();
  open(world, *to);
  apply(world, *to, {{"a", backfill(), ""}});
  SUBCASE("table") { select(world.file(), "DROP TABLE t"); }
  SUBCASE("marks") { select(world.file(), "DELETE FROM _moveout_run"); }
  SUBCASE("mark table") { select(world.file(), "DROP TABLE _moveout_run"); }
  CHECK(kind_of(world, to->apply(batch_of({{"b", backfill(), ""}}), {})) == ErrorKind::TargetChanged);
  auto next = world.process();
  CHECK(kind_of(world, next->open("run-1", 2, layout(), Mode::Run, true)) == ErrorKind::TargetChanged);
  std::filesystem::remove(world.file());
  auto none = world.process();
  CHECK(kind_of(world, none->open("run-1", 2, layout(), Mode::Run, true)) == ErrorKind::TargetChanged);
  CHECK(!std::filesystem::exists(world.file()));
}

TEST_CASE("another key than the table was made for is a changed schema") {
  SqliteWorld world;
  auto to = world.process();
  open(world, *to);
  const item::KeySchema other{{"id", item::KeyType::S}, std::nullopt};
  CHECK(kind_of(world, to->open("run-1", 1, {"t", other, ""}, Mode::Run, true)) == ErrorKind::SchemaChanged);
}

TEST_CASE("a full disk applies nothing, says so, and the same batch goes in later") {
  FaultyVfs vfs;
  SqliteWorld world;
  auto to = target::sqlite::make_target(world.database(FaultyVfs::name()));
  open(world, *to);
  apply(world, *to, {{"a", backfill(), ""}}, {{"c", "1"}});
  vfs.fail_write(1, SQLITE_FULL, /*lasting=*/true);
  const std::vector<Put> puts{{"b", backfill(), R"("text":{"S":"x"})"}, {"a", change(5), "-"}};
  CHECK(kind_of(world, to->apply(batch_of(puts), {{"c", "2"}})) == ErrorKind::DiskFull);
  CHECK(kind_of(world, to->apply(batch_of(puts), {{"c", "2"}})) == ErrorKind::DiskFull);
  vfs.heal();
  CHECK(all_rows(world, *to).size() == 1);
  CHECK(apply(world, *to, puts, {{"c", "2"}}) == Seen{kA, kA});
  CHECK(all_rows(world, *to).size() == 1);
  CHECK(open(world, *to, 1, Mode::Run, true).checkpoints == Checkpoints{{"c", "2"}});
}

TEST_CASE("after an open that failed nothing is read or written") {
  SqliteWorld world;
  auto to = world.process();
  open(world, *to, 1);
  open(world, *world.process(), 2, Mode::Run, true);
  CHECK(kind_of(world, to->open("run-1", 1, layout(), Mode::Run, true)) == ErrorKind::RunLocked);
  CHECK(!run_task(world.io, to->apply(batch_of({{"a", backfill(), ""}}), {})));
  auto never = world.process();
  CHECK(kind_of(world, never->apply(batch_of({{"a", backfill(), ""}}), {})) == ErrorKind::Usage);
  CHECK(kind_of(world, never->scan("", 5)) == ErrorKind::Usage);
  CHECK(kind_of(world, never->seal()) == ErrorKind::Usage);
  CHECK(kind_of(world, never->finish()) == ErrorKind::Usage);
}

// apply 1 leads and is cancelled before the worker begins · applies 2 and 3 wait behind it
TEST_CASE("when the apply that commits for the others is cancelled, another takes over") {
  GatedWorker worker;
  SqliteWorld world;
  base::NoLog log;
  boost::asio::io_context& io = world.io;
  base::Signal gate(io.get_executor());
  auto to = target::sqlite::make_target(
      target::sqlite::Database::make({.path = world.file(), .vfs = ""}, worker, io.get_executor(), log));
  open(world, *to);
  worker.gate = &gate;
  base::TaskGroup first(io.get_executor()), others(io.get_executor()), stopping(io.get_executor());
  std::vector<Seen> seen(3);
  first.start(apply_into(*to, batch_of({{"a", backfill(), ""}}), {{"1", "x"}}, seen[0]));
  others.start(apply_into(*to, batch_of({{"b", backfill(), ""}}), {{"2", "x"}}, seen[1]));
  others.start(apply_into(*to, batch_of({{"c", backfill(), ""}}), {{"3", "x"}}, seen[2]));
  io.restart();
  io.poll();
  stopping.start(stop_group(first));
  io.restart();
  io.poll();
  CHECK(first.size() == 0);
  for (int i = 0; i < 5; ++i) {
    gate.notify_all();
    io.restart();
    io.poll();
  }
  CHECK(others.size() == 0);
  CHECK(!others.failed());
  CHECK(seen == std::vector<Seen>{{}, {kA}, {kA}});
  worker.gate = nullptr;
  CHECK(all_rows(world, *to).size() == 2);
  CHECK(open(world, *to, 1, Mode::Run, true).checkpoints.size() == 2);
}

// Page n inserts keys n·3 … n·3+2 and moves the checkpoint to n+1; whatever write or sync fails on the way, the run
// goes on from what it is told, and from the checkpoint after a restart.
TEST_CASE("whatever write or sync fails, rows and checkpoints agree and nothing stands twice") {
  int struck = 0;
  for (const Mode mode : {Mode::Copy, Mode::Run}) {
    for (const bool sync : {false, true}) {
      for (const int code : {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC}) {
        for (const bool lasting : {false, true}) {
          for (int nth = 1; nth <= 24; ++nth) {
            CAPTURE(sync);
            CAPTURE(code);
            CAPTURE(nth);
            FaultyVfs vfs;
            SqliteWorld world;
            auto to = target::sqlite::make_target(world.database(FaultyVfs::name()));
            open(world, *to, 1, mode);
            sync ? vfs.fail_sync(nth, code, lasting) : vfs.fail_write(nth, code, lasting);
            for (int page = 0, tries = 0; page < 6; ++tries) {
              REQUIRE(tries < 20);
              std::vector<Put> puts;
              for (int i = 0; i < 3; ++i) {
                puts.push_back(
                    {std::to_string(page * 3 + i), backfill(), R"("text":{"S":")" + std::string(3000, 'x') + "\"}"});
              }
              auto done = run_task(world.io, to->apply(batch_of(puts), {{"page", std::to_string(page + 1)}}));
              if (done) {
                ++page;
                continue;
              }
              CHECK((done.error().kind == ErrorKind::DiskFull || done.error().kind == ErrorKind::Unavailable));
              if (lasting) vfs.heal();
              if (done.error().kind != ErrorKind::Unavailable) continue;
              const Checkpoints kept = open(world, *to, 1, mode, true).checkpoints;
              page = kept.empty() ? 0 : std::stoi(kept[0].value);
            }
            struck += vfs.struck() || lasting ? 1 : 0;
            vfs.heal();
            REQUIRE(run_task(world.io, to->seal()));
            CHECK(select(world.file(), "SELECT count(*), count(DISTINCT id) FROM t") == Lines{"18|18"});
            to.reset();
            to = world.process();
            CHECK(open(world, *to, 2, mode, true).checkpoints == Checkpoints{{"page", "6"}});
          }
        }
      }
    }
  }
  CHECK(struck > 100);
}
