#include "sim/ordered_target.h"

namespace moveout::sim {

using base::Result;
using target::Outcome;
using target::Outcomes;

namespace {
constexpr Micros kTimeout = std::chrono::seconds(10);
}

Micros OrderedTarget::late() { return Micros(rng_.below(static_cast<std::uint64_t>(options_.late_max.count()))); }

// A request that is on its way lands whatever becomes of its process, in whatever order.
void OrderedTarget::land(item::Batch batch, Micros after, bool late) {
  if (late) faults_.count(Fault::TargetLate);
  scheduler_.call_after(after, [&database = database_, &trace = trace_, batch = std::move(batch), late] {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const item::Write write = batch[i];
      if (write.is_delete()) {
        database.rows.erase(std::string(write.key));
      } else {
        database.rows[std::string(write.key)] = {{}, std::make_shared<const std::string>(write.image)};
      }
    }
    if (late) trace.note("target: {} writes landed late", batch.size());
  });
}

Task<Result<Outcomes>> OrderedTarget::certainly_not(std::size_t writes, Micros after) {
  co_await scheduler_.sleep_for(after);
  co_await process_.gate();
  co_return Outcomes::all(Outcome::Throttled, writes);
}

Task<Result<Outcomes>> OrderedTarget::apply(item::Batch batch, target::Checkpoints checkpoints) {
  MOVEOUT_ASSERT(checkpoints.empty());
  // As with pacing and connections: between the call and the signing a process may sleep for long.
  co_await process_.gate();
  co_await scheduler_.sleep_for(latency() / 4);
  co_await process_.gate();
  if (permit_ != nullptr && !permit_->may_sign()) co_return co_await certainly_not(batch.size(), latency());
  const base::Steady until = clock_.steady() + options_.late_max;
  if (faults_.strikes(Fault::Throttle) || faults_.strikes(Fault::Refused)) {
    co_return co_await certainly_not(batch.size(), latency());
  }
  Outcomes outcomes;
  item::Batch taken;
  const bool in_part = faults_.strikes(Fault::PartialBatch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const item::Write write = batch[i];
    std::optional<std::string> reason = refusal(write);
    const bool unprocessed = !reason && in_part && rng_.chance(3);
    outcomes.each.push_back(reason ? Outcome::Refused : unprocessed ? Outcome::Throttled : Outcome::Applied);
    if (reason) outcomes.why.emplace_back(i, *reason);
    if (!reason && !unprocessed) taken.add_copy(write.key, write.version, write.image);
  }
  const bool down = scheduler_.now() < database_.down_until;
  if (down) faults_.count(Fault::TargetDown);
  const bool lost = down || faults_.strikes(Fault::LostRequest);
  const bool late_request = !lost && faults_.strikes(Fault::LateRequest);
  const bool unheard = lost || late_request || faults_.strikes(Fault::LostAnswer);
  Micros there = latency();
  if (!unheard && faults_.strikes(Fault::SlowAnswer)) there += Micros(rng_.below(4'000'000));
  if (late_request) land(batch, late(), true);
  if (!lost && !late_request) land(unheard ? batch : taken, there, false);
  // Who repeats a request does so because nobody answered.
  if (unheard && faults_.strikes(Fault::Duplicate)) land(batch, late(), true);
  co_await scheduler_.sleep_for(unheard ? kTimeout : there + latency());
  co_await process_.gate();
  if (unheard) {
    outcomes = Outcomes::all(Outcome::Unknown, batch.size());
    outcomes.until = until;
  }
  trace_.note("{} target.apply {} writes -> {} applied, {} unknown", process_.name(), batch.size(),
              outcomes.count(Outcome::Applied), outcomes.count(Outcome::Unknown));
  co_return outcomes;
}

Task<Result<std::vector<std::optional<item::Version>>>> OrderedTarget::versions(std::vector<item::Key> keys) {
  co_return std::vector<std::optional<item::Version>>(keys.size());
}

}  // namespace moveout::sim
