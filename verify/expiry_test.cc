#include "verify/expiry.h"

#include <doctest/doctest.h>

#include "item/json.h"
#include "test/doubles/mutant.h"
#include "test/doubles/verify_world.h"

using namespace moveout;
using test::World;
using verify::Report;

namespace {

constexpr std::int64_t kNow = 1'700'000'000;  // the virtual clock's
constexpr std::int64_t kYears = std::int64_t{5} * 365 * 24 * 60 * 60;

std::optional<std::int64_t> read(std::string_view value) {
  return verify::expires_at(item::parse_item(R"({"id":{"S":"a"},"exp":)" + std::string(value) + "}").value(), "exp");
}
bool given_up(std::int64_t at) { return verify::expired(at, base::instant_of_micros(kNow * 1'000'000)); }

item::Item with_expiry(World& world, int n, std::string_view value) {
  item::Item item = test::random_item(world.rng, static_cast<std::uint64_t>(n));
  item["exp"] = item::parse_item(R"({"exp":)" + std::string(value) + "}").value().at("exp");
  return item;
}
std::string at(std::int64_t seconds) { return R"({"N":")" + std::to_string(seconds) + R"("})"; }

}  // namespace

TEST_CASE("only a whole number of seconds makes an item expire") {
  CHECK(read(R"({"N":"1700000000"})") == kNow);
  CHECK(read(R"({"N":"1.7e9"})") == kNow);
  CHECK(!read(R"({"S":"1700000000"})"));
  CHECK(!read(R"({"N":"1700000000.5"})"));
  CHECK(!read(R"({"N":"1e30"})"));
  CHECK(!read(R"({"NULL":true})"));
  CHECK(!verify::expires_at(item::parse_item(R"({"id":{"S":"a"}})").value(), "exp"));
  CHECK(!verify::expires_at(item::parse_item(R"({"":{"N":"1"}})").value(), ""));
}

TEST_CASE("an item has expired when its time is past, by no more than five years") {
  CHECK(given_up(kNow));
  CHECK(given_up(kNow - 1));
  CHECK(!given_up(kNow + 1));
  CHECK(given_up(kNow - kYears + 1));
  CHECK(!given_up(kNow - kYears));
  CHECK(!given_up(0));
  CHECK(!given_up(-5));
  CHECK(!given_up(kNow * 1000));  // in milliseconds: far in the future
  CHECK(!verify::expired(std::nullopt, base::Instant{}));
}

TEST_CASE("what is on one side only and expired is its own class; everything else is a difference") {
  World world(21);
  world.db.ttl_attribute = "exp";
  world.fill(20);
  struct Case {
    int n;
    std::string expiry;
  };
  const Case expired_ones[] = {{101, at(kNow - 10)}, {102, at(kNow - kYears + 1000)}};
  const Case others[] = {{201, at(kNow + 100'000)}, {202, at(kNow - kYears - 1)}, {203, R"({"S":"1"})"}};
  SUBCASE("in the source") {
    for (const Case& one : expired_ones) world.db.put(with_expiry(world, one.n, one.expiry));
    for (const Case& one : others) world.db.put(with_expiry(world, one.n, one.expiry));
    world.db.put(test::random_item(world.rng, 300));  // without the attribute
    const Report report = world.report();
    CHECK(report.expired == 2);
    CHECK(report.missing == 4);
    CHECK(report.extra == 0);
    CHECK(report.first.size() == 4);
  }
  SUBCASE("in the target") {
    const auto put = [&](const item::Item& item) { world.target.put(world.key_of(item), item); };
    for (const Case& one : expired_ones) put(with_expiry(world, one.n, one.expiry));
    for (const Case& one : others) put(with_expiry(world, one.n, one.expiry));
    put(test::random_item(world.rng, 300));
    const Report report = world.report();
    CHECK(report.expired == 2);
    CHECK(report.extra == 4);
    CHECK(report.missing == 0);
  }
  CHECK(world.db.calls["DescribeTimeToLive"] == 1);
}

TEST_CASE("an expired item that both sides have is compared like any other") {
  World world(22);
  world.db.ttl_attribute = "exp";
  world.fill(20);
  for (int n = 100; n < 110; ++n) {
    const item::Item item = with_expiry(world, n, at(kNow - 100));
    world.both(item);
    if (n % 2 == 0) world.target.put(world.key_of(item), test::changed_item(world.rng, item));
  }
  const Report report = world.report();
  CHECK(report.different == 5);
  CHECK(report.matched == 25);
  CHECK(report.expired == 0);
#ifdef MOVEOUT_MUTANTS
  const test::Mutant mutant("ttl_class_both_sides");
  CHECK(world.report().different < 5);
#endif
}

TEST_CASE("compare() knows the class too, and the table is asked for its TTL once") {
  World world(23);
  world.db.ttl_attribute = "exp";
  std::vector<item::Key> keys;
  for (int n = 0; n < 30; ++n) {
    const item::Item item = with_expiry(world, n, at(n % 3 == 0 ? kNow + 1'000'000 : kNow - n));
    world.db.put(item);
    keys.push_back(world.key_of(item));
  }
  verify::Verifier verifier = world.verifier();
  for (int i = 0; i < 3; ++i) {
    const base::Result<Report> report = test::run(world.io, world.clock, verifier.compare(keys));
    REQUIRE(report);
    CHECK(report->expired == 20);
    CHECK(report->missing == 10);
  }
  CHECK(world.db.calls["DescribeTimeToLive"] == 1);
}

TEST_CASE("without a TTL, or without an answer, what is expired is a difference") {
  for (const bool known : {true, false}) {
    World world(24);
    if (known) world.db.ttl_attribute = "";
    world.fill(5);
    world.db.put(with_expiry(world, 100, at(kNow - 100)));
    const Report report = world.report();
    CHECK(report.missing == 1);
    CHECK(report.expired == 0);
  }
}

TEST_CASE("tables that agree are not asked for their TTL") {
  World world(25);
  world.db.ttl_attribute = "exp";
  for (int n = 0; n < 20; ++n) world.both(with_expiry(world, n, at(kNow - 100)));
  CHECK(world.report().matched == 20);
  CHECK(world.db.calls["DescribeTimeToLive"] == 0);
}
