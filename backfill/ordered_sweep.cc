#include "backfill/ordered_sweep.h"

#include <algorithm>
#include <utility>

#include "backfill/sweep.h"
#include "base/mutant.h"

namespace moveout::backfill {

using base::ErrorKind;
using base::Result;
using base::Task;

namespace {

constexpr std::size_t kPageRows = 100;      // one BatchGetItem
constexpr std::size_t kWrites = 25;         // one BatchWriteItem
constexpr std::size_t kDoubtsMax = 10'000;  // in memory; then they are waited for
constexpr base::Millis kGiveUpAfter{300000};

}  // namespace

OrderedSweep::OrderedSweep(aws::DynamoDb& source, std::string table, item::KeySchema key, target::Target& target,
                           state::SigningLease& lease, base::Clock& clock, base::Rng rng, base::Log& log)
    : source_(source),
      table_(std::move(table)),
      key_(std::move(key)),
      target_(target),
      lease_(lease),
      clock_(clock),
      rng_(rng),
      log_(log) {}

Task<Result<std::uint64_t>> OrderedSweep::run() {
  removed_ = 0;
  std::string cursor;
  do {
    Result<target::StoredPage> page = co_await target_.scan(cursor, kPageRows);
    if (!page) co_return base::fail(page.error());
    std::vector<item::Key> keys;
    for (auto& [key, stored] : page->items) keys.push_back(key);
    cursor = page->next;
    if (Result<> removed = co_await remove_absent(std::move(keys)); !removed) co_return base::fail(removed.error());
    if (doubts_.size() < kDoubtsMax) continue;
    if (Result<> settled = co_await settle_doubts(); !settled) co_return base::fail(settled.error());
  } while (!cursor.empty());
  while (!doubts_.empty()) {
    if (Result<> settled = co_await settle_doubts(); !settled) co_return base::fail(settled.error());
  }
  log_.info("backfill.swept", {{"table", table_}, {"removed", removed_}});
  co_return removed_;
}

Task<Result<>> OrderedSweep::settle_doubts() {
  std::set<std::string> doubts = std::exchange(doubts_, {});
  co_await clock_.sleep_until(until_);
  std::vector<item::Key> keys;
  for (const std::string& encoded : doubts) {
    Result<item::Key> key = item::Key::from_encoded(encoded);
    if (!key) co_return base::fail(key.error());
    keys.push_back(std::move(*key));
  }
  co_return co_await remove_absent(std::move(keys));
}

Task<Result<>> OrderedSweep::remove_absent(std::vector<item::Key> keys) {
  for (std::size_t from = 0; from < keys.size(); from += kPageRows) {
    const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(from);
    const std::vector<item::Key> some(begin,
                                      begin + static_cast<std::ptrdiff_t>(std::min(kPageRows, keys.size() - from)));
    const Result<std::set<std::string>> found = co_await present(source_, table_, key_, some);
    if (!found) co_return base::fail(found.error());
    std::vector<std::string> gone;
    for (const item::Key& key : some) {
      if (found->contains(key.encoded()) || base::mutant("no_sweep")) continue;
      gone.push_back(key.encoded());
      if (gone.size() < kWrites) continue;
      if (Result<> removed = co_await remove(std::exchange(gone, {})); !removed) co_return removed;
    }
    if (Result<> removed = co_await remove(std::move(gone)); !removed) co_return removed;
  }
  co_return Result<>();
}

Task<Result<>> OrderedSweep::remove(std::vector<std::string> gone) {
  base::Backoff backoff({}, rng_);
  const base::Steady begun = clock_.steady();
  while (!gone.empty()) {
    if (Result<> granted = co_await lease_.granted(); !granted) co_return granted;
    item::Batch batch;
    for (const std::string& key : gone) batch.add_copy(key, {}, {});
    Result<target::Outcomes> outcomes = co_await target_.apply(std::move(batch), {});
    if (!outcomes && outcomes.error().kind != ErrorKind::Throttled) co_return base::fail(outcomes.error());
    if (!outcomes) outcomes = target::Outcomes::all(target::Outcome::Throttled, gone.size());
    std::vector<std::string> again;
    for (std::size_t i = 0; i < gone.size(); ++i) {
      const target::Outcome outcome = outcomes->each[i];
      if (outcome == target::Outcome::Throttled) again.push_back(gone[i]);
      if (outcome == target::Outcome::Unknown) {
        doubts_.insert(gone[i]);
        until_ = std::max(until_, outcomes->until);
      }
      if (outcome == target::Outcome::Applied || outcome == target::Outcome::Stale) ++removed_;
      if (outcome == target::Outcome::Refused) {
        co_return base::fail(ErrorKind::TargetChanged, "table " + table_ + ": the target refuses to delete a key");
      }
    }
    gone = std::move(again);
    if (gone.empty()) break;
    if (clock_.steady() - begun >= kGiveUpAfter) {
      co_return base::fail(ErrorKind::EndpointDown, "the target has taken no delete for minutes");
    }
    co_await clock_.sleep_for(backoff.next());
  }
  co_return Result<>();
}

}  // namespace moveout::backfill
