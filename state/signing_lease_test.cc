#include "state/signing_lease.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "base/task_group.h"
#include "test/doubles/map_store.h"
#include "test/doubles/virtual_clock.h"

using namespace moveout;
using namespace moveout::state;
using base::ErrorKind;
using base::Millis;
using base::Result;
using base::Task;

namespace {

struct World {
  boost::asio::io_context io;
  test::VirtualClock clock;
  test::MapStore store;
  World() { store.rows["owner"] = "1"; }
  SigningLease lease(const std::string& owner, Millis late = Millis(60000)) {
    return SigningLease(store, clock, "signing", {"owner", owner}, {Millis(10000), late});
  }
  template <class T>
  T run(Task<T> task) {
    return test::run(io, clock, std::move(task));
  }
};

Task<Result<>> pass(World& world, base::Micros time) {
  co_await world.clock.sleep_for(time);
  co_return Result<>();
}
Task<Result<>> beside_keep(World& world, SigningLease& lease, base::Micros time) {
  base::TaskGroup group(co_await base::this_executor);
  group.start(lease.keep());
  co_return co_await group.run_beside(pass(world, time));
}
Task<Result<>> sign_each_second(World& world, SigningLease& lease, int seconds, int& refused) {
  base::TaskGroup group(co_await base::this_executor);
  group.start(lease.keep());
  for (int i = 0; i < seconds; ++i) {
    refused += lease.may_sign() ? 0 : 1;
    co_await world.clock.sleep_for(Millis(1000));
  }
  co_await group.stop();
  co_return Result<>();
}

}  // namespace

TEST_CASE("nothing may be signed before the lease is durable, nor after it ran out") {
  World world;
  SigningLease lease = world.lease("1");
  REQUIRE(world.run(lease.open()));
  CHECK(!lease.may_sign());
  REQUIRE(world.run(lease.granted()));
  CHECK(world.store.rows.contains("signing"));
  CHECK(lease.may_sign());
  world.clock.pass(Millis(9999));
  CHECK(lease.may_sign());
  world.clock.pass(Millis(1));
  CHECK(!lease.may_sign());
}

// process 1   lease ── asleep ────────────────────────────────────────► signs? no
// process 2             takes the epoch ── waits: lease + L ── replays
TEST_CASE("a process that slept does not sign when its successor has waited") {
  World world;
  SigningLease old = world.lease("1");
  REQUIRE(world.run(old.granted()));
  world.clock.pass(Millis(4000));
  world.store.rows["owner"] = "2";
  SigningLease next = world.lease("2");
  REQUIRE(world.run(next.open()));
  CHECK(next.quiet_from() == world.clock.steady() + Millis(70000));
  CHECK(old.may_sign());
  world.clock.pass(Millis(10000));
  CHECK(!old.may_sign());
  const Result<> again = world.run(old.granted());
  REQUIRE(!again);
  CHECK(again.error().kind == ErrorKind::RunLocked);
  CHECK(!old.may_sign());
}

TEST_CASE("writes that go on keep the lease; when nothing can land any more the row goes, and nobody waits") {
  World world;
  SigningLease lease = world.lease("1");
  REQUIRE(world.run(lease.granted()));
  int refused = 0;
  REQUIRE(world.run(sign_each_second(world, lease, 60, refused)));
  CHECK(refused == 0);
  CHECK(lease.quiet_from() > world.clock.steady());
  REQUIRE(world.run(beside_keep(world, lease, Millis(40000))));
  CHECK(world.store.rows.contains("signing"));
  REQUIRE(world.run(beside_keep(world, lease, Millis(40000))));
  CHECK(!world.store.rows.contains("signing"));
  const int commits = world.store.commits;
  REQUIRE(world.run(beside_keep(world, lease, Millis(400000))));
  CHECK(world.store.commits == commits);
  SigningLease next = world.lease("1");
  REQUIRE(world.run(next.open()));
  CHECK(next.quiet_from() < world.clock.steady());
}

TEST_CASE("an L that was raised counts for what was signed under the lower one") {
  World world;
  SigningLease old = world.lease("1", Millis(2000));
  REQUIRE(world.run(old.granted()));
  SigningLease next = world.lease("1", Millis(660000));
  REQUIRE(world.run(next.open()));
  CHECK(next.quiet_from() == world.clock.steady() + Millis(670000));
  world.store.rows["signing"] = "?";
  CHECK(world.run(next.open()).error().kind == ErrorKind::Corrupt);
}
