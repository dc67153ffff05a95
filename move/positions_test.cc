#include "move/positions.h"

#include <doctest/doctest.h>

#include <deque>
#include <set>

#include "test/doubles/mutant.h"
#include "test/doubles/verify_world.h"

using namespace moveout;
using base::Instant;
using base::Micros;
using base::Millis;
using base::Result;
using base::Steady;
using base::Task;
using move::Applied;
using move::RunWatermark;
using namespace std::chrono_literals;

namespace {

constexpr const char* kStream = "arn:aws:dynamodb:eu-west-1:1:table/t/stream/x";

// A run beside the verification: its row is written each second, and is `lag` behind.
struct Beside {
  test::World world{1};
  RunWatermark watermark{world.target, world.clock, world.log, "t", kStream};
  bool lives = true;
  Micros lag = 2s;
  std::string stream = kStream;

  Beside() {
    world.target.before = [this](const std::string& call) -> std::optional<base::Error> {
      if (call == "checkpoint" && lives) write();
      return std::nullopt;
    };
    world.watermark = &watermark;
  }
  // As of the last whole second.
  void write() {
    const Instant at = std::chrono::floor<std::chrono::seconds>(world.clock.now());
    world.target.checkpoints[move::kAppliedRow] = Applied{stream, at - lag, at, Millis(1000)}.encode();
  }
  Task<Result<>> looked() {
    co_await watermark.look();
    co_return Result<>();
  }
  void look() { CHECK(test::run(world.io, world.clock, looked())); }
  Task<Result<bool>> asked(Steady instant, Millis patience) { co_return co_await watermark.passed(instant, patience); }
  bool passed(Millis patience = 60s) {
    return *test::run(world.io, world.clock, asked(world.clock.steady(), patience));
  }
};

}  // namespace

