#include "backfill/ordered_sweep.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "item/json.h"
#include "test/doubles/late_target.h"
#include "test/doubles/map_store.h"
#include "test/doubles/small_source.h"
#include "test/doubles/virtual_clock.h"

using namespace moveout;
using base::Millis;
using base::Result;
using base::Task;

namespace {

const item::KeySchema kSchema{{"pk", item::KeyType::S}, {}};

item::Item item_of(int n) { return {{"pk", item::Value("k" + std::to_string(n))}}; }

}  // namespace

TEST_CASE("what the source does not have goes, each delete to a definite end; what it has stays") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    boost::asio::io_context io;
    test::VirtualClock clock;
    base::NoLog log;
    test::SmallDynamoDb table{kSchema, seed};
    test::SmallSource source{table, clock, log};
    test::MapStore store;
    store.rows["owner"] = "1";
    state::SigningLease lease{store, clock, "signing", {"owner", "1"}, {Millis(10000), Millis(660000)}};
    test::LateDatabase database;
    test::LateTarget target{database, clock, base::Rng(seed), Millis(660000), {3, 4, 0}};
    target.sign_with(lease);
    std::map<std::string, std::string> expected;
    for (int n = 0; n < 450; ++n) {
      const std::string key = item::Key::of(kSchema, item_of(n)).encoded();
      database.rows[key] = item::to_json(item_of(n));
      if (n % 3 != 0) continue;
      table.put(item_of(n));
      expected[key] = database.rows[key];
    }
    backfill::OrderedSweep sweep(source.dynamodb, "t", kSchema, target, lease, clock, base::Rng(seed), log);
    const Result<std::uint64_t> removed = test::run(io, clock, sweep.run());
    REQUIRE(removed);
    CHECK(*removed > 0);
    // Nothing is under way any more, and nothing is left.
    CHECK(database.pending.empty());
    CHECK(database.broken == 0);
    CHECK(database.rows == expected);
  }
}
