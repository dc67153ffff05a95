#include "target/writer.h"

#include <doctest/doctest.h>

#include <vector>

#include "base/run_task.h"
#include "item/json.h"
#include "target/memory_target.h"
#include "test/doubles/virtual_clock.h"

using namespace moveout;
using namespace moveout::target;
using base::ErrorKind;
using base::run_task;

namespace {

const item::KeySchema kKey{{"id", item::KeyType::S}, std::nullopt};

std::string image(int n) { return R"({"id":{"S":")" + std::to_string(n) + R"("}})"; }
std::string key(int n) { return item::key_of_json(kKey, image(n)).value().encoded(); }

item::Batch batch(int from, int to) {
  item::Batch items;
  for (int n = from; n < to; ++n) items.add_copy(key(n), {.t = 10}, image(n));
  return items;
}

struct Kept final : Quarantine, CheckpointSink {
  std::vector<Poison> poison;
  Checkpoints checkpoints;
  std::optional<base::Error> fails;
  std::vector<std::string> order;  // what happened, in order

  base::Task<base::Result<>> put(std::vector<Poison> items) override {
    if (fails) co_return base::fail(*fails);
    order.push_back("poison");
    poison.insert(poison.end(), items.begin(), items.end());
    co_return base::Result<>();
  }
  base::Task<base::Result<>> commit(Checkpoints moved) override {
    if (fails) co_return base::fail(*fails);
    order.push_back("checkpoint");
    checkpoints = std::move(moved);
    co_return base::Result<>();
  }
};

struct World {
  explicit World(bool with_data = true) : to(table, with_data) {
    run_task(to.open("run", 1, {"t", kKey, ""}, Mode::Run, false)).value();
  }
  std::shared_ptr<MemoryTable> table = std::make_shared<MemoryTable>();
  MemoryTarget to;
  Kept kept;
  boost::asio::io_context io;
  test::VirtualClock clock;
  base::NoLog log;
  Writer writer{to, kept, kept, clock, base::Rng(1), log, {}};

  base::Result<Written> write(item::Batch items, Checkpoints checkpoints = {{"c", "1"}}) {
    return test::run(io, clock, writer.write(std::move(items), std::move(checkpoints)));
  }
  const Checkpoints& checkpoints() const { return table->checkpoints; }
};

const Checkpoints kMoved{{"c", "1"}};

}  // namespace

TEST_CASE("what is throttled or unknown is sent again until it stands, then the checkpoint moves") {
  for (const bool with_data : {true, false}) {
    World world(with_data);
    world.table->faults.push_back({.error = {}, .outcome = Outcome::Throttled});
    world.table->faults.push_back({.applied = true, .error = {}, .outcome = Outcome::Unknown});
    world.table->faults.push_back({.error = base::Error{ErrorKind::Unavailable, "cut off"}});
    world.table->faults.push_back({.applied = true, .error = base::Error{ErrorKind::Unavailable, "cut off"}});
    const auto written = world.write(batch(0, 5));
    REQUIRE(written);
    CHECK(written->applied + written->stale == 5);
    CHECK(world.table->rows.size() == 5);
    CHECK(world.table->applies == 5);
    CHECK((with_data ? world.checkpoints() : world.kept.checkpoints) == kMoved);
  }
}

TEST_CASE("what is refused is set aside before any checkpoint passes it, the others stand") {
  for (const bool with_data : {true, false}) {
    World world(with_data);
    world.table->refuses = [](const item::Write& write) {
      return write.key == key(2) ? std::optional<std::string>("too large") : std::nullopt;
    };
    const auto written = world.write(batch(0, 4));
    REQUIRE(written);
    CHECK(written->applied == 3);
    CHECK(written->refused == 1);
    REQUIRE(world.kept.poison.size() == 1);
    CHECK(world.kept.poison[0].key == key(2));
    CHECK(world.kept.poison[0].reason == "too large");
    CHECK(world.kept.poison[0].image == image(2));
    CHECK(world.kept.poison[0].version.t == 10);
    CHECK((with_data ? world.checkpoints() : world.kept.checkpoints) == kMoved);
    CHECK(world.kept.order.front() == "poison");
  }
}

