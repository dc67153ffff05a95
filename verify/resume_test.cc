#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>
#include <set>

#include "base/task_group.h"
#include "test/doubles/verify_world.h"
#include "verify/progress.h"

using namespace moveout;
using base::ErrorKind;
using base::MemoryDisk;
using base::Result;
using test::World;
using verify::Difference;
using verify::Report;
using verify::Verifier;

namespace {

// 40 keys of which one is missing, one extra, one different.
void fill_with_three(World& world) {
  world.fill(40);
  auto row = world.target.rows.begin();
  row++->second.item.reset();
  row->second.item = test::changed_item(world.rng, *row->second.item);
  const item::Item extra = test::random_item(world.rng, 999);
  world.target.put(world.key_of(extra), extra);
  world.config.checkpoint_every = base::Millis(0);
  world.config.memory = 500;
}

void check_three(const Report& report) {
  CHECK(report.missing == 1);
  CHECK(report.extra == 1);
  CHECK(report.different == 1);
  CHECK(report.matched == 38);
  CHECK(report.first.size() == 3);
}

// Every operation on the disk from the n-th on fails; answers whether it came to that.
struct Stop {
  explicit Stop(std::uint64_t n) : left(n) {}
  std::uint64_t left;
  bool reached = false;
};
void stop_at(World& world, Stop& stop) {
  world.disk.set_fault([&stop](MemoryDisk::Op, const std::string&) -> std::optional<base::Error> {
    if (stop.left > 1) {
      --stop.left;
      return std::nullopt;
    }
    stop.reached = true;
    return base::Error{ErrorKind::DiskFull, "the end"};
  });
}

}  // namespace

TEST_CASE("after a crash at any operation on the disk the next run ends with the right report") {
  // A whole run has some hundreds of operations; every one is a place to stop.
  for (std::uint64_t at = 1;; ++at) {
    CAPTURE(at);
    World world(at);
    fill_with_three(world);
    Stop stop(at);
    stop_at(world, stop);
    world.disk.set_torn(at % 23);
    const Result<Report> first = world.run();
    if (!stop.reached) {
      REQUIRE(first);
      CHECK(at > 100);
      break;
    }
    world.disk.set_fault({});
    base::Rng rng(at);
    if (at % 2 == 0) {
      world.disk.crash(rng);
    } else {
      world.disk.crash();
    }
    check_three(world.report());
    CHECK(world.disk.list().value().empty());
  }
}

TEST_CASE("crash after crash, and the end is still right") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    World world(seed);
    fill_with_three(world);
    base::Rng rng(seed);
    for (int crashes = 0; crashes < 20; ++crashes) {
      Stop stop(1 + rng.below(150));
      stop_at(world, stop);
      world.disk.set_torn(rng.below(40));
      const Result<Report> report = world.run();
      if (report) check_three(*report);
      world.disk.set_fault({});
      world.disk.crash(rng);
    }
    check_three(world.report());
  }
}

TEST_CASE("what was done until it stopped is kept, whatever was being written, and is not read again") {
  int whole = 0;
  {
    World world(7);
    fill_with_three(world);
    check_three(world.report());
    whole = world.db.calls["Scan"];
  }
  for (std::uint64_t at = 1;; ++at) {
    CAPTURE(at);
    World world(7);
    fill_with_three(world);
    if (at % 3 != 0) world.config.checkpoint_every = base::Millis(3'600'000);
    Stop stop(at);
    stop_at(world, stop);
    world.disk.set_torn(at % 23);
    Verifier one = world.verifier();
    const Result<Report> first = test::run(world.io, world.clock, one.run());
    world.disk.set_fault({});
    if (!stop.reached) break;
    REQUIRE(!first);
    const int scans = world.db.calls["Scan"];
    const bool ended = one.so_far().first.size() == 3;  // it failed when it cleaned up
    REQUIRE(test::run(world.io, world.clock, one.keep()));
    world.disk.crash();
    check_three(world.report());
    // A page that was asked for beside the one that failed may be asked for again.
    if (scans > 0 && !ended) CHECK(world.db.calls["Scan"] <= whole + world.config.workers);
  }
}

