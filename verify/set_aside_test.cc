#include "verify/set_aside.h"

#include <doctest/doctest.h>

#include <set>

#include "test/doubles/verify_world.h"

using namespace moveout;
using test::World;
using verify::Report;

namespace {

struct Aside final : verify::SetAside {
  std::set<std::string> keys;
  std::set<std::string> told;  // what is known since learn()
  int learned = 0;
  std::optional<base::Error> fails;

  base::Task<base::Result<>> learn() override {
    ++learned;
    if (fails) co_return base::fail(*fails);
    told = keys;
    co_return base::Result<>();
  }
  bool holds(std::string_view key) const override { return told.contains(std::string(key)); }
};

item::Item item_of(World& world, int n) { return test::random_item(world.rng, static_cast<std::uint64_t>(n)); }

}  // namespace

TEST_CASE("a key that was set aside and is missing in the target is a class of its own, however many there are") {
  World world(31);
  Aside aside;
  world.config.set_aside = &aside;
  world.fill(20);
  for (int n = 1000; n < 2500; ++n) {
    const item::Item item = item_of(world, n);
    world.db.put(item);
    aside.keys.insert(world.key_of(item).encoded());
  }
  world.db.put(item_of(world, 5000));
  const Report report = world.report();
  CHECK(report.matched == 20);
  CHECK(report.quarantined == 1500);
  CHECK(report.missing == 1);
  CHECK(report.first.size() == 1);
  CHECK(aside.learned > 0);
  CHECK(aside.learned < 10);
}

TEST_CASE("what is set aside excuses no row: an old image, a mended one and one too many are judged as ever") {
  World world(32);
  Aside aside;
  world.config.set_aside = &aside;
  world.fill(5);
  const item::Item old = item_of(world, 100), mended = item_of(world, 101), gone = item_of(world, 102);
  world.both(old);
  world.both(mended);
  item::Item newer = old;
  newer["more"] = item::Value(std::string("x"));
  world.db.put(newer);
  world.target.put(world.key_of(gone), gone);
  for (const item::Item& each : {old, mended, gone}) aside.keys.insert(world.key_of(each).encoded());
  const Report report = world.report();
  CHECK(report.quarantined == 0);
  CHECK(report.matched == 6);
  CHECK(report.different == 1);
  CHECK(report.extra == 1);
}

TEST_CASE(
    "nobody is asked what was set aside while nothing is missing, and an answer that fails ends the verification") {
  World world(33);
  Aside aside;
  world.config.set_aside = &aside;
  world.fill(10);
  CHECK(world.report().clean());
  CHECK(aside.learned == 0);
  world.db.put(item_of(world, 100));
  aside.fails = base::Error{base::ErrorKind::Corrupt, "damaged"};
  const base::Result<Report> result = world.run();
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == base::ErrorKind::Corrupt);
}
