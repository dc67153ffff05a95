#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <set>

#include "aws/client.h"
#include "backfill/scan_backfill.h"
#include "backfill/segment.h"
#include "backfill/sweep.h"
#include "base/mutant.h"
#include "base/task_group.h"
#include "test/doubles/map_target.h"
#include "test/doubles/random_items.h"
#include "test/doubles/small_dynamodb.h"
#include "test/doubles/virtual_clock.h"

using namespace moveout;
using backfill::ScanBackfill;
using backfill::ScanConfig;
using backfill::ScanProgress;
using base::ErrorKind;
using base::Result;
using base::Task;

namespace {

struct NoQuarantine final : target::Quarantine {
  Task<Result<>> put(std::vector<target::Poison>) override { co_return Result<>(); }
};
struct NoSink final : target::CheckpointSink {
  Task<Result<>> commit(target::Checkpoints) override { co_return Result<>(); }
};

aws::ClientConfig local() {
  aws::ClientConfig config;
  config.endpoint = {false, "localhost", 8000};
  return config;
}

target::WriterPolicy hasty() {
  target::WriterPolicy policy;
  policy.give_up_after = base::Millis(1000);
  return policy;
}

struct World {
  boost::asio::io_context io;
  test::VirtualClock clock;
  base::NoLog log;
  base::Rng rng;
  test::SmallDynamoDb db;
  test::MapTarget target;
  NoQuarantine quarantine;
  NoSink sink;
  aws::StaticCredentials credentials{{"id", "secret", "", std::nullopt}};
  aws::Client client;
  aws::DynamoDb source;
  target::Writer writer;
  ScanConfig config;

  explicit World(std::uint64_t seed)
      : rng(seed),
        db(test::two_part_key(), seed),
        client(local(), db, credentials, clock, base::Rng(seed), log),
        source(client),
        writer(target, quarantine, sink, clock, base::Rng(seed), log, hasty()) {
    config.table = "t";
    config.key = db.schema;
    config.version = {0, item::Band::Backfill, 1000};
    config.segments = 5;
    config.workers = 3;
  }

  void fill(int count) {
    for (int n = 0; n < count; ++n) db.put(test::random_item(rng, static_cast<std::uint64_t>(n)));
  }
  std::unique_ptr<ScanBackfill> backfill() {
    return std::make_unique<ScanBackfill>(config, source, writer, clock, rng.fork(), log, target.checkpoints);
  }
  Result<> run() {
    const std::unique_ptr<ScanBackfill> one = backfill();
    return test::run(io, clock, one->run());
  }
  bool equal() const {
    std::map<std::string, item::Item> live;
    for (const auto& [key, row] : target.rows) {
      if (row.item) live[key.encoded()] = *row.item;
    }
    return live == db.items;
  }
};

struct Mutant {
  explicit Mutant(const char* name) { base::active_mutant() = name; }
  ~Mutant() { base::active_mutant().clear(); }
};

}  // namespace

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
    const std::unique_ptr<ScanBackfill> one = world.backfill();
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
    const std::unique_ptr<ScanBackfill> last = world.backfill();
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
  const std::unique_ptr<ScanBackfill> slow = world.backfill();
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
  const std::unique_ptr<ScanBackfill> one = world.backfill();
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
  const std::unique_ptr<ScanBackfill> one = world.backfill();
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

TEST_CASE("mutants of the back-fill lose what it keeps") {
  World world(9);
  world.db.options.page_items = 4;
  SUBCASE("an empty page taken for the end") {
    world.db.options.empty_page_one_in = 3;
    world.fill(100);
    const Mutant mutant("empty_page_is_end");
    REQUIRE(world.run());
    CHECK(!world.equal());
  }
  SUBCASE("eventual reads") {
    world.fill(100);
    world.db.stale = world.db.items;
    world.db.stale.erase(world.db.stale.begin());
    const Mutant mutant("eventual_scan");
    REQUIRE(world.run());
    CHECK(!world.equal());
  }
  SUBCASE("the checkpoint before the page") {
    world.fill(100);
    const Mutant mutant("checkpoint_before_ack");
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
    const Mutant mutant("segment_count_recomputed");
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
    const Mutant mutant("scan_error_skips_page");
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
    const Mutant mutant("backfill_version_high");
    REQUIRE(world.run());
    CHECK(world.target.rows.begin()->second.version.band == item::Band::Change);
  }
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

TEST_CASE("the sweep removes what only an older era knew, and nothing else") {
  World world(10);
  world.config.version = {1, item::Band::Backfill, 5000};
  world.fill(300);
  std::set<item::Key> gone;
  for (int n = 0; n < 250; ++n) {
    const item::Item item = test::random_item(world.rng, 10'000 + static_cast<std::uint64_t>(n));
    const item::Key key = item::Key::of(world.db.schema, item);
    world.target.put(key, item, {0, item::Band::Change, 999'999});
    gone.insert(key);
  }
  // Put after the scan had passed: old in the target, present in the source; its change is on the way.
  const item::Item late = test::random_item(world.rng, 20'000);
  const item::Key late_key = item::Key::of(world.db.schema, late);
  world.target.put(late_key, late, {0, item::Band::Change, 7});
  // A change of this era to a key that the source no longer has: its delete is on the way, and not the sweep's
  // business.
  const item::Item fresh = test::random_item(world.rng, 30'000);
  const item::Key fresh_key = item::Key::of(world.db.schema, fresh);
  world.target.put(fresh_key, fresh, {1, item::Band::Change, 8});
  REQUIRE(world.run());
  world.db.put(late);

  const auto sweep = [&] {
    return test::run(
        world.io, world.clock,
        backfill::sweep(world.source, "t", world.config.key, world.writer, world.config.version, world.log));
  };
  {
    const Mutant mutant("no_sweep");
    CHECK(sweep().value() == 0);
  }
  CHECK(sweep().value() == gone.size());
  for (const item::Key& key : gone) {
    CHECK(!world.target.rows.at(key).item);
    CHECK(world.target.rows.at(key).version == item::Version{1, item::Band::Backfill, 5016});
  }
  CHECK(world.target.rows.at(late_key).version == item::Version{0, item::Band::Change, 7});
  CHECK(world.target.rows.at(fresh_key).item);
  CHECK(sweep().value() == 0);
  world.target.rows.erase(fresh_key);
  CHECK(world.equal());
}

TEST_CASE("a sweep that fails can be begun again") {
  World world(11);
  world.config.version = {2, item::Band::Backfill, 5000};
  for (int n = 0; n < 150; ++n) {
    const item::Item item = test::random_item(world.rng, static_cast<std::uint64_t>(n));
    world.target.put(item::Key::of(world.db.schema, item), item, {1, item::Band::Backfill, 4000});
  }
  int calls = 0;
  world.target.before = [&](const std::string&) -> std::optional<base::Error> {
    if (++calls != 6) return std::nullopt;
    return base::Error{ErrorKind::DiskFull, "full"};
  };
  const auto sweep = [&] {
    return test::run(
        world.io, world.clock,
        backfill::sweep(world.source, "t", world.config.key, world.writer, world.config.version, world.log));
  };
  CHECK(!sweep());
  REQUIRE(sweep());
  CHECK(world.equal());
}
