// Runtime: one thread that runs the program's coroutines.
#pragma once

#include <memory>

#include "base/error.h"
#include "base/task.h"

namespace moveout::net {

class Runtime {
 public:
  Runtime();
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Hand it to what needs one; all of it is destroyed before the runtime.
  base::Executor executor();
  // Runs `task`, and whatever was started beside it, on the calling thread until `task` has ended. What has not ended
  // by then stays suspended, and goes on in the next run(). An exception that leaves the task leaves run().
  base::Result<> run(base::Task<base::Result<>> task);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace moveout::net
