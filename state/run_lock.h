// RunLock: one process a run. An advisory lock on a file in the state folder; the kernel lets go when the process dies.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"

namespace moveout::state {

class RunLock {
 public:
  // RunLocked, naming the pid of the holder, when another process has it. Makes the folder (0700) when absent.
  static base::Result<std::unique_ptr<RunLock>> take(const std::string& folder);
  // The pid that holds the lock now, 0 for nobody.
  static base::Result<int> holder(const std::string& folder);
  ~RunLock();

 private:
  explicit RunLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace moveout::state
