// Signal: coroutines wait until someone notifies. Single executor: no locks, no spurious losses.
#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "base/task.h"

namespace moveout::base {

// Cancellation: a wait that a TaskGroup stops ends with boost::system::system_error(operation_aborted),
// which unwinds the coroutine; nobody catches it but the group.
class Signal {
 public:
  explicit Signal(Executor executor);
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal();

  // Wakes everyone who waits now. Each resumes by a post to its executor, in the order of waiting.
  void notify_all();
  // Returns after a later notify_all(). Re-check the condition in a loop.
  Task<> wait();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moveout::base
