#include "move/ordered_flow.h"

#include <algorithm>
#include <charconv>

#include "backfill/ordered_sweep.h"
#include "base/mutant.h"
#include "base/task_group.h"

namespace moveout::move {

using base::ErrorKind;
using base::fail;
using base::Millis;
using base::Result;
using base::Steady;
using base::Task;

namespace {

constexpr std::size_t kSamplesMax = 4096;
constexpr Millis kSampleEvery{250};

// Short where L is short, so that a restart does not wait for the lease alone.
state::LeaseRules rules_of(const target::Target& target) {
  return {std::clamp(target.late_max(), Millis(2000), Millis(10000)), target.late_max()};
}

Result<journal::Position> position_of(const std::string& text) {
  journal::Position position{0};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), position.number);
  if (error != std::errc() || end != text.data() + text.size() || position.number == 0) {
    return fail(ErrorKind::Corrupt, "state: how far the journal was replayed is not a number");
  }
  return position;
}

}  // namespace

OrderedFlow::OrderedFlow(Parts parts, Seams seams, base::Executor executor, base::Rng rng)
    : parts_(std::move(parts)),
      seams_(seams),
      rng_(rng),
      journal_(seams.journal_disk, seams.worker, "journal-" + parts_.file, parts_.state.era()->number,
               {parts_.segment_bytes}),
      lease_(seams.store, seams.clock, parts_.state.prefix() + "signing", parts_.state.owner().still(),
             rules_of(parts_.target)),
      begin_(executor) {
  if (parts_.state.era()->level_triggered) {
    allotter_.emplace(seams_.store, seams_.clock, parts_.state.prefix(), parts_.state.era()->number,
                      parts_.state.owner().still());
  }
  replay::OrderedSeams ordered{parts_.target,      journal_,  lease_,        parts_.quarantine,
                               parts_.checkpoints, *this,     seams_.source, allotter_ ? &*allotter_ : nullptr,
                               seams_.clock,       seams_.log};
  replayer_.emplace(parts_.replay, ordered, parts_.era_prefix, executor, rng_.fork());
  parts_.target.sign_with(lease_);
}

OrderedFlow::~OrderedFlow() = default;

Task<Result<>> OrderedFlow::open(std::map<std::string, std::string>& checkpoints) {
  journal::Position replayed{0};
  const auto row = checkpoints.find(std::string(replay::kReplayedName));
  if (row != checkpoints.end()) {
    const Result<journal::Position> known = position_of(row->second);
    if (!known) co_return fail(known.error());
    replayed = *known;
    checkpoints.erase(row);
  }
  for (auto held = checkpoints.lower_bound(std::string(replay::kHeldPrefix));
       held != checkpoints.end() && held->first.starts_with(replay::kHeldPrefix); held = checkpoints.erase(held)) {
    Result<item::Change> change = replay::held_row_of(held->second);
    if (!change) co_return fail(change.error());
    left_.push_back(std::move(*change));
  }
  const Result<journal::Opened> opened = co_await journal_.open(parts_.state.owner().epoch, replayed);
  if (!opened) co_return fail(opened.error());
  from_ = {std::max<std::uint64_t>(replayed.number, 1)};
  // The state's rows are of replayed pages; the journal's are of those and of later ones.
  for (const auto& [name, value] : opened->checkpoints) checkpoints[name] = value;
  if (opened->end > from_) note_appended(opened->end);
  if (Result<> left = co_await lease_.open(); !left) co_return left;
  if (replayed.number > 0) co_return Result<>();
  // From now on a journal that is not there is damage.
  target::Checkpoints known{{parts_.era_prefix + std::string(replay::kReplayedName), std::to_string(from_.number)}};
  co_return co_await parts_.checkpoints.commit(std::move(known));
}

Task<Result<>> OrderedFlow::run() {
  base::TaskGroup group(co_await base::this_executor);
  group.start(lease_.keep());
  group.start(replay());
  co_return co_await group.wait_or_stop();
}

