// Channel<T>: a bounded queue between coroutines of one executor. The slowest stage sets the pace.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "base/error.h"
#include "base/signal.h"
#include "base/task.h"

namespace moveout::base {

template <class T>
class Channel {
 public:
  // capacity: how many values may wait, at least 1.
  Channel(Executor executor, std::size_t capacity) : room_(executor), filled_(executor), capacity_(capacity) {
    MOVEOUT_ASSERT(capacity > 0);
  }

  // Waits for room. False when the channel is closed: the value was not taken.
  Task<bool> push(T value) {
    while (!closed_ && queue_.size() >= capacity_) co_await room_.wait();
    if (closed_) co_return false;
    queue_.push_back(std::move(value));
    filled_.notify_all();
    co_return true;
  }

  // Waits for a value. Nothing when the channel is closed and drained.
  Task<std::optional<T>> pop() {
    while (queue_.empty() && !closed_) co_await filled_.wait();
    if (queue_.empty()) co_return std::nullopt;
    std::optional<T> value(std::move(queue_.front()));
    queue_.pop_front();
    room_.notify_all();
    co_return value;
  }

  // No more pushes; what is queued can still be popped. Idempotent.
  void close() {
    closed_ = true;
    room_.notify_all();
    filled_.notify_all();
  }

  std::size_t size() const { return queue_.size(); }
  bool closed() const { return closed_; }

 private:
  Signal room_;
  Signal filled_;
  std::deque<T> queue_;
  std::size_t capacity_;
  bool closed_ = false;
};

}  // namespace moveout::base
