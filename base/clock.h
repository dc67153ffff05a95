// Clock: the only way to learn the time or to wait. The system's one lives in net/, the simulator has its own.
#pragma once

#include <chrono>

#include "base/task.h"

namespace moveout::base {

using Micros = std::chrono::microseconds;
using Millis = std::chrono::milliseconds;
// Wall time, µs since 1970. May step; compare across machines only with a margin.
using Instant = std::chrono::time_point<std::chrono::system_clock, Micros>;
// Monotonic time of this process: for durations, time-outs and lease expiry.
using Steady = std::chrono::time_point<std::chrono::steady_clock, Micros>;

class Clock {
 public:
  virtual ~Clock() = default;
  // contract: any thread.
  virtual Instant now() const = 0;
  virtual Steady steady() const = 0;
  // contract: resumes on the caller's executor, not before `until`; cancellable through a TaskGroup.
  virtual Task<> sleep_until(Steady until) = 0;

  Task<> sleep_for(Micros duration) { return sleep_until(steady() + duration); }
};

inline std::int64_t micros_of(Instant instant) { return instant.time_since_epoch().count(); }
inline Instant instant_of_micros(std::int64_t micros) { return Instant(Micros(micros)); }

}  // namespace moveout::base
