// OrderedTarget: a database that keeps no versions, behind a network: the stand-in for DynamoDB's API without a guard
// (M4). The last request that lands wins: up to L after it was signed, some twice, some never, batches in part.
#pragma once

#include "base/clock.h"
#include "sim/memory_target.h"

namespace moveout::sim {

class OrderedTarget final : public MemoryTarget {
 public:
  OrderedTarget(MemoryDatabase& database, Scheduler& scheduler, Process& process, Faults& faults, base::Rng rng,
                Trace& trace, NetworkOptions options, base::Clock& clock)
      : MemoryTarget(database, scheduler, process, faults, rng, trace, options), clock_(clock) {}

  Task<base::Result<target::Outcomes>> apply(item::Batch batch, target::Checkpoints checkpoints) override;
  Task<base::Result<std::vector<std::optional<item::Version>>>> versions(std::vector<item::Key> keys) override;
  void sign_with(const base::Permit& permit) override { permit_ = &permit; }
  target::Guard guard() const override { return target::Guard::OrderedOnly; }
  base::Millis late_max() const override { return std::chrono::duration_cast<base::Millis>(options_.late_max); }
  bool commits_checkpoints() const override { return false; }

 private:
  Task<base::Result<target::Outcomes>> certainly_not(std::size_t writes, Micros after);
  void land(item::Batch batch, Micros after, bool late);
  Micros late();

  base::Clock& clock_;
  const base::Permit* permit_ = nullptr;
};

}  // namespace moveout::sim
