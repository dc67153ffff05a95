#include "backfill/ordered_sweep.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "item/json.h"
#include "test/doubles/late_target.h"
#include "test/doubles/map_store.h"
#include "test/doubles/small_dynamodb.h"
#include "test/doubles/virtual_clock.h"

using namespace moveout;
using base::Millis;
using base::Result;
using base::Task;

namespace {

const item::KeySchema kSchema{{"pk", item::KeyType::S}, {}};

class Keys final : public aws::CredentialsProvider {
 public:
  Task<Result<sigv4::Credentials>> get() override { co_return sigv4::Credentials{"id", "secret", "", {}}; }
  void invalidate() override {}
};

aws::ClientConfig client_config() {
  aws::ClientConfig config;
  config.endpoint = http::Endpoint{false, "localhost", 8000};
  config.region = "eu-west-1";
  return config;
}

item::Item item_of(int n) { return {{"pk", item::Value("k" + std::to_string(n))}}; }

}  // namespace

TEST_CASE("what the source does not have goes, each delete to a definite end; what it has stays") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    boost::asio::io_context io;
    test::VirtualClock clock;
    base::NoLog log;
    Keys keys;
    test::SmallDynamoDb table{kSchema, seed};
    aws::Client client{client_config(), table, keys, clock, base::Rng(1), log};
    aws::DynamoDb source{client};
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
    backfill::OrderedSweep sweep(source, "t", kSchema, target, lease, clock, base::Rng(seed), log);
    const Result<std::uint64_t> removed = test::run(io, clock, sweep.run());
    REQUIRE(removed);
    CHECK(*removed > 0);
    // Nothing is under way any more, and nothing is left.
    CHECK(database.pending.empty());
    CHECK(database.broken == 0);
    CHECK(database.rows == expected);
  }
}