TEST_CASE("a verification that is cancelled in the middle of settling goes on there") {
  World world(8);
  fill_with_three(world);
  world.config.checkpoint_every = base::Millis(3'600'000);
  Verifier one = world.verifier();
  const auto cut_off = [](World& w, Verifier& verifier) -> base::Task<Result<>> {
    base::TaskGroup group(co_await base::this_executor);
    const auto run = [](Verifier& each) -> base::Task<Result<>> {
      const Result<Report> report = co_await each.run();
      CHECK(!report.has_value());
      co_return Result<>();
    };
    group.start(run(verifier));
    co_await w.clock.sleep_for(base::Millis(1000));
    co_await group.stop();
    co_return co_await verifier.keep();
  };
  REQUIRE(test::run(world.io, world.clock, cut_off(world, one)));
  const int scans = world.db.calls["Scan"];
  CHECK(scans > 5);
  world.disk.crash();
  check_three(world.report());
  CHECK(world.db.calls["Scan"] == scans);
}

TEST_CASE("what was read is not read again after a crash") {
  World world(3);
  fill_with_three(world);
  // It stops when the first key is settled.
  world.target.before = [](const std::string& call) -> std::optional<base::Error> {
    if (call != "read") return std::nullopt;
    return base::Error{ErrorKind::EndpointDown, "gone"};
  };
  const Result<Report> stopped = world.run();
  REQUIRE(!stopped);
  CHECK(stopped.error().kind == ErrorKind::EndpointDown);
  world.disk.crash();
  const int scans = world.db.calls["Scan"];
  CHECK(scans > 5);
  const double consumed = world.db.consumed;
  world.target.before = [](const std::string& call) -> std::optional<base::Error> {
    CHECK(call != "scan");
    return std::nullopt;
  };
  const Report report = world.report();
  check_three(report);
  CHECK(world.db.calls["Scan"] == scans);
  CHECK(report.consumed_rcu > consumed * 0.5);
}

TEST_CASE("a source that was half read is read on from there, with the segments it was begun with") {
  World world(4);
  fill_with_three(world);
  int calls = 0;
  world.db.before = [&](const std::string&) -> std::optional<base::Error> {
    if (++calls < 5) return std::nullopt;
    return base::Error{ErrorKind::EndpointDown, "gone"};
  };
  world.config.workers = 1;
  REQUIRE(!world.run());
  world.disk.crash();
  world.db.before = {};
  const int before = world.db.calls["Scan"];
  world.config.segments = 7;
  world.db.segments_asked.clear();
  check_three(world.report());
  CHECK(world.db.calls["Scan"] < before + 9);
  for (const auto& [segment, segments] : world.db.segments_asked) CHECK(segments == 3);
}

TEST_CASE("another table's progress is not continued") {
  World world(5);
  fill_with_three(world);
  world.target.before = [](const std::string& call) -> std::optional<base::Error> {
    if (call != "read") return std::nullopt;
    return base::Error{ErrorKind::EndpointDown, "gone"};
  };
  REQUIRE(!world.run());
  world.target.before = {};
  world.config.table = "u";
  const int scans = world.db.calls["Scan"];
  check_three(world.report());
  CHECK(world.db.calls["Scan"] > scans);
}

//  run over A and B, killed ── the same command over A and C: what was read of B says nothing of C
TEST_CASE("progress that was made with other sides, or long ago, is not continued") {
  for (const bool other_sides : {true, false}) {
    CAPTURE(other_sides);
    World world(5);
    world.fill(40);
    world.config.checkpoint_every = base::Millis(0);
    const item::Item odd = test::random_item(world.rng, 999);
    world.target.put(world.key_of(odd), odd);
    world.target.before = [](const std::string& call) -> std::optional<base::Error> {
      if (call != "read") return std::nullopt;
      return base::Error{ErrorKind::EndpointDown, "gone"};
    };
    REQUIRE(!world.run());
    world.target.before = {};
    // The target loses a row that was found equal before.
    world.target.rows.begin()->second.item.reset();
    if (other_sides) world.config.sides = "another file";
    if (!other_sides) {
      REQUIRE(test::run(world.io, world.clock, [](base::Clock& clock) -> base::Task<Result<>> {
        co_await clock.sleep_for(std::chrono::hours(25));
        co_return Result<>();
      }(world.clock)));
    }
    const int scans = world.db.calls["Scan"];
    const Report report = world.report();
    CHECK(report.missing == 1);
    CHECK(report.extra == 1);
    CHECK(world.db.calls["Scan"] > scans);
  }
}

TEST_CASE("what was found up to now can be asked for while it is found") {
  World world(8);
  fill_with_three(world);
  Verifier verifier = world.verifier();
  CHECK(verifier.so_far().matched == 0);
  world.target.before = [&](const std::string& call) -> std::optional<base::Error> {
    if (call != "read") return std::nullopt;
    CHECK(verifier.so_far().matched > 0);
    CHECK(verifier.so_far().missing == 0);
    CHECK(verifier.so_far().consumed_rcu > 0);
    return base::Error{ErrorKind::EndpointDown, "gone"};
  };
  REQUIRE(!test::run(world.io, world.clock, verifier.run()));
  CHECK(verifier.so_far().matched > 0);
}

