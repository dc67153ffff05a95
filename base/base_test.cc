#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <optional>
#include <vector>

#include "base/channel.h"
#include "base/rng.h"
#include "base/signal.h"
#include "base/task_group.h"

using namespace moveout::base;
namespace asio = boost::asio;

namespace {

Task<Result<>> push_all(Channel<int>& channel, int count) {
  for (int i = 0; i < count; ++i) {
    const bool taken = co_await channel.push(i);
    CHECK(taken);
  }
  channel.close();
  co_return Result<>();
}

Task<Result<>> pop_all(Channel<int>& channel, std::vector<int>& seen, std::size_t& deepest) {
  for (;;) {
    deepest = std::max(deepest, channel.size());
    std::optional<int> value = co_await channel.pop();
    if (!value) co_return Result<>();
    seen.push_back(*value);
  }
}

Task<Result<>> wait_for_ever(Signal& signal, int& unwound) {
  struct Count {
    int& n;
    ~Count() { ++n; }
  } count{unwound};
  for (;;) co_await signal.wait();
}

Task<Result<>> fails(ErrorKind kind) { co_return fail(kind, "as asked"); }

Task<Result<>> stop_group(TaskGroup& group, bool& stopped) {
  co_await group.stop();
  stopped = true;
  co_return Result<>();
}

Task<Result<>> wait_group(TaskGroup& group, std::optional<Result<>>& out) {
  out = co_await group.wait_or_stop();
  co_return Result<>();
}

Task<Result<>> owns_a_group(Signal& signal, int& unwound, int& unwound_at_end, bool by_error) {
  struct AtEnd {
    int& now;
    int& at_end;
    ~AtEnd() { at_end = now; }
  } at_end{unwound, unwound_at_end};
  TaskGroup inner(co_await this_executor);
  for (int i = 0; i < 3; ++i) inner.start(wait_for_ever(signal, unwound));
  if (by_error) co_return co_await inner.wait_or_stop();
  co_return co_await inner.wait();
}

}  // namespace

TEST_CASE("an owner that is cancelled while it waits for its group unwinds after the group's tasks") {
  for (const bool by_error : {false, true}) {
    asio::io_context io;
    Signal signal(io.get_executor());
    TaskGroup outer(io.get_executor());
    TaskGroup stopper(io.get_executor());
    int unwound = 0, unwound_at_end = -1;
    bool stopped = false;
    outer.start(owns_a_group(signal, unwound, unwound_at_end, by_error));
    io.poll();
    stopper.start(stop_group(outer, stopped));
    io.restart();
    io.run();
    CHECK(stopped);
    CHECK(unwound == 3);
    CHECK(unwound_at_end == 3);
  }
}

namespace {

Task<Result<>> note(bool& ran) {
  ran = true;
  co_return Result<>();
}

// Starts others and stops their group at once, from inside a running coroutine.
Task<Result<>> start_and_stop(TaskGroup& group, Signal& signal, bool& ran_at_once, int& unwound) {
  bool ran = false;
  group.start(note(ran));
  ran_at_once = ran;
  group.start(wait_for_ever(signal, unwound));
  co_await group.stop();
  co_return Result<>();
}

}  // namespace

TEST_CASE("a task starts by a post, also when it is started by a running one, and may be stopped before it ran") {
  asio::io_context io;
  Signal signal(io.get_executor());
  TaskGroup outer(io.get_executor());
  TaskGroup group(io.get_executor());
  bool ran_at_once = true;
  int unwound = 0;
  outer.start(start_and_stop(group, signal, ran_at_once, unwound));
  io.run();
  CHECK(!ran_at_once);
  CHECK(group.size() == 0);
  CHECK(outer.size() == 0);
}

