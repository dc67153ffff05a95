// InlineWorker: a Worker that runs its work where it is called, for tests and for the simulator's one thread.
#pragma once

#include "base/worker.h"

namespace moveout::base {

class InlineWorker final : public Worker {
 public:
  Task<> run(std::function<void()> work) override {
    work();
    co_return;
  }
};

}  // namespace moveout::base
