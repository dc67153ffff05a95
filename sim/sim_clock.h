// SimClock: a process's clocks. Its wall clock may be off and may jump; its monotonic one began at some other time.
#pragma once

#include "base/clock.h"
#include "sim/process.h"
#include "sim/scheduler.h"

namespace moveout::sim {

// 2026-01-01T00:00:00Z: when worlds begin.
inline constexpr base::Instant kWorldBegins{Micros(1'767'225'600'000'000)};

// The true time, as servers see it.
inline base::Instant true_time(const Scheduler& scheduler) { return kWorldBegins + scheduler.now(); }

class SimClock final : public base::Clock {
 public:
  SimClock(Scheduler& scheduler, Process& process, Micros wall_offset, Micros steady_offset)
      : scheduler_(scheduler), process_(process), wall_offset_(wall_offset), steady_offset_(steady_offset) {}

  base::Instant now() const override { return true_time(scheduler_) + wall_offset_; }
  base::Steady steady() const override { return base::Steady(scheduler_.now() + steady_offset_); }
  Task<> sleep_until(base::Steady until) override;

  void step(Micros by) { wall_offset_ += by; }
  Micros wall_offset() const { return wall_offset_; }

 private:
  Scheduler& scheduler_;
  Process& process_;
  Micros wall_offset_;
  Micros steady_offset_;
};

}  // namespace moveout::sim
