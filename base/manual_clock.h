// ManualClock: time that moves when the test says so, and a runner that moves it while everything waits. For tests.
#pragma once

#include <boost/asio/io_context.hpp>

#include <optional>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/signal.h"
#include "base/task.h"
#include "base/task_group.h"

namespace moveout::base {

// Single thread: that of the io_context.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Executor executor, Instant now = instant_of_micros(1'700'000'000'000'000))
      : moved_(std::move(executor)), now_(now) {}

  Instant now() const override { return now_; }
  Steady steady() const override { return steady_; }
  Task<> sleep_until(Steady until) override {
    struct Waiting {
      std::multiset<Steady>& all;
      std::multiset<Steady>::iterator at;
      ~Waiting() { all.erase(at); }
    } waiting{sleepers_, sleepers_.insert(until)};
    while (steady_ < until) co_await moved_.wait();
  }

  void advance(Micros by) {
    now_ += by;
    steady_ += by;
    moved_.notify_all();
  }
  // Steps the wall clock alone, as NTP or an operator does.
  void step_wall(Micros by) { now_ += by; }
  // To the earliest sleeper. False when nobody sleeps.
  bool advance_to_next() {
    if (sleepers_.empty()) return false;
    advance(std::max(Micros(0), *sleepers_.begin() - steady_));
    return true;
  }

 private:
  Signal moved_;
  Instant now_;
  Steady steady_{};
  std::multiset<Steady> sleepers_;
};

template <class T>
Task<Result<>> keep_value(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await std::move(task));
  co_return Result<>();
}

// Runs the task to its end, moving the clock whenever all of `io` waits for it. Asserts that it does end.
template <class T>
T finish(boost::asio::io_context& io, ManualClock& clock, Task<T> task) {
  std::optional<T> value;
  TaskGroup group(io.get_executor());
  group.start(keep_value(std::move(task), value));
  for (;;) {
    io.restart();
    io.poll();
    if (group.size() == 0) break;
    MOVEOUT_ASSERT(clock.advance_to_next());
  }
  MOVEOUT_ASSERT(value.has_value());
  return std::move(*value);
}

}  // namespace moveout::base
