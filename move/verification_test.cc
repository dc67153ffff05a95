#include "move/verification.h"

#include <doctest/doctest.h>

#include "test/doubles/verify_world.h"

using namespace moveout;
using base::Result;
using base::Steady;
using base::Task;
using move::Applied;
using move::Verification;
using namespace std::chrono_literals;

namespace {

constexpr const char* kStream = "arn:aws:dynamodb:eu-west-1:1:table/t/stream/x";

// One table, verified as the command does it. `run`: a run beside it says at every look that all is applied.
struct Beside {
  test::World world{1};
  test::MapTarget* target = nullptr;
  move::VerifySpec spec{{"t", "t"}, "here", "one.db", base::Millis(0)};
  bool run = true;
  std::function<void()> at_look;  // whenever the target is read

  std::unique_ptr<test::MapTarget> make_target() {
    auto made = std::make_unique<test::MapTarget>();
    made->rows = world.target.rows;
    target = made.get();
    made->before = [this](const std::string& call) -> std::optional<base::Error> {
      if (call == "read" && at_look) at_look();
      if (call == "checkpoint" && run) {
        const base::Instant now = world.clock.now();
        target->checkpoints[move::kAppliedRow] = Applied{kStream, now, now, base::Millis(1000)}.encode();
      }
      return std::nullopt;
    };
    return made;
  }
  Result<verify::Report> verified(std::string* told_by = nullptr) {
    move::VerifySeams seams{world.clock, world.log, world.source, world.disk, world.worker};
    Verification verification(spec, seams, make_target(), world.rng.fork());
    Result<verify::Report> report =
        test::run(world.io, world.clock, [](Verification& each) -> Task<Result<verify::Report>> {
          if (Result<> opened = co_await each.open(); !opened) co_return base::fail(opened.error());
          co_return co_await each.run();
        }(verification));
    if (told_by != nullptr) *told_by = verification.told_by();
    return report;
  }
};

}  // namespace

TEST_CASE("a verification finds what is wrong, and says who told of what is applied") {
  Beside beside;
  std::string told_by;
  SUBCASE("beside a run") { beside.world.db.stream_arn = kStream; }
  SUBCASE("without one") { beside.run = false; }
  beside.world.fill(30);
  beside.world.target.rows.begin()->second.item.reset();
  const Result<verify::Report> report = beside.verified(&told_by);
  REQUIRE(report);
  CHECK(report->missing == 1);
  CHECK(report->matched == 29);
  CHECK(told_by == (beside.run ? "run" : "none"));
}

//  source  k: A ── B in a shard that DescribeStream hides            the run finds it two minutes later: T = B
//  run     "everything is applied" ── verify: R = B, T = A, twice … … … equal
TEST_CASE("what a hidden shard explains is no difference where differences have to last, and a real one is") {
  Beside beside;
  test::World& world = beside.world;
  world.db.stream_arn = kStream;
  world.fill(30);
  std::vector<item::Item> changed;
  for (const auto& [key, item] : world.db.items) {
    if (changed.size() < 3) changed.push_back(test::changed_item(world.rng, item));
  }
  for (const item::Item& item : changed) world.db.put(item);
  const Steady begin = world.clock.steady();
  beside.at_look = [&] {
    if (world.clock.steady() - begin < 2min) return;
    // All but the last: that one is lost.
    for (std::size_t i = 0; i + 1 < changed.size(); ++i) beside.target->put(world.key_of(changed[i]), changed[i]);
  };
  SUBCASE("with a wait") {
    beside.spec.difference_wait = 10min;
    const Result<verify::Report> report = beside.verified();
    REQUIRE(report);
    CHECK(report->different == 1);
    REQUIRE(report->first.size() == 1);
    CHECK(report->first[0].key == world.key_of(changed.back()));
    CHECK(report->matched == 29);
    CHECK(report->missing + report->extra + report->hot == 0);
    CHECK(world.clock.steady() - begin >= 10min);
    CHECK(world.clock.steady() - begin < 12min);
  }
  SUBCASE("without one") {
    const Result<verify::Report> report = beside.verified();
    REQUIRE(report);
    CHECK(report->different == 3);
    CHECK(world.clock.steady() - begin < 1min);
  }
}

TEST_CASE("equal tables are told at once, whatever differences have to wait for") {
  Beside beside;
  beside.world.db.stream_arn = kStream;
  beside.world.fill(30);
  beside.spec.difference_wait = 10min;
  const Steady begin = beside.world.clock.steady();
  const Result<verify::Report> report = beside.verified();
  REQUIRE(report);
  CHECK(report->clean());
  CHECK(beside.world.clock.steady() - begin < 1min);
}

TEST_CASE("what was compared of another source or target is not gone on with") {
  Beside beside;
  test::World& world = beside.world;
  beside.run = false;
  world.fill(60);
  // Stopped in the target, when the source was read.
  int scans = 0;
  world.db.before = [&](const std::string& call) -> std::optional<base::Error> {
    scans += call == "Scan" ? 1 : 0;
    if (call == "BatchGetItem") return base::Error{base::ErrorKind::Unavailable, "as asked"};
    return std::nullopt;
  };
  const auto lost = world.target.rows.begin();
  const std::optional<item::Item> there = std::exchange(lost->second.item, std::nullopt);
  CHECK(!beside.verified());
  const int whole = std::exchange(scans, 0);
  CHECK(whole > 0);
  lost->second.item = there;
  CHECK(!beside.verified());
  CHECK(scans == 0);  // it went on
  SUBCASE("another file") { beside.spec.target_place = "two.db"; }
  SUBCASE("another server") { beside.spec.source_place = "there"; }
  world.db.before = [&](const std::string& call) -> std::optional<base::Error> {
    scans += call == "Scan" ? 1 : 0;
    return std::nullopt;
  };
  const Result<verify::Report> report = beside.verified();
  REQUIRE(report);
  CHECK(report->clean());
  CHECK(scans == whole);
}
