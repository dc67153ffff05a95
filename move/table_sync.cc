// From a complete back-fill to *in sync*, and staying so (product.md).
#include <algorithm>

#include "base/mutant.h"
#include "move/table_impl.h"

namespace moveout::move {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// How many keys one comparison round takes.
constexpr std::size_t kCompareKeys = 500;
// While in sync, changed keys are compared in rounds of this size, so that they never pile up.
constexpr std::uint64_t kChangedKeysMax = 2000;

}  // namespace

// A comparison of a target that is hours behind would find every changed key different: replay comes near first.
Task<Result<>> TableMove::Impl::catch_up() {
  // DynamoDB Local's creation times are floored to the minute; a fresh record looks up to a minute old.
  constexpr base::Millis kNear{120000};
  const base::Steady start = seams_.clock.steady();
  while (!capture_->at_tip_since(start) &&
         (capture_->progress().lag > kNear || capture_->progress().shards_open == 0)) {
    co_await seams_.clock.sleep_for(base::Millis(100));
  }
  co_return Result<>();
}

Task<Result<>> TableMove::Impl::verify_all() {
  if (state_.era()->stage == Stage::Replay) {
    if (Result<> kept = co_await changed_.clear(); !kept) co_return kept;
    if (Result<> kept = co_await verifier_->forget(); !kept) co_return kept;
    observer_.record(true);
    if (Result<> kept = co_await state_.set_stage(Stage::Verify); !kept) co_return kept;
  }
  enter(Phase::Verify);
  Result<verify::Report> report = co_await verifier_->run();
  if (!report) co_return fail(report.error());
  seams_.log.info("verify.pass", {{"table", spec_.source},
                                  {"matched", report->matched},
                                  {"missing", report->missing},
                                  {"extra", report->extra},
                                  {"different", report->different},
                                  {"hot", report->hot}});
  const std::uint64_t off = report->missing + report->extra + report->different;
  result_.items = report->matched;
  if (off + report->hot > report->first.size() + report->hot_keys.size()) {
    result_.missing = report->missing;
    result_.extra = report->extra;
    result_.different = report->different;
    result_.hot = report->hot;
    co_return fail(
        ErrorKind::Differences,
        fmt::format("table {}: {} keys missing, {} extra, {} different, {} changing too fast to compare: too many to "
                    "settle one by one; look at the target with `moveout verify`",
                    spec_.source, report->missing, report->extra, report->different, report->hot));
  }
  // What differed or was too hot is compared again at the tip, before anything is said of it.
  std::vector<item::Key> again = report->hot_keys;
  for (const verify::Difference& difference : report->first) again.push_back(difference.key);
  if (!again.empty()) {
    if (Result<> kept = co_await changed_.add(std::move(again)); !kept) co_return kept;
  }
  co_return co_await state_.set_stage(Stage::Verified);
}

// *in sync*: a tip for an instant after the start of this attempt, every changed key compared, and nothing off
// (product.md).
Task<Result<>> TableMove::Impl::reach_sync() {
  capture_->hurry(true);
  for (;;) {
    const base::Steady start = seams_.clock.steady();
    co_await capture_->wait_for_tip(start);
    if (Result<> compared = co_await compare_changed(); !compared) co_return compared;
    Result<std::optional<std::uint64_t>> rows = co_await target_->live_rows();
    if (!rows) co_return fail(rows.error());
    if (*rows) result_.items = **rows;
    if (off_since_) {
      co_await seams_.clock.sleep_for(base::Millis(5000));
      continue;
    }
    result_.hot = changed_.size();
    const std::uint64_t hot_max = std::max<std::uint64_t>(10, result_.items / 1000);
    // The comparison may have taken long: a shard that nobody could read meanwhile would end *in sync* at once.
    const bool lately = capture_->progress().behind <= options_.lag_ends_sync;
    if (result_.hot <= hot_max && lately && capture_->at_tip_since(start)) break;
    co_await seams_.clock.sleep_for(base::Millis(100));
  }
  capture_->hurry(false);
  co_return co_await claim();
}

Task<Result<>> TableMove::Impl::claim() {
  result_.quarantined = poison_.count();
  if (result_.quarantined > 0 && !options_.accept_quarantine) {
    co_return fail(
        ErrorKind::Quarantine,
        fmt::format("table {}: {} items cannot stand in the target and were set aside (STATE/quarantine); look at "
                    "them, then run again with --accept-quarantine",
                    spec_.source, result_.quarantined));
  }
  enter(Phase::InSync);
  result_.consumed_rcu = snapshot().consumed_rcu;
  seams_.events.in_sync(result_);
  co_return Result<>();
}

Task<Result<>> TableMove::Impl::compare_changed() {
  std::uint64_t left = changed_.size();
  bool off = false;
  while (left > 0) {
    std::vector<item::Key> keys = changed_.take(kCompareKeys);
    if (keys.empty()) break;
    left -= std::min<std::uint64_t>(left, keys.size());
    Result<verify::Report> report = co_await verifier_->compare(std::move(keys));
    if (!report) co_return fail(report.error());
    compare_rcu_ += report->consumed_rcu;
    std::erase_if(report->first,
                  [&](const verify::Difference& difference) { return poison_.holds(difference.key.encoded()); });
    if (report->first.empty()) {
      if (Result<> kept = co_await changed_.settled(report->hot_keys); !kept) co_return kept;
      continue;
    }
    // Not yet final: the keys wait for another comparison, and nothing is said to be in sync meanwhile.
    off = true;
    if (!off_since_) off_since_ = seams_.clock.steady();
    if (seams_.clock.steady() - *off_since_ < options_.difference_wait) {
      seams_.log.warn("verify.difference_waits", {{"table", spec_.source}, {"keys", report->first.size()}});
      std::vector<item::Key> again = std::move(report->hot_keys);
      for (verify::Difference& difference : report->first) again.push_back(std::move(difference.key));
      if (Result<> kept = co_await changed_.settled(std::move(again)); !kept) co_return kept;
      continue;
    }
    for (const verify::Difference& difference : report->first) {
      switch (difference.kind) {
        case verify::Difference::Kind::Missing:
          ++result_.missing;
          break;
        case verify::Difference::Kind::Extra:
          ++result_.extra;
          break;
        case verify::Difference::Kind::Different:
          ++result_.different;
          break;
      }
      seams_.log.error("verify.difference", {{"table", spec_.source},
                                             {"key_hash", fmt::format("{:016x}", difference.key.hash())},
                                             {"kind", static_cast<int>(difference.kind)}});
    }
    co_return fail(
        ErrorKind::Differences,
        fmt::format("table {}: {} keys missing, {} extra, {} different, with every change applied: something else "
                    "wrote to the target, or to the source past its stream",
                    spec_.source, result_.missing, result_.extra, result_.different));
  }
  if (!off) off_since_.reset();
  co_return Result<>();
}

// In sync, and staying so: returns when a record waits too long.
Task<Result<>> TableMove::Impl::follow() {
  for (;;) {
    co_await seams_.clock.sleep_for(base::Millis(250));
    if (capture_->progress().behind > options_.lag_ends_sync) co_return Result<>();
    if (poison_.count() > result_.quarantined) co_return Result<>();
    if (changed_.size() > kChangedKeysMax) {
      if (Result<> compared = co_await compare_changed(); !compared) co_return compared;
      if (off_since_) co_return Result<>();
    }
  }
}

}  // namespace moveout::move
