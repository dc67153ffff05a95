// ThreadWorker: a thread of its own for blocking calls.
#pragma once

#include <memory>

#include "base/worker.h"

namespace moveout::net {

// contract: as base::Worker; run() may be called from any executor. Destroyed before the executors of its callers;
// the destructor waits for the work that has begun, drops the rest, and joins the thread.
class ThreadWorker final : public base::Worker {
 public:
  // `name` is the thread's, at most 15 characters.
  explicit ThreadWorker(std::string name);
  ~ThreadWorker() override;
  ThreadWorker(const ThreadWorker&) = delete;
  ThreadWorker& operator=(const ThreadWorker&) = delete;

  base::Task<> run(std::function<void()> work) override;

 private:
  struct Queue;
  std::shared_ptr<Queue> queue_;
};

}  // namespace moveout::net