TEST_CASE("a channel keeps order and never holds more than its capacity") {
  asio::io_context io;
  Channel<int> channel(io.get_executor(), 3);
  TaskGroup group(io.get_executor());
  std::vector<int> seen;
  std::size_t deepest = 0;
  group.start(push_all(channel, 100));
  group.start(pop_all(channel, seen, deepest));
  io.run();
  CHECK(group.size() == 0);
  REQUIRE(seen.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(seen[static_cast<std::size_t>(i)] == i);
  CHECK(deepest <= 3);
}

TEST_CASE("stopping a group unwinds every waiting task before it returns") {
  asio::io_context io;
  Signal signal(io.get_executor());
  TaskGroup group(io.get_executor());
  TaskGroup outer(io.get_executor());
  int unwound = 0;
  bool stopped = false;
  for (int i = 0; i < 5; ++i) group.start(wait_for_ever(signal, unwound));
  io.poll();
  CHECK(unwound == 0);
  outer.start(stop_group(group, stopped));
  io.restart();
  io.run();
  CHECK(unwound == 5);
  CHECK(stopped);
}

TEST_CASE("one failure stops the rest of the group and is the group's result") {
  asio::io_context io;
  Signal signal(io.get_executor());
  TaskGroup group(io.get_executor());
  TaskGroup outer(io.get_executor());
  int unwound = 0;
  std::optional<Result<>> result;
  group.start(wait_for_ever(signal, unwound));
  group.start(fails(ErrorKind::DiskFull));
  outer.start(wait_group(group, result));
  io.run();
  CHECK(unwound == 1);
  REQUIRE(result.has_value());
  REQUIRE(!result->has_value());
  CHECK(result->error().kind == ErrorKind::DiskFull);
}

TEST_CASE("a task started into a stopping group is cancelled too") {
  asio::io_context io;
  Signal signal(io.get_executor());
  TaskGroup group(io.get_executor());
  TaskGroup outer(io.get_executor());
  int unwound = 0;
  bool stopped = false;
  outer.start(stop_group(group, stopped));
  io.run();
  CHECK(stopped);
  group.start(wait_for_ever(signal, unwound));
  io.restart();
  io.run_for(std::chrono::milliseconds(200));
  CHECK(group.size() == 0);
}

TEST_CASE("the same seed gives the same numbers, and below() stays below") {
  Rng a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t x = a.below(10);
    CHECK(x < 10);
    CHECK(x == b.below(10));
    differs |= x != c.below(10);
  }
  CHECK(differs);
}

namespace {

struct Inner {
  TaskGroup group;
  int unwound = 0;
  explicit Inner(Executor e) : group(e) {}
};

Task<Result<>> owner_of_a_group(Signal& signal, int& left_at_unwind, Executor executor) {
  Inner inner(executor);
  struct Look {
    Inner& inner;
    int& out;
    ~Look() { out = static_cast<int>(inner.group.size()); }
  } look{inner, left_at_unwind};
  inner.group.start(wait_for_ever(signal, inner.unwound));
  co_return co_await inner.group.wait();
}

Task<Result<>> returns_soon() { co_return Result<>(); }

Task<Result<>> beside(TaskGroup& group, std::optional<Result<>>& out) {
  out = co_await group.run_beside(returns_soon());
  co_return Result<>();
}

}  // namespace

TEST_CASE("no task outlives the frame of a cancelled owner") {
  asio::io_context io;
  Signal signal(io.get_executor());
  TaskGroup group(io.get_executor());
  TaskGroup outer(io.get_executor());
  int left = -1;
  bool stopped = false;
  group.start(owner_of_a_group(signal, left, io.get_executor()));
  io.poll();
  outer.start(stop_group(group, stopped));
  io.restart();
  io.run();
  CHECK(stopped);
  CHECK(left == 0);
}

TEST_CASE("what runs beside a main task ends with it") {
  asio::io_context io;
  Signal signal(io.get_executor());
  TaskGroup group(io.get_executor());
  TaskGroup outer(io.get_executor());
  int unwound = 0;
  std::optional<Result<>> result;
  group.start(wait_for_ever(signal, unwound));
  outer.start(beside(group, result));
  io.run();
  CHECK(unwound == 1);
  REQUIRE(result.has_value());
  CHECK(result->has_value());
}
