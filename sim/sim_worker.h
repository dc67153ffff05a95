// SimWorker: blocking work runs inline, between two gates; while it runs, each file operation is a boundary of its own.
#pragma once

#include "base/rng.h"
#include "base/worker.h"
#include "sim/process.h"

namespace moveout::sim {

class SimWorker final : public base::Worker {
 public:
  SimWorker(Scheduler& scheduler, Process& process, base::Rng rng)
      : scheduler_(scheduler), process_(process), rng_(rng) {}

  Task<> run(std::function<void()> work) override;

 private:
  Scheduler& scheduler_;
  Process& process_;
  base::Rng rng_;
  Micros free_at_{0};
};

}  // namespace moveout::sim
