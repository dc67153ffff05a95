#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <set>

#include "backfill/scan_backfill.h"
#include "backfill/segment.h"
#include "base/task_group.h"
#include "test/doubles/backfill_world.h"
#include "test/doubles/mutant.h"

using namespace moveout;
using backfill::ScanBackfill;
using backfill::ScanProgress;
using base::ErrorKind;
using base::Result;
using base::Task;
using test::World;

TEST_CASE("every item arrives once, with the back-fill's version, whatever the pages look like") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    World world(seed);
    base::Rng rng(seed);
    world.config.segments = static_cast<int>(1 + rng.below(20));
    world.config.workers = static_cast<int>(1 + rng.below(8));
    world.db.options.page_items = 1 + rng.below(30);
    world.db.options.empty_page_one_in = rng.chance(2) ? 0 : 2 + rng.below(3);
    world.db.options.throttle_one_in = rng.chance(2) ? 0 : 2 + rng.below(6);
    world.db.options.capacity = rng.chance(2);
    world.fill(static_cast<int>(rng.below(300)));
    const std::unique_ptr<ScanBackfill> one = world.make();
    REQUIRE(test::run(world.io, world.clock, one->run()));
    CHECK(world.equal());
    for (const auto& [key, row] : world.target.rows) CHECK(row.version == world.config.version);
    const ScanProgress progress = one->progress();
    CHECK(progress.items == world.db.items.size());
    CHECK(progress.segments_done == world.config.segments);
    CHECK(progress.segments == world.config.segments);
    if (world.db.options.capacity) CHECK(progress.consumed_rcu == doctest::Approx(world.db.consumed));
    std::size_t written = 0;
    for (const std::size_t size : world.target.batches) written += size;
    CHECK(written == world.db.items.size());
  }
}

TEST_CASE("a checkpoint never says more than the target has, and one segment's go forward only") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World world(seed);
    world.db.options.page_items = 3;
    world.fill(120);
    std::map<std::string, std::uint64_t> last;
    std::uint64_t items = 0;
    world.target.on_checkpoint = [&](const target::Checkpoint& checkpoint) {
      const Result<backfill::SegmentAt> at = backfill::parse_segment(checkpoint.value);
      REQUIRE(at);
      CHECK(at->items >= last[checkpoint.name]);
      items += at->items - last[checkpoint.name];
      last[checkpoint.name] = at->items;
    };
    REQUIRE(world.run());
    CHECK(items == 120);
    CHECK(last.size() == 5);
  }
}

TEST_CASE("stopped anywhere, by the source or the target, it resumes and ends complete, reading little again") {
  for (std::uint64_t seed = 1; seed <= 120; ++seed) {
    CAPTURE(seed);
    World world(seed);
    base::Rng rng(seed);
    world.db.options.page_items = 4;
    world.config.segments = static_cast<int>(1 + rng.below(12));
    world.fill(150);
    bool broken = false;
    const std::uint64_t one_in = 5 + rng.below(30);
    const auto fail = [&](const std::string&) -> std::optional<base::Error> {
      broken |= rng.chance(one_in);
      if (!broken) return std::nullopt;
      return base::Error{ErrorKind::EndpointDown, "gone"};
    };
    if (rng.chance(2)) {
      world.db.before = fail;
    } else {
      world.target.before = fail;
    }
    for (int stops = 0; stops < 6; ++stops) {
      broken = false;
      const Result<> result = world.run();
      if (result) break;
      CHECK(result.error().kind == ErrorKind::EndpointDown);
    }
    world.db.before = {};
    world.target.before = {};
    const std::unique_ptr<ScanBackfill> last = world.make();
    REQUIRE(test::run(world.io, world.clock, last->run()));
    CHECK(world.equal());
    CHECK(last->progress().items == world.db.items.size());
    CHECK(last->progress().segments_done == world.config.segments);
    for (const auto& [segment, segments] : world.db.segments_asked) CHECK(segments == world.config.segments);
    // Nothing is left to do.
    world.db.calls.clear();
    REQUIRE(world.run());
    CHECK(world.db.calls["Scan"] == 0);
  }
}

TEST_CASE("checkpoints of another cut, or that cannot be read, stop it before anything is read") {
  for (const auto& [name, value] : std::map<std::string, std::string>{{"segment/5", "1 1 1 1 done\n"},
                                                                      {"segment/0", "1 1 1 1 open\n"},
                                                                      {"segment/0", "rubbish"},
                                                                      {"segment/x", "1 1 1 1 done\n"}}) {
    World world(1);
    world.fill(10);
    world.target.checkpoints[name] = value;
    const Result<> result = world.run();
    REQUIRE(!result);
    CHECK(result.error().kind == ErrorKind::Corrupt);
    CHECK(world.db.calls["Scan"] == 0);
  }
}

TEST_CASE("an item without its key stops it and is named by segment and page, and no checkpoint passes it") {
  World world(2);
  world.fill(60);
  const std::string key = world.db.items.begin()->first;
  world.db.raw[key] = R"({"id":{"S":"k0"},"other":{"N":"1"}})";
  const Result<> result = world.run();
  REQUIRE(!result);
  CHECK(result.error().kind == ErrorKind::Corrupt);
  CHECK(result.error().what.find("segment") != std::string::npos);
  CHECK(result.error().what.find("page") != std::string::npos);
  world.db.raw.clear();
  REQUIRE(world.run());
  CHECK(world.equal());
}

