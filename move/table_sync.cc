// From a complete back-fill to *in sync*, and staying so (product.md).
#include <algorithm>
#include <set>

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
// While in sync, changed keys are compared about every 5 s.
constexpr int kCompareEvery = 20;

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
  while (flow_ && flow_->behind() > kNear) co_await seams_.clock.sleep_for(base::Millis(100));
  co_return Result<>();
}

Task<> TableMove::Impl::wait_for_replay(base::Steady instant) {
  while (flow_ && !co_await flow_->wait_for_pass(*capture_, instant, kPassPatience)) {
    seams_.log.info("move.waits_for_replay", {{"table", spec_.source}, {"held", flow_->held()}});
  }
}

// A held key's write may still land over a later one's place in the order: nothing is said to be in sync beside it.
bool TableMove::Impl::replayed_since(base::Steady instant) const {
  if (!flow_) return true;
  return flow_->passed_since(instant) && (flow_->held() == 0 || base::mutant("in_sync_with_held_keys"));
}

base::Millis TableMove::Impl::behind() const {
  const base::Millis captured = capture_->progress().behind;
  return flow_ ? std::max(captured, flow_->behind()) : captured;
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
                                  {"hot", report->hot},
                                  {"expired", report->expired},
                                  {"quarantined", report->quarantined}});
  const std::uint64_t off = report->missing + report->extra + report->different;
  result_.items = report->matched;
  result_.expired = report->expired;
  if (off + report->hot > report->first.size() + report->hot_keys.size()) {
    result_.missing = report->missing;
    result_.extra = report->extra;
    result_.different = report->different;
    result_.hot = report->hot;
    if (poison_.count() > 0 && !options_.accept_quarantine) co_return fail(quarantine_error());
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

// *in sync*: every shard at its tip, or past it by a newer record, for an instant after the start of this attempt;
// every changed key compared, and nothing off (product.md). A table that is written all the time has no tip, and keys
// change while others are compared: those that changed since are `hot`.
Task<Result<>> TableMove::Impl::reach_sync() {
  capture_->hurry(true);
  for (;;) {
    const base::Steady start = seams_.clock.steady();
    while (!co_await capture_->wait_for_pass(start, kPassPatience)) {
      seams_.log.info("move.waits_for_tip", {{"table", spec_.source}});
    }
    co_await wait_for_replay(start);
    if (Result<> compared = co_await compare_changed(); !compared) co_return compared;
    if (!off_.empty()) {
      co_await seams_.clock.sleep_for(base::Millis(5000));
      continue;
    }
    if (Result<> looked = co_await look_at_quarantine(); !looked) co_return looked;
    if (Result<> looked = co_await glance_at_changed(); !looked) co_return looked;
    Result<std::optional<std::uint64_t>> rows = co_await target_->live_rows();
    if (!rows) co_return fail(rows.error());
    if (*rows) result_.items = **rows;
    result_.hot = changed_.size();
    const std::uint64_t hot_max = std::max<std::uint64_t>(10, result_.items / 1000);
    // The comparison may have taken long: a shard that nobody could read meanwhile would end *in sync* at once.
    const bool lately = behind() <= options_.lag_ends_sync;
    if (result_.hot <= hot_max && lately && capture_->passed_since(start) && replayed_since(start)) break;
    co_await seams_.clock.sleep_for(base::Millis(100));
  }
  capture_->hurry(false);
  co_return co_await claim();
}

Task<Result<>> TableMove::Impl::claim() {
  if (base::mutant("in_sync_by_an_old_look")) co_await seams_.clock.sleep_for(kPassPatience);
  result_.quarantined = poison_.count();
  if (result_.quarantined > 0 && !options_.accept_quarantine) co_return fail(quarantine_error());
  enter(Phase::InSync);
  result_.consumed_rcu = snapshot().consumed_rcu;
  seams_.events.in_sync(result_);
  co_return Result<>();
}

// What was set aside may have been mended since in a way that no change told: the two sides are asked. A key that both
// have, or neither, shows that what was set aside before this look is history; what is set aside meanwhile stays.
Task<Result<>> TableMove::Impl::look_at_quarantine() {
  std::vector<std::pair<std::string, item::Version>> mended;
  const std::vector<std::pair<std::string, item::Version>> held = poison_.held();
  for (std::size_t from = 0; from < held.size(); from += kCompareKeys) {
    const std::size_t end = std::min(held.size(), from + kCompareKeys);
    std::vector<item::Key> keys;
    for (std::size_t i = from; i < end; ++i) {
      Result<item::Key> key = item::Key::from_encoded(held[i].first);
      if (!key) co_return fail(key.error());
      keys.push_back(std::move(*key));
    }
    Result<verify::Glance> seen = co_await verifier_->glance(std::move(keys));
    if (!seen) co_return fail(seen.error());
    compare_rcu_ += seen->consumed_rcu;
    std::set<std::string> off;
    for (const item::Key& key : seen->others) off.insert(key.encoded());
    for (std::size_t i = from; i < end; ++i) {
      if (!off.contains(held[i].first)) mended.push_back(held[i]);
    }
  }
  if (Result<> forgotten = co_await poison_.forget(std::move(mended)); !forgotten) co_return forgotten;
  co_return co_await quarantine_.tidy();
}

// Most changed keys are equal at a glance. What is not, or changed since, waits on.
Task<Result<>> TableMove::Impl::glance_at_changed() {
  std::uint64_t left = changed_.size();
  while (left > 0) {
    std::vector<item::Key> keys = changed_.take(kCompareKeys);
    if (keys.empty()) break;
    left -= std::min<std::uint64_t>(left, keys.size());
    Result<verify::Glance> seen = co_await verifier_->glance(std::move(keys));
    if (!seen) co_return fail(seen.error());
    compare_rcu_ += seen->consumed_rcu;
    if (Result<> kept = co_await changed_.settled(std::move(seen->others)); !kept) co_return kept;
  }
  co_return Result<>();
}

Task<Result<>> TableMove::Impl::compare_changed() {
  // A comparison waits for what is on its way: only few keys should need one.
  for (int i = 0; i < 3 && changed_.size() > kCompareKeys; ++i) {
    if (Result<> looked = co_await glance_at_changed(); !looked) co_return looked;
  }
  std::uint64_t left = changed_.size();
  const base::Steady now = seams_.clock.steady();
  std::map<item::Key, base::Steady> off;
  while (left > 0) {
    std::vector<item::Key> keys = changed_.take(kCompareKeys);
    if (keys.empty()) break;
    left -= std::min<std::uint64_t>(left, keys.size());
    Result<verify::Report> report = co_await verifier_->compare(std::move(keys));
    if (!report) co_return fail(report.error());
    compare_rcu_ += report->consumed_rcu;
    result_.expired += report->expired;
    // Not yet final: the keys wait for another comparison, and nothing is said to be in sync meanwhile.
    std::vector<item::Key> again = std::move(report->hot_keys);
    for (const verify::Difference& difference : report->first) {
      const auto before = off_.find(difference.key);
      off.emplace(difference.key, before == off_.end() ? now : before->second);
      again.push_back(difference.key);
    }
    if (Result<> final = judge(report->first); !final) co_return final;
    if (!report->first.empty()) {
      seams_.log.warn("verify.difference_waits", {{"table", spec_.source}, {"keys", report->first.size()}});
    }
    if (Result<> kept = co_await changed_.settled(std::move(again)); !kept) co_return kept;
  }
  off_ = std::move(off);
  co_return Result<>();
}

// A key that has differed for long enough differs for good.
Result<> TableMove::Impl::judge(const std::vector<verify::Difference>& differences) {
  const base::Steady now = seams_.clock.steady();
  for (const verify::Difference& difference : differences) {
    const auto since = off_.find(difference.key);
    const bool at_once = base::mutant("verify_values_only");
    if (!at_once && (since == off_.end() || now - since->second < options_.difference_wait)) continue;
    ++(difference.kind == verify::Difference::Kind::Missing ? result_.missing
       : difference.kind == verify::Difference::Kind::Extra ? result_.extra
                                                            : result_.different);
    seams_.log.error("verify.difference", {{"table", spec_.source},
                                           {"key_hash", fmt::format("{:016x}", difference.key.hash())},
                                           {"kind", static_cast<int>(difference.kind)}});
  }
  if (result_.missing + result_.extra + result_.different == 0) return {};
  return fail(
      ErrorKind::Differences,
      fmt::format("table {}: {} keys missing, {} extra, {} different, with every change applied: something else "
                  "wrote to the target, or to the source past its stream",
                  spec_.source, result_.missing, result_.extra, result_.different));
}

// In sync, and staying so: returns, in phase replay, when a record waits too long or something is off.
Task<Result<>> TableMove::Impl::follow() {
  following_ = comparing_ = true;
  base::TaskGroup group(co_await base::this_executor);
  group.start(keep_comparing());
  co_return co_await group.run_beside(watch());
}

void TableMove::Impl::stop_following() {
  if (!following_) return;
  following_ = false;
  enter(Phase::Replay);
}

// Says at once what ended *in sync*, and returns when no comparison is under way any more.
Task<Result<>> TableMove::Impl::watch() {
  while (comparing_) {
    co_await seams_.clock.sleep_for(base::Millis(250));
    if (behind() > options_.lag_ends_sync || poison_.count() > result_.quarantined) stop_following();
  }
  co_return Result<>();
}

// Changed keys are compared again while the table is followed, so that they never pile up.
Task<Result<>> TableMove::Impl::keep_comparing() {
  while (following_) {
    for (int i = 0; following_ && i < kCompareEvery; ++i) co_await seams_.clock.sleep_for(base::Millis(250));
    if (!following_ || changed_.size() == 0) continue;
    if (Result<> compared = co_await compare_changed(); !compared) co_return compared;
    if (!off_.empty()) stop_following();
  }
  comparing_ = false;
  co_return Result<>();
}

}  // namespace moveout::move