Task<Result<>> OrderedFlow::replay() {
  while (!begun_) co_await begin_.wait();
  if (!quiet_) {
    if (Result<> waited = co_await quiet(); !waited) co_return waited;
  }
  seams_.log.info("replay.begins", {{"table", parts_.replay.table}, {"page", from_.number}});
  co_return co_await replayer_->run(from_, std::move(left_));
}

void OrderedFlow::replay_now() {
  begun_ = true;
  begin_.notify_all();
}

Task<Result<>> OrderedFlow::quiet() {
  if (!base::mutant("no_wait_after_backfill")) {
    const Steady now = seams_.clock.steady(), until = lease_.quiet_from();
    if (until > now) {
      const auto wait = std::chrono::duration_cast<Millis>(until - now);
      seams_.log.info("replay.waits", {{"table", parts_.replay.table}, {"ms", wait.count()}});
      co_await seams_.clock.sleep_until(until);
    }
  }
  quiet_ = true;
  co_return Result<>();
}

Task<Result<>> OrderedFlow::before_backfill() {
  if (parts_.state.era()->number > 0) {
    if (Result<> waited = co_await quiet(); !waited) co_return waited;
    quiet_ = false;
  }
  co_return co_await lease_.granted();
}

Task<Result<std::uint64_t>> OrderedFlow::sweep() {
  backfill::OrderedSweep sweep(seams_.source, parts_.replay.table, parts_.replay.key, parts_.target, lease_,
                               seams_.clock, rng_.fork(), seams_.log);
  co_return co_await sweep.run();
}

Task<Result<>> OrderedFlow::deliver(capture::CapturedPage page) {
  std::vector<item::Key> keys;
  for (const item::Change& change : page.changes) {
    ++records_[change.key.hash() % records_.size()];
    keys.push_back(change.key);
  }
  if (Result<> told = co_await parts_.observer.changing(std::move(keys)); !told) co_return told;
  const Result<journal::Position> kept =
      co_await journal_.append({std::move(page.changes), std::move(page.checkpoint)});
  if (!kept) co_return fail(kept.error());
  note_appended(kept->next());
  replayer_->appended();
  co_return Result<>();
}

// Once a newer write of a key stands, what was set aside of it is history.
Task<Result<>> OrderedFlow::stands(std::vector<std::pair<std::string, item::Version>> applied) {
  std::erase_if(applied, [&](const auto& write) { return !parts_.poison.holds(write.first); });
  if (applied.empty()) co_return Result<>();
  co_return co_await parts_.poison.resolve(std::move(applied));
}

void OrderedFlow::note_appended(journal::Position end) {
  const Steady now = seams_.clock.steady();
  const bool recent = !samples_.empty() && now - samples_.back().at < kSampleEvery;
  if (recent || samples_.size() >= kSamplesMax) {
    samples_.back().end = std::max(samples_.back().end, end);
  } else {
    samples_.push_back({now, end});
  }
}

Millis OrderedFlow::behind() const {
  while (!samples_.empty() && replayer_->passed(samples_.front().end)) samples_.pop_front();
  if (samples_.empty()) return Millis(0);
  return std::chrono::duration_cast<Millis>(seams_.clock.steady() - samples_.front().at);
}

std::uint64_t OrderedFlow::records_of(const item::Key& key) const {
  const std::uint64_t records = records_[key.hash() % records_.size()];
  return replayer_->is_held(key.encoded()) ? records + ++held_looks_ : records;
}

// What capture has passed lies in the journal by then; replay comes to it within L, if too many keys of it are held to
// go on without them.
Task<bool> OrderedFlow::wait_for_pass(capture::StreamCapture& capture, Steady instant, Millis patience) {
  if (!co_await capture.wait_for_pass(instant, patience)) co_return false;
  const journal::Position end = journal_.end();
  const Steady until = seams_.clock.steady() + patience + parts_.target.late_max();
  while (!replayer_->passed_but_held(end)) {
    if (seams_.clock.steady() >= until) co_return false;
    co_await seams_.clock.sleep_for(Millis(50));
  }
  passed_ = std::max(passed_, instant);
  co_return true;
}

}  // namespace moveout::move