TEST_CASE("an item that nobody understands is set aside under its key, and its page goes on") {
  World world(2);
  world.fill(60);
  const auto [key, item] = *world.db.items.begin();
  std::string text = item::to_json(item);
  text.insert(1, R"("odd":{"S":"\ud800"},)");
  world.db.raw[key] = text;
  REQUIRE(world.run());
  REQUIRE(world.quarantine.kept.size() == 1);
  const target::Poison& poison = world.quarantine.kept[0];
  CHECK(poison.key == key);
  CHECK(poison.image == text);
  CHECK(poison.version == world.config.version);
  CHECK(poison.reason.find("surrogate") != std::string::npos);
  world.db.items.erase(key);
  CHECK(world.equal());
}

TEST_CASE("the ceiling in RCU/s holds, and can be moved while it runs") {
  World world(3);
  world.db.options.page_items = 10;
  world.fill(600);
  world.config.max_rcu = 5;
  const base::Steady begin = world.clock.steady();
  REQUIRE(world.run());
  const double seconds = static_cast<double>((world.clock.steady() - begin).count()) / 1e6;
  CHECK(world.db.consumed <= 5 * seconds + 5);
  CHECK(world.db.consumed >= 5 * seconds * 0.5);

  world.target.checkpoints.clear();
  world.config.max_rcu = 0.5;
  const std::unique_ptr<ScanBackfill> slow = world.make();
  const double before = world.db.consumed;
  const base::Steady again = world.clock.steady();
  world.db.before = [&](const std::string&) -> std::optional<base::Error> {
    if (world.clock.steady() - again > base::Millis(20'000)) slow->set_max_rcu(0);
    return std::nullopt;
  };
  REQUIRE(test::run(world.io, world.clock, slow->run()));
  const double took = static_cast<double>((world.clock.steady() - again).count()) / 1e6;
  CHECK(took < 30);
  CHECK(world.db.consumed - before > 15);
}

TEST_CASE("throttles slow it down and are no errors") {
  World world(4);
  world.db.options.throttle_one_in = 2;
  world.fill(300);
  REQUIRE(world.run());
  CHECK(world.db.throttled > 20);
  CHECK(world.equal());
}

TEST_CASE("paused, it asks for no page; resumed, it ends") {
  World world(5);
  world.fill(200);
  const std::unique_ptr<ScanBackfill> one = world.make();
  int calls = 0;
  world.db.before = [&](const std::string&) -> std::optional<base::Error> {
    if (++calls == 6) one->pause(true);
    return std::nullopt;
  };
  std::optional<Result<>> result;
  boost::asio::co_spawn(world.io, one->run(), [&](std::exception_ptr thrown, Result<> value) {
    REQUIRE(!thrown);
    result = std::move(value);
  });
  do {
    world.io.restart();
    world.io.poll();
  } while (world.clock.advance());
  CHECK(!result);
  CHECK(calls >= 6);
  CHECK(calls <= 6 + world.config.workers);
  // What was read before the pause was written.
  std::size_t written = 0;
  for (const std::size_t size : world.target.batches) written += size;
  CHECK(written == one->progress().items);
  CHECK(written > 0);
  one->pause(false);
  do {
    world.io.restart();
    world.io.poll();
  } while (world.clock.advance());
  REQUIRE(result);
  CHECK(result->has_value());
  CHECK(world.equal());
}

TEST_CASE("stopped from outside, it unwinds, and resumes where its checkpoints stand") {
  World world(6);
  world.fill(200);
  const std::unique_ptr<ScanBackfill> one = world.make();
  base::TaskGroup group(world.io.get_executor());
  base::TaskGroup stopper(world.io.get_executor());
  int calls = 0;
  world.db.before = [&](const std::string&) -> std::optional<base::Error> {
    if (++calls != 7) return std::nullopt;
    stopper.start([](base::TaskGroup& to_stop) -> Task<Result<>> {
      co_await to_stop.stop();
      co_return Result<>();
    }(group));
    return std::nullopt;
  };
  group.start(one->run());
  world.io.run();
  CHECK(group.size() == 0);
  CHECK(!world.equal());
  REQUIRE(world.run());
  CHECK(world.equal());
}

TEST_CASE("no more than a bounded number of pages is in memory, however slow the target") {
  World world(7);
  world.config.segments = 2;
  world.config.workers = 2;
  world.db.options.page_items = 100;
  base::Rng rng(7);
  // Pages of about 1 MB.
  for (std::uint64_t n = 0; n < 3000; ++n) {
    item::Item item = test::random_item(rng, n);
    item["payload"] = item::Value(std::string(10'000, 'x'));
    world.db.put(item);
  }
  std::size_t asked = 0, written = 0, most = 0;
  world.db.before = [&](const std::string&) -> std::optional<base::Error> {
    std::size_t done = 0;
    for (const std::size_t size : world.target.batches) done += size;
    asked += 100;
    most = std::max(most, asked - std::min(asked, done));
    return std::nullopt;
  };
  world.target.delay = [&] { return world.clock.sleep_for(base::Millis(100)); };
  REQUIRE(world.run());
  for (const std::size_t size : world.target.batches) written += size;
  CHECK(written == 3000);
  // Each of the two: up to 3.5 MB in hand; and the last pages of the segments are not full.
  CHECK(most <= 1000);
}

TEST_CASE("small pages are written together") {
  World world(8);
  world.config.workers = 1;
  world.db.options.page_items = 1;
  world.fill(200);
  // A target that takes its time: meanwhile pages gather.
  world.target.delay = [&] { return world.clock.sleep_for(base::Millis(10)); };
  REQUIRE(world.run());
  CHECK(world.equal());
  CHECK(world.target.batches.size() < 20);
}

#ifdef MOVEOUT_MUTANTS
TEST_CASE("mutants of the back-fill lose what it keeps") {
  World world(9);
  world.db.options.page_items = 4;
  SUBCASE("an empty page taken for the end") {
    world.db.options.empty_page_one_in = 3;
    world.fill(100);
    const test::Mutant mutant("empty_page_is_end");
    REQUIRE(world.run());
    CHECK(!world.equal());
  }
  SUBCASE("eventual reads") {
    world.fill(100);
    world.db.stale = world.db.items;
    world.db.stale.erase(world.db.stale.begin());
    const test::Mutant mutant("eventual_scan");
    REQUIRE(world.run());
    CHECK(!world.equal());
  }
  SUBCASE("the checkpoint before the page") {
    world.fill(100);
    const test::Mutant mutant("checkpoint_before_ack");
    int applies = 0;
    world.target.before = [&](const std::string&) -> std::optional<base::Error> {
      if (++applies < 6) return std::nullopt;
      return base::Error{ErrorKind::DiskFull, "full"};
    };
    REQUIRE(!world.run());
    world.target.before = {};
    REQUIRE(world.run());
    CHECK(!world.equal());
  }
  SUBCASE("another number of segments on resume") {
    world.fill(100);
    const test::Mutant mutant("segment_count_recomputed");
    int calls = 0;
    world.db.before = [&](const std::string&) -> std::optional<base::Error> {
      if (++calls < 18) return std::nullopt;
      return base::Error{ErrorKind::EndpointDown, "gone"};
    };
    REQUIRE(!world.run());
    world.db.before = {};
    REQUIRE(world.run());
    CHECK(!world.equal());
  }
  SUBCASE("an error passed over") {
    world.fill(100);
    const test::Mutant mutant("scan_error_skips_page");
    int calls = 0;
    world.db.before = [&](const std::string&) -> std::optional<base::Error> {
      if (++calls != 8) return std::nullopt;
      return base::Error{ErrorKind::Usage, "refused"};
    };
    REQUIRE(world.run());
    CHECK(!world.equal());
  }
  SUBCASE("a back-fill that outranks changes") {
    world.fill(30);
    const test::Mutant mutant("backfill_version_high");
    REQUIRE(world.run());
    CHECK(world.target.rows.begin()->second.version.band == item::Band::Change);
  }
}
#endif

TEST_CASE("the checkpoints of one era are told from another's by their prefix") {
  World world(12);
  world.fill(40);
  world.config.checkpoint_prefix = "e3/";
  const std::unique_ptr<ScanBackfill> one = world.make();
  REQUIRE(test::run(world.io, world.clock, one->run()));
  CHECK(world.target.checkpoints.size() == 5);
  for (const auto& [name, value] : world.target.checkpoints) CHECK(name.starts_with("e3/segment/"));
}

TEST_CASE("segments: at least some, never too many, more for more") {
  CHECK(backfill::segments_for(0, 0) == 16);
  CHECK(backfill::segments_for(std::int64_t{100} << 40, 1) == 20'000);
  CHECK(backfill::segments_for(0, std::int64_t{1} << 50) == 20'000);
  CHECK(backfill::segments_for(std::int64_t{1} << 34, 0) > 500);
  int before = 0;
  for (std::int64_t size = 1; size < std::int64_t{1} << 50; size *= 2) {
    CHECK(backfill::segments_for(size, 0) >= before);
    before = backfill::segments_for(size, 0);
  }
}

TEST_CASE("a segment's checkpoint is read back as it was written") {
  rc::check([] {
    base::Rng rng(*rc::gen::arbitrary<std::uint64_t>());
    backfill::SegmentAt at;
    at.items = rng.next();
    at.bytes = rng.next();
    at.rcu = rng.unit() * 1e9;
    at.done = rng.chance(2);
    if (!at.done) at.last_key = "{\"id\":{\"S\":\"" + test::random_bytes(rng) + " \n\"}}";
    const Result<backfill::SegmentAt> back = backfill::parse_segment(backfill::format_segment(at));
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == at);
    const int segment = static_cast<int>(rng.below(1'000'000));
    RC_ASSERT(backfill::segment_of_name(backfill::segment_name(segment)).value() == segment);
  });
}
