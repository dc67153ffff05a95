#include "sim/sim_clock.h"

namespace moveout::sim {

Task<> SimClock::sleep_until(base::Steady until) {
  co_await process_.gate();
  co_await scheduler_.sleep_until(until.time_since_epoch() - steady_offset_);
  co_await process_.gate();
}

}  // namespace moveout::sim
