// SystemClock: the machine's clocks and timers.
#pragma once

#include "base/clock.h"

namespace moveout::net {

// contract: as base::Clock; sleep_until runs on the caller's executor and is cancelled through its TaskGroup.
class SystemClock final : public base::Clock {
 public:
  base::Instant now() const override;
  base::Steady steady() const override;
  base::Task<> sleep_until(base::Steady until) override;
};

}  // namespace moveout::net
