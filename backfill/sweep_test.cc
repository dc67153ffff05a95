#include <doctest/doctest.h>

#include <set>

#include "backfill/sweep.h"
#include "test/doubles/backfill_world.h"
#include "test/doubles/mutant.h"

using namespace moveout;
using base::ErrorKind;
using test::World;

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
#ifdef MOVEOUT_MUTANTS
  {
    const test::Mutant mutant("no_sweep");
    CHECK(sweep().value() == 0);
  }
#endif
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
