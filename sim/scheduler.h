// Scheduler: one thread, one virtual clock. Ready handlers run in the order they became ready; when none is left, time
// jumps to the next timer, in the order (time, when it was set).
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/task.h"

namespace moveout::sim {

using base::Micros;
using base::Task;

class Scheduler {
 public:
  Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  ~Scheduler();

  base::Executor executor() { return context_.get_executor(); }
  // Time since the world began.
  Micros now() const { return now_; }

  // Runs `action` at `when`, or as soon as nothing is ready when that has passed. A later call with the same time runs
  // later.
  void call_at(Micros when, std::move_only_function<void()> action);
  void call_after(Micros wait, std::move_only_function<void()> action) { call_at(now_ + wait, std::move(action)); }
  // Cancellable.
  Task<> sleep_until(Micros when);
  Task<> sleep_for(Micros wait) { return sleep_until(now_ + wait); }

  enum class End { Done, TimeUp, Idle, Livelock };
  // Until done() holds; it is asked after every instant's last handler. Livelock: time stood still for a million
  // handlers.
  End run_until(const std::function<bool()>& done, Micros limit);
  std::uint64_t handlers() const { return handlers_; }

 private:
  struct Sleepers;
  bool run_ready();

  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  Micros now_{0};
  std::uint64_t sequence_ = 0;
  std::uint64_t handlers_ = 0;
  std::map<std::pair<Micros, std::uint64_t>, std::move_only_function<void()>> timers_;
  std::shared_ptr<Sleepers> sleepers_;
};

}  // namespace moveout::sim