//   era 0, back-fill: image ──► change: refused ──► the old image would stand as if it were the newest
TEST_CASE("an older image does not stay behind when its key's newest change is set aside") {
  for (const bool beforehand : {true, false}) {
    for (const bool with_data : {true, false}) {
      World world(with_data);
      REQUIRE(world.write(batch(0, 3), {}));
      if (!beforehand) {
        world.table->refuses = [](const item::Write& write) {
          return write.key == key(1) && !write.is_delete() ? std::optional<std::string>("too large") : std::nullopt;
        };
      }
      const item::Version newer{.band = item::Band::Change, .t = 20};
      item::Batch changes;
      changes.add_copy(key(0), newer, image(0));
      changes.add_copy(key(1), newer, image(1));
      if (beforehand) changes.mark_unreadable("nobody understands it");
      const auto written = world.write(std::move(changes));
      REQUIRE(written);
      CHECK(written->applied == 1);
      CHECK(written->refused == 1);
      CHECK(world.kept.poison.size() == 1);
      CHECK(world.kept.order.front() == "poison");
      CHECK_FALSE(world.table->rows.at(key(1)).item);
      CHECK(world.table->rows.at(key(1)).version == newer);
      CHECK(world.table->rows.at(key(0)).version == newer);
      CHECK((with_data ? world.checkpoints() : world.kept.checkpoints) == kMoved);
      // What is older comes too late, what is newer heals.
      REQUIRE(world.write(batch(1, 2), {}));
      CHECK_FALSE(world.table->rows.at(key(1)).item);
      world.table->refuses = nullptr;
      item::Batch mended;
      mended.add_copy(key(1), {.band = item::Band::Change, .t = 36}, image(1));
      REQUIRE(world.write(std::move(mended), {}));
      CHECK(world.table->rows.at(key(1)).item);
    }
  }
}

TEST_CASE("nothing older can stand before the first back-fill's image, so its refusal writes nothing") {
  World world;
  world.table->refuses = [](const item::Write& write) {
    return write.is_delete() ? std::nullopt : std::optional<std::string>("never");
  };
  REQUIRE(world.write(batch(0, 3)));
  CHECK(world.table->rows.empty());
  item::Batch later;
  later.add_copy(key(1), {.era = 1, .t = 10}, image(1));
  REQUIRE(world.write(std::move(later)));
  CHECK(world.table->rows.size() == 1);
  CHECK_FALSE(world.table->rows.at(key(1)).item);
}

TEST_CASE("a batch of nothing but poison still moves its checkpoint") {
  World world;
  world.table->refuses = [](const item::Write&) { return std::optional<std::string>("never"); };
  REQUIRE(world.write(batch(0, 3)));
  CHECK(world.kept.poison.size() == 3);
  CHECK(world.checkpoints() == kMoved);
}

TEST_CASE("a quarantine that cannot keep stops the write, and the checkpoint stays") {
  World world;
  world.table->refuses = [](const item::Write&) { return std::optional<std::string>("never"); };
  world.kept.fails = base::Error{ErrorKind::DiskFull, "no space"};
  CHECK(world.write(batch(0, 3)).error().kind == ErrorKind::DiskFull);
  CHECK(world.checkpoints().empty());
}

TEST_CASE("an empty batch moves its checkpoint too") {
  for (const bool with_data : {true, false}) {
    World world(with_data);
    REQUIRE(world.write({}));
    CHECK((with_data ? world.checkpoints() : world.kept.checkpoints) == kMoved);
    REQUIRE(world.write({}, {}));
  }
}

TEST_CASE("errors that waiting does not mend come back at once") {
  for (const ErrorKind kind : {ErrorKind::DiskFull, ErrorKind::RunLocked, ErrorKind::TargetChanged, ErrorKind::Usage}) {
    World world;
    world.table->faults.push_back({.error = base::Error{kind, "no"}});
    CHECK(world.write(batch(0, 1)).error().kind == kind);
    CHECK(world.table->applies == 1);
  }
}

TEST_CASE("a target that stays away is given up after minutes, by a name that says to come again") {
  for (const bool error : {true, false}) {
    World world;
    for (int i = 0; i < 10000; ++i) {
      world.table->faults.push_back(
          {.error = error ? std::optional(base::Error{ErrorKind::Unavailable, "cut off"}) : std::nullopt,
           .outcome = Outcome::Throttled});
    }
    CHECK(world.write(batch(0, 2)).error().kind == ErrorKind::EndpointDown);
    CHECK(world.clock.steady().time_since_epoch() >= std::chrono::minutes(5));
    CHECK(world.table->applies < 200);
    CHECK(world.checkpoints().empty());
  }
}
