// Worker: where blocking calls (SQLite, libpq, Lua, fsync) run, off the executor that renews leases and reads shards.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/task.h"

namespace moveout::base {

class Worker {
 public:
  virtual ~Worker() = default;
  // contract: runs `work` to its end, one at a time, in the order of the calls, on the worker's own thread
  // (inline in the simulator), then resumes the caller on the caller's executor.
  // A cancelled caller still waits for work that has begun; work that has not begun is then dropped.
  // `work` must not throw.
  virtual Task<> run(std::function<void()> work) = 0;

  // The same with a value: `co_await worker.call([&] { return count(); })`. The callable and what it refers to
  // live in the caller's frame, which waits.
  template <class Work>
  Task<std::invoke_result_t<Work&>> call(Work work) {
    std::optional<std::invoke_result_t<Work&>> value;
    co_await run([&] { value.emplace(work()); });
    co_return std::move(*value);
  }
};

}  // namespace moveout::base
