#include <doctest/doctest.h>

#include <vector>

#include "test/doubles/random_items.h"
#include "test/doubles/verify_world.h"
#include "test/doubles/virtual_clock.h"
#include "verify/verifier.h"

using namespace moveout;
using base::Result;
using base::Task;
using test::World;
using verify::Report;
using verify::Verifier;

namespace {
// A busy stream: known to be past an instant a minute later.
struct LatePass final : verify::Watermark {
  explicit LatePass(World& w) : world(w) {}
  Task<bool> passed(base::Steady instant, base::Millis) override {
    ++asked;
    co_await world.clock.sleep_until(instant + base::Millis(60000));
    co_return true;
  }
  World& world;
  int asked = 0;
};
}  // namespace

TEST_CASE("what is equal at a glance, or moves at every one, is not waited for") {
  World world(11);
  world.fill(20);
  LatePass late(world);
  world.watermark = &late;
  std::vector<item::Key> keys;
  for (const auto& [key, stored] : world.target.rows) keys.push_back(key);
  Verifier verifier = world.verifier();
  const Result<Report> equal = test::run(world.io, world.clock, verifier.compare(keys));
  REQUIRE(equal);
  CHECK(equal->matched == 20);
  CHECK(late.asked == 0);
  //  one key is written before every read of the source
  const item::Item item = test::random_item(world.rng, 0);
  int looks = 0;
  world.db.before = [&](const std::string&) -> std::optional<base::Error> {
    item::Item other = item;
    other["count"] = item::Value(item::Number::of(++looks));
    world.db.put(other);
    return std::nullopt;
  };
  const Result<Report> moving = test::run(world.io, world.clock, verifier.compare(keys));
  REQUIRE(moving);
  CHECK(moving->hot == 1);
  CHECK(moving->clean());
  CHECK(late.asked == 0);
  const Result<verify::Glance> glance = test::run(world.io, world.clock, verifier.glance(keys));
  REQUIRE(glance);
  CHECK(glance->others == moving->hot_keys);
  CHECK(late.asked == 0);
}
