// TaskGroup: owns the coroutines started into it. stop() cancels them all *and* waits until each has unwound.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/error.h"
#include "base/task.h"

namespace moveout::base {

// Single executor. The first error a task returns is kept; what happens to the others is the owner's choice.
class TaskGroup {
 public:
  explicit TaskGroup(Executor executor);
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  // The owner has awaited wait() or stop() before. (In a simulated crash the executor is gone with its frames.)
  ~TaskGroup();

  // Starts `task` by a post. Its error, if first, is kept; a thrown exception other than the cancellation
  // stops the process, as an invariant would.
  void start(Task<Result<>> task);
  // Returns when every task has ended: the first error, or success. Tasks may start others meanwhile.
  // A waiter that is itself cancelled first cancels the tasks and waits for them: no task outlives its owner's frame.
  Task<Result<>> wait();
  // As wait(), but when one task fails the others are cancelled at once.
  Task<Result<>> wait_or_stop();
  // Runs `main` beside the group's tasks. When it ends, or any task fails, everything else is cancelled: the first
  // error, or what `main` returned.
  Task<Result<>> run_beside(Task<Result<>> main);
  // Cancels every task and returns when all have unwound. Idempotent.
  Task<> stop();

  std::size_t size() const;
  bool failed() const;

 private:
  enum class Until { AllEnded, FirstError, MainEnded };
  Task<Result<>> wait_until(Until until);

  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moveout::base
