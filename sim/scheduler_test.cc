#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <vector>

#include "base/task_group.h"
#include "sim/process.h"
#include "sim/scheduler.h"
#include "sim/sim_clock.h"

namespace moveout::sim {
namespace {

using base::Result;

Task<Result<>> sleeper(Scheduler& scheduler, Micros wait, std::vector<int>& out, int id) {
  co_await scheduler.sleep_for(wait);
  out.push_back(id);
  co_return Result<>();
}

Task<Result<>> never(base::Clock& clock, bool& ended) {
  co_await clock.sleep_for(Micros(5));
  ended = true;
  co_return Result<>();
}

Task<Result<>> stop_after(Scheduler& scheduler, base::TaskGroup& group, Micros wait, bool& stopped) {
  co_await scheduler.sleep_for(wait);
  co_await group.stop();
  stopped = true;
  co_return Result<>();
}

TEST_CASE("sleepers wake in the order of their times, and of asking when the times are equal") {
  Scheduler scheduler;
  base::TaskGroup group(scheduler.executor());
  std::vector<int> order;
  group.start(sleeper(scheduler, Micros(30), order, 1));
  group.start(sleeper(scheduler, Micros(10), order, 2));
  group.start(sleeper(scheduler, Micros(30), order, 3));
  group.start(sleeper(scheduler, Micros(0), order, 4));
  CHECK(scheduler.run_until([&] { return group.size() == 0; }, Micros(1000)) == Scheduler::End::Done);
  CHECK(order == std::vector<int>{4, 2, 1, 3});
  CHECK(scheduler.now() == Micros(30));
}

TEST_CASE("a sleep that is cancelled ends at once and time does not jump to it") {
  Scheduler scheduler;
  base::TaskGroup group(scheduler.executor());
  base::TaskGroup outer(scheduler.executor());
  std::vector<int> order;
  bool stopped = false;
  group.start(sleeper(scheduler, Micros(1'000'000), order, 1));
  outer.start(stop_after(scheduler, group, Micros(7), stopped));
  CHECK(scheduler.run_until([&] { return stopped; }, Micros(10'000'000)) == Scheduler::End::Done);
  CHECK(scheduler.now() == Micros(7));
  CHECK(order.empty());
}

TEST_CASE("nothing a dead process waits for comes, and its tasks still unwind") {
  Scheduler scheduler;
  Process process(scheduler, "p");
  SimClock clock(scheduler, process, Micros(0), Micros(1'000'000'000));
  base::TaskGroup group(scheduler.executor());
  base::TaskGroup outer(scheduler.executor());
  bool ended = false;
  bool stopped = false;
  group.start(never(clock, ended));
  process.kill_at(2);
  outer.start(stop_after(scheduler, group, Micros(50), stopped));
  CHECK(scheduler.run_until([&] { return stopped; }, Micros(1000)) == Scheduler::End::Done);
  CHECK(process.dead());
  CHECK_FALSE(ended);
  CHECK(group.size() == 0);
}

TEST_CASE("a paused process goes on where it was") {
  Scheduler scheduler;
  Process process(scheduler, "p");
  SimClock clock(scheduler, process, Micros(0), Micros(0));
  base::TaskGroup group(scheduler.executor());
  bool ended = false;
  group.start(never(clock, ended));
  process.pause();
  scheduler.call_at(Micros(500), [&] { process.resume(); });
  CHECK(scheduler.run_until([&] { return group.size() == 0; }, Micros(1000)) == Scheduler::End::Done);
  CHECK(ended);
  CHECK(scheduler.now() >= Micros(500));
}

}  // namespace
}  // namespace moveout::sim