TEST_CASE("forget() begins anew") {
  World world(6);
  fill_with_three(world);
  world.target.before = [](const std::string& call) -> std::optional<base::Error> {
    if (call != "read") return std::nullopt;
    return base::Error{ErrorKind::EndpointDown, "gone"};
  };
  REQUIRE(!world.run());
  CHECK(!world.disk.list().value().empty());
  REQUIRE(world.disk.append("other.file", "not ours"));
  Verifier verifier = world.verifier();
  REQUIRE(test::run(world.io, world.clock, verifier.forget()));
  CHECK(world.disk.list().value() == std::vector<std::string>{"other.file"});
  world.target.before = {};
  const int scans = world.db.calls["Scan"];
  check_three(world.report());
  CHECK(world.db.calls["Scan"] > scans);
}

TEST_CASE("a flipped bit anywhere in what was spilled or kept never changes the verdict") {
  World stopped(7);
  fill_with_three(stopped);
  stopped.target.before = [](const std::string& call) -> std::optional<base::Error> {
    if (call != "read") return std::nullopt;
    return base::Error{ErrorKind::EndpointDown, "gone"};
  };
  REQUIRE(!stopped.run());
  stopped.disk.crash();
  int flips = 0;
  for (const std::string& name : stopped.disk.list().value()) {
    const std::uint64_t size = stopped.disk.size(name).value();
    for (std::uint64_t offset = 0; offset < size; offset += 1 + size / 40) {
      CAPTURE(name);
      CAPTURE(offset);
      World world(7);
      fill_with_three(world);
      world.disk = stopped.disk;
      world.disk.flip(name, offset);
      const Result<Report> report = world.run();
      REQUIRE(report);
      check_three(*report);
      ++flips;
    }
  }
  CHECK(flips > 300);
}

TEST_CASE("progress is read back as it was written, and nothing else is taken for it") {
  rc::check([] {
    base::Rng rng(*rc::gen::arbitrary<std::uint64_t>());
    verify::Progress progress;
    progress.identity = test::random_bytes(rng);
    progress.seed = rng.next();
    progress.segments = rng.below(9);
    progress.phase = static_cast<verify::Phase>(1 + rng.below(4));
    for (std::uint64_t n = 0; n < progress.segments; ++n) progress.segments_done.push_back(rng.chance(2));
    for (std::uint64_t n = 0; n < progress.segments; ++n) {
      if (rng.chance(2)) progress.segments_open[n] = test::random_bytes(rng);
    }
    progress.target_cursor = test::random_bytes(rng);
    for (std::size_t side : {0, 1}) {
      progress.spill_sizes[side].assign(verify::kFiles, rng.next());
      for (std::uint64_t n = rng.below(5); n > 0; --n) {
        progress.sums[side].push_back({rng.next(), {rng.next(), rng.next()}});
      }
      progress.items[side] = rng.next();
    }
    progress.files_compared = rng.next();
    progress.candidates_size = rng.next();
    progress.settled_size = rng.next();
    progress.source_bytes = rng.next();
    progress.candidates = rng.next();
    progress.compared = rng.next();
    progress.report.matched = rng.next();
    progress.report.hot = rng.next();
    progress.report.expired = rng.next();
    progress.report.quarantined = rng.next();
    progress.saved_us = static_cast<std::int64_t>(rng.next());
    progress.report.consumed_rcu = rng.unit();
    const item::KeySchema schema = test::two_part_key();
    const item::Key key = item::Key::of(schema, test::random_item(rng, rng.below(99)));
    progress.report.first.push_back({Difference::Kind::Extra, key});
    progress.report.hot_keys.push_back(key);

    const std::uint64_t sequence = rng.next();
    const std::string bytes = verify::encode(progress, sequence);
    std::uint64_t read = 0;
    const Result<verify::Progress> back = verify::decode(bytes, &read);
    RC_ASSERT(back.has_value());
    RC_ASSERT(read == sequence);
    RC_ASSERT(verify::encode(*back, sequence) == bytes);
    RC_ASSERT(back->segments_open == progress.segments_open);
    RC_ASSERT(back->sums == progress.sums);
    RC_ASSERT(back->report.hot_keys == progress.report.hot_keys);

    std::string damaged = bytes;
    if (rng.chance(2)) {
      damaged.resize(rng.below(damaged.size()));
    } else {
      damaged[rng.below(damaged.size())] ^= 1;
    }
    RC_ASSERT(!verify::decode(damaged, &read).has_value());
  });
}