TEST_CASE("the row of what is applied comes back as it was, and damage is not guessed around") {
  const Applied applied{kStream, base::instant_of_micros(5), base::instant_of_micros(1'700'000'000'000'001), 1000ms};
  CHECK(Applied::decode(applied.encode()) == applied);
  for (const char* text :
       {"", "1", "[]", "{}", R"({"stream":"a","until":1,"at":2})", R"({"stream":1,"until":1,"at":2,"every":3})",
        R"({"stream":"a","until":"1","at":2,"every":3})", R"({"stream":"a","until":1,"at":2,"every":0})"}) {
    CAPTURE(text);
    CHECK(!Applied::decode(text));
  }
}

//  instant ── 2 s of lag ── the row says so ── passed
TEST_CASE("an instant has passed when the run's row says that everything before it is applied") {
  Beside beside;
  beside.look();
  CHECK(beside.watermark.knows());
  const Steady begin = beside.world.clock.steady();
  CHECK(beside.passed());
  CHECK(beside.world.clock.steady() - begin > 2s);
  CHECK(beside.world.clock.steady() - begin < 4s);
  CHECK(beside.watermark.told_by() == "run");
}

TEST_CASE("a run that moves but is behind lets nothing pass within the patience") {
  Beside beside;
  beside.lag = 1h;
  beside.look();
  const Steady begin = beside.world.clock.steady();
  CHECK(!beside.passed(20s));
  CHECK(beside.world.clock.steady() - begin >= 20s);
  CHECK(beside.watermark.knows());
  CHECK(beside.watermark.told_by() == "run");
}

TEST_CASE("without a run, with one of another stream or a damaged row, passed() is a wait of 5 s") {
  Beside beside;
  SUBCASE("no row") { beside.lives = false; }
  SUBCASE("another stream") { beside.stream = "arn:other"; }
  SUBCASE("damaged") {
    beside.lives = false;
    beside.world.target.checkpoints[move::kAppliedRow] = "{";
  }
  SUBCASE("the target cannot be read") {
    beside.world.target.before = [](const std::string&) -> std::optional<base::Error> {
      return base::Error{base::ErrorKind::Unavailable, "as asked"};
    };
  }
  beside.look();
  CHECK(!beside.watermark.knows());
  const Steady begin = beside.world.clock.steady();
  CHECK(beside.passed());
  CHECK(beside.world.clock.steady() - begin >= 5s);
  CHECK(beside.world.clock.steady() - begin < 5100ms);
  CHECK(beside.watermark.told_by() == "none");
}

TEST_CASE("a row that was written long ago is of a run that stands still") {
  Beside beside;
  beside.write();
  beside.lives = false;
  REQUIRE(test::run(beside.world.io, beside.world.clock, [](base::Clock& clock) -> Task<Result<>> {
    co_await clock.sleep_for(9s);
    co_return Result<>();
  }(beside.world.clock)));
  beside.look();
  CHECK(!beside.watermark.knows());
  CHECK(beside.watermark.told_by() == "stopped");
}

TEST_CASE("a run that dies while it is waited for is noticed long before the patience ends") {
  Beside beside;
  beside.look();
  REQUIRE(beside.watermark.knows());
  beside.lives = false;
  const Steady begin = beside.world.clock.steady();
  CHECK(!beside.passed(90s));
  CHECK(beside.world.clock.steady() - begin < 10s);
  CHECK(!beside.watermark.knows());
  CHECK(beside.watermark.told_by() == "stopped");
  // And one that comes back is asked again.
  beside.lives = true;
  CHECK(beside.passed());
  CHECK(beside.watermark.knows());
}

//  source  k: A ──────────── B                      the run applies it 20 s later
//  verify           R1 = B, T = A: still on its way, not a difference
TEST_CASE("a change that the run has not applied yet is waited for, and what it will never apply is found") {
  Beside beside;
  test::World& world = beside.world;
  beside.lag = 30s;
  world.fill(40);
  std::vector<item::Item> changed;
  for (const auto& [key, item] : world.db.items) {
    if (changed.size() < 10) changed.push_back(test::changed_item(world.rng, item));
  }
  for (const item::Item& item : changed) world.db.put(item);
  const Steady made = world.clock.steady();
  const auto writes = world.target.before;
  world.target.before = [&](const std::string& call) -> std::optional<base::Error> {
    if (world.clock.steady() - made > 20s) {
      // All but the last: that one is lost.
      for (std::size_t i = 0; i + 1 < changed.size(); ++i) world.target.put(world.key_of(changed[i]), changed[i]);
    }
    return writes(call);
  };
  world.config.patience = 90s;
  beside.look();
  const verify::Report report = world.report();
  CHECK(report.different == 1);
  CHECK(report.missing + report.extra + report.hot == 0);
  REQUIRE(report.first.size() == 1);
  CHECK(report.first[0].key == world.key_of(changed.back()));
  CHECK(report.matched == 39);
  CHECK(beside.watermark.told_by() == "run");
}

TEST_CASE("when the run dies under a verification, differences are still found, by reading again after 5 s") {
  Beside beside;
  test::World& world = beside.world;
  world.fill(40);
  world.target.rows.begin()->second.item.reset();
  beside.look();
  beside.lives = false;
  const Steady begin = world.clock.steady();
  const verify::Report report = world.report();
  CHECK(report.missing == 1);
  CHECK(report.hot == 0);
  CHECK(world.clock.steady() - begin < 60s);
  CHECK(beside.watermark.told_by() == "stopped");
}

//  source   A ──── B ──── A        each write is applied in order, up to a lag that comes and goes
//  the row       until = the oldest write that is not applied; written at every look
// Between any two calls of the verification something may be written and something applied.
namespace {

struct LiveRun {
  struct Write {
    item::Key key;
    std::optional<item::Item> image;
    item::Version version;
    base::Instant at;
  };

  LiveRun(test::World& w, std::uint64_t seed) : world(w), rng(seed) {
    world.db.before = world.target.before = [this](const std::string& call) -> std::optional<base::Error> {
      for (std::uint64_t n = rng.below(3); n > 0; --n) write();
      if (rng.chance(30)) lag = Micros(rng.below(rng.chance(5) ? 120'000'000 : 8'000'000));
      while (!pending.empty() && pending.front().at + lag <= world.clock.now()) apply_one();
      if (call == "checkpoint") publish();
      return std::nullopt;
    };
  }
  void write() {
    const item::Item item = test::random_item(rng, rng.below(40));
    const item::Key key = world.key_of(item);
    if (untouched.contains(key)) return;
    Write one{key, item, {0, item::Band::Change, 16 * ++t}, world.clock.now()};
    if (rng.chance(4)) {
      if (!world.db.items.contains(key.encoded())) return;
      world.db.erase(key);
      one.image.reset();
    } else {
      // Often a value that stood there before, so that values alone prove nothing.
      if (rng.chance(2)) one.image = first.try_emplace(key, item).first->second;
      world.db.put(*one.image);
    }
    pending.push_back(std::move(one));
  }
  void apply_one() {
    world.target.rows[pending.front().key] = {pending.front().image, pending.front().version};
    pending.pop_front();
  }
  void publish() {
    const Instant now = world.clock.now();
    world.target.checkpoints[move::kAppliedRow] =
        Applied{kStream, pending.empty() ? now : pending.front().at, now, Millis(1000)}.encode();
  }
  verify::Report verified() {
    RunWatermark watermark(world.target, world.clock, world.log, "t", kStream);
    world.watermark = &watermark;
    world.config.patience = 30s;
    return *test::run(world.io, world.clock, [](test::World& w, RunWatermark& m) -> Task<Result<verify::Report>> {
      co_await m.look();
      verify::Verifier verifier = w.verifier();
      co_return co_await verifier.run();
    }(world, watermark));
  }

  test::World& world;
  base::Rng rng;
  Micros lag{1'000'000};
  std::deque<Write> pending;
  std::set<item::Key> untouched;
  std::map<item::Key, item::Item> first;
  std::int64_t t = 0;
};

}  // namespace

TEST_CASE("a verification beside a run never accuses it while the table is written to") {
  std::uint64_t hot = 0, matched = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    test::World world(seed);
    world.fill(40);
    LiveRun run(world, seed);
    const verify::Report report = run.verified();
    CHECK(report.clean());
    hot += report.hot;
    matched += report.matched;
  }
  CHECK(matched > 20 * hot);
}

#ifdef MOVEOUT_MUTANTS
TEST_CASE("values read twice, whatever the run says, accuse it") {
  const test::Mutant mutant("verify_values_only");
  std::uint64_t accused = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    test::World world(seed);
    world.fill(40);
    LiveRun run(world, seed);
    accused += run.verified().clean() ? 0 : 1;
  }
  CHECK(accused > 0);
}
#endif

TEST_CASE("what a run has lost is found among live writes") {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    test::World world(seed);
    world.fill(40);
    LiveRun run(world, seed);
    auto row = world.target.rows.begin();
    std::advance(row, static_cast<std::ptrdiff_t>(run.rng.below(world.target.rows.size())));
    run.untouched.insert(row->first);
    row->second.item.reset();
    const verify::Report report = run.verified();
    // A run that is behind for longer than the patience leaves it open: then it is hot, never equal.
    CHECK(report.missing + report.extra + report.different + report.hot >= 1);
    CHECK(report.missing + report.extra + report.different <= 1);
    found += report.missing == 1;
  }
  CHECK(found > 100);
}
