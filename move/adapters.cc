#include "move/adapters.h"

#include <fmt/format.h>

#include "move/ordered_flow.h"

namespace moveout::move {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

Task<Result<>> ReplaySink::deliver(capture::CapturedPage page) {
  target::Checkpoints checkpoints{{era_prefix_ + page.checkpoint.first, std::move(page.checkpoint.second)}};
  // A newer write of a key that was set aside: once it is applied, what stood in quarantine is history. (A write that
  // is set aside itself carries its own version there, which resolve() leaves alone.)
  std::vector<std::pair<std::string, item::Version>> newer;
  for (const item::Change& change : page.changes) {
    if (poison_.holds(change.key.encoded())) newer.emplace_back(change.key.encoded(), change.version);
  }
  Result<> applied = co_await replayer_.apply(std::move(page.changes), std::move(checkpoints));
  if (!applied || newer.empty()) co_return applied;
  co_return co_await poison_.resolve(std::move(newer));
}

Task<Result<>> StateCheckpoints::commit(target::Checkpoints checkpoints) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (target::Checkpoint& checkpoint : checkpoints) {
    rows.emplace_back(std::move(checkpoint.name), std::move(checkpoint.value));
  }
  return state_.set_checkpoints(std::move(rows));
}

Task<Result<>> StateQuarantine::put(std::vector<target::Poison> items) {
  std::vector<state::PoisonRow> rows;
  std::string lines;
  for (target::Poison& poison : items) {
    Result<item::Key> key = item::Key::from_encoded(poison.key);
    log_.warn(
        "quarantine.put",
        {{"table", table_}, {"key_hash", fmt::format("{:016x}", key ? key->hash() : 0)}, {"reason", poison.reason}});
    rows.push_back({std::move(poison.key), poison.version, std::move(poison.reason), std::move(poison.image)});
    if (poison_.is_news(rows.back())) lines += state::quarantine_line(table_, schema_, rows.back());
  }
  if (Result<> kept = co_await poison_.put(std::move(rows)); !kept) co_return kept;
  // What an earlier process left there goes first; then line by line.
  if (!written_) co_return co_await tidy();
  if (lines.empty()) co_return Result<>();
  co_return co_await file_.append(std::move(lines));
}

Task<Result<>> StateQuarantine::tidy() {
  const std::uint64_t replaced = poison_.replaced();
  if (written_ ? replaced == shown_ : poison_.count() == 0 && replaced == 0) co_return Result<>();
  Result<std::vector<state::PoisonRow>> rows = co_await poison_.list();
  if (!rows) co_return fail(rows.error());
  std::string lines;
  for (const state::PoisonRow& row : *rows) lines += state::quarantine_line(table_, schema_, row);
  Result<> written = co_await file_.rewrite(std::move(lines));
  if (!written) co_return written;
  written_ = true;
  shown_ = replaced;
  co_return Result<>();
}

Task<Result<>> PoisonKeys::learn() {
  if (of_ == Of::ThisProcess) co_return Result<>();
  co_return co_await poison_.load();
}

Task<Result<>> ChangedObserver::changing(std::vector<item::Key> keys) {
  if (!recording_ || keys.empty()) co_return Result<>();
  co_return co_await changed_.add(std::move(keys));
}

Task<bool> CaptureWatermark::passed(base::Steady instant, base::Millis patience) {
  if (flow_ != nullptr) return flow_->wait_for_pass(capture_, instant, patience);
  return capture_.wait_for_pass(instant, patience);
}

base::Instant CaptureWatermark::applied_until(const base::Clock& clock) const {
  const std::optional<base::Steady> before = capture_.passed_before();
  return before ? clock.now() - (clock.steady() - *before) : base::Instant{};
}

std::uint64_t CaptureWatermark::records_of(const item::Key& key) const {
  return flow_ == nullptr ? 0 : flow_->records_of(key);
}

}  // namespace moveout::move
