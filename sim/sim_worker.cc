#include "sim/sim_worker.h"

namespace moveout::sim {

// The order of the calls is the order of the work: each call takes the next free slot of the one thread.
Task<> SimWorker::run(std::function<void()> work) {
  co_await process_.gate();
  const Micros took(static_cast<std::int64_t>(rng_.below(400)) + 20);
  free_at_ = std::max(free_at_, scheduler_.now()) + took;
  co_await scheduler_.sleep_until(free_at_);
  co_await process_.gate();
  work();
  co_await process_.gate();
}

}  // namespace moveout::sim
