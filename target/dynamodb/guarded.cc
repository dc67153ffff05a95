#include "target/dynamodb/guarded.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_set>

#include "target/dynamodb/images.h"

namespace moveout::target::dynamodb {

using base::ErrorKind;
using base::Result;

GuardedWrites::GuardedWrites(aws::ItemWrites& writes, const std::string& table, const item::KeySchema& key,
                             const item::Batch& batch)
    : writes_(writes), table_(table), key_(key), batch_(batch), later_(batch.size()) {
  std::iota(later_.begin(), later_.end(), std::size_t{0});
  outcomes_ = Outcomes::all(Outcome::Throttled, batch.size());
}

bool GuardedWrites::next_wave() {
  wave_.clear();
  next_ = 0;
  std::vector<std::size_t> rest;
  std::unordered_set<std::string_view> keys;  // looked up only, never walked
  keys.reserve(later_.size());
  for (const std::size_t at : later_) (keys.insert(batch_[at].key).second ? wave_ : rest).push_back(at);
  later_ = std::move(rest);
  return !wave_.empty();
}

std::optional<Piece> GuardedWrites::take() {
  if (next_ == wave_.size()) return std::nullopt;
  const item::Write write = batch_[wave_[next_]];
  return Piece{wave_[next_++], 1, write.image.size() + write.key.size() + 512};
}

base::Task<Result<Spent>> GuardedWrites::send(Piece piece) {
  const item::Write write = batch_[piece.from];
  Spent spent{static_cast<double>(write.image.size() / 1024 + 1), 0};
  Result<aws::Sent> sent = co_await writes_.one("PutItem", guarded_put(table_, write, key_));
  if (!sent) {
    if (sent.error().kind == ErrorKind::NotFound) {
      co_return base::fail(ErrorKind::TargetChanged, "the target table is gone: " + sent.error().what);
    }
    co_return base::fail(std::move(sent.error()));
  }
  Outcome& outcome = outcomes_.each[piece.from];
  switch (sent->fate) {
    case aws::Fate::Done:
      outcome = Outcome::Applied;
      break;
    case aws::Fate::ConditionFailed:
      outcome = Outcome::Stale;
      break;
    case aws::Fate::NotApplied:
      outcome = Outcome::Throttled;
      if (sent->throttled) spent.refused = spent.units;
      break;
    case aws::Fate::Unknown:
      outcome = Outcome::Unknown;
      break;
    case aws::Fate::Refused:
      outcome = Outcome::Refused;
      outcomes_.why.emplace_back(piece.from, "the target refuses it: " + sent->why);
      break;
  }
  co_return spent;
}

base::Micros GuardedWrites::patience() const { return std::chrono::hours(1); }

void GuardedWrites::give_back(const Piece& piece) { outcomes_.each[piece.from] = Outcome::Throttled; }

Outcomes GuardedWrites::outcomes() {
  std::sort(outcomes_.why.begin(), outcomes_.why.end());
  return std::move(outcomes_);
}

}  // namespace moveout::target::dynamodb
