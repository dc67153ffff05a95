#include "target/dynamodb/unguarded.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "base/mutant.h"
#include "item/json.h"
#include "target/dynamodb/images.h"

namespace moveout::target::dynamodb {
namespace {

using base::ErrorKind;
using base::Result;

constexpr std::size_t kWritesMax = 25;                   // of one BatchWriteItem
constexpr std::size_t kBytesMax = std::size_t{1} << 20;  // the server takes 16 MB; less is kinder to memory

// The keys of one request. By a few bits of each key's end, where keys differ most, nearly all are told apart.
class KeySet {
 public:
  // False: it is in already.
  bool insert(std::string_view key) {
    std::uint64_t tail = 0;
    std::memcpy(&tail, key.data() + key.size() - std::min(key.size(), sizeof tail), std::min(key.size(), sizeof tail));
    const std::uint64_t hash = (tail ^ key.size() << 56) * 0x9e3779b97f4a7c15ULL;
    const std::uint64_t bit = std::uint64_t{1} << (hash >> 58);
    const auto end = keys_.begin() + static_cast<std::ptrdiff_t>(count_);
    if ((seen_[hash >> 56 & 3] & bit) != 0 && std::find(keys_.begin(), end, key) != end) return false;
    seen_[hash >> 56 & 3] |= bit;
    keys_[count_++] = key;
    return true;
  }

 private:
  std::array<std::string_view, kWritesMax> keys_;
  std::size_t count_ = 0;
  std::array<std::uint64_t, 4> seen_{};
};

// A write costs a unit for each KB begun.
double units_of(const item::Write& write) { return static_cast<double>(write.image.size() / 1024 + 1); }

}  // namespace

UnguardedWrites::UnguardedWrites(aws::ItemWrites& writes, const std::string& table, const item::KeySchema& key,
                                 const item::Batch& batch, base::Millis late_max)
    : writes_(writes), table_(table), key_(key), batch_(batch), late_max_(late_max) {
  // What is never taken is certainly not applied.
  outcomes_ = Outcomes::all(Outcome::Throttled, batch.size());
}

std::optional<Piece> UnguardedWrites::take() {
  if (!halves_.empty()) {
    const Piece piece = halves_.front();
    halves_.pop_front();
    return piece;
  }
  Piece piece{next_, 0, 0};
  KeySet keys;
  for (; next_ < batch_.size() && piece.count < kWritesMax; ++next_, ++piece.count) {
    const item::Write write = batch_[next_];
    const std::size_t bytes = write.image.size() + write.key.size();
    if (piece.count > 0 && piece.bytes + bytes > kBytesMax) break;
    // The server refuses a batch that has a key twice.
    if (!keys.insert(write.key)) break;
    piece.bytes += bytes;
  }
  if (piece.count == 0) return std::nullopt;
  return piece;
}

std::string UnguardedWrites::body_of(const Piece& piece) const {
  std::string body;
  body.reserve(piece.bytes + table_.size() + 64 + piece.count * 64);
  body += R"({"RequestItems":{)";
  item::append_json_string(body, table_);
  body += ":[";
  for (std::size_t i = piece.from; i < piece.from + piece.count; ++i) {
    if (i > piece.from) body += ',';
    append_write(body, batch_[i], key_);
  }
  body += "]}}";
  return body;
}

void UnguardedWrites::set(const Piece& piece, Outcome outcome) {
  std::fill_n(outcomes_.each.begin() + static_cast<std::ptrdiff_t>(piece.from), piece.count, outcome);
}

void UnguardedWrites::unknown(const Piece& piece, base::Steady signed_at) {
  set(piece, Outcome::Unknown);
  outcomes_.until = std::max(outcomes_.until, signed_at + late_max_);
}

bool UnguardedWrites::set_unprocessed(const Piece& piece, const std::vector<std::string>& keys, Spent& spent) {
  set(piece, Outcome::Applied);
  if (base::mutant("unprocessed_dropped")) return true;
  for (const std::string& key : keys) {
    std::size_t at = piece.from;
    const std::size_t end = piece.from + piece.count;
    while (at < end && (batch_[at].key != key || outcomes_.each[at] != Outcome::Applied)) ++at;
    if (at == end) return false;
    outcomes_.each[at] = Outcome::Throttled;
    spent.refused += units_of(batch_[at]);
  }
  return true;
}

void UnguardedWrites::refused(const Piece& piece, const std::string& why) {
  if (piece.count == 1) {
    set(piece, Outcome::Refused);
    outcomes_.why.emplace_back(piece.from, "the target refuses it: " + why);
    return;
  }
  const std::size_t half = piece.count / 2;
  halves_.push_back({piece.from, half, piece.bytes * half / piece.count});
  halves_.push_back({piece.from + half, piece.count - half, piece.bytes - halves_.back().bytes});
}

base::Task<Result<Spent>> UnguardedWrites::send(Piece piece) {
  Spent spent;
  for (std::size_t i = piece.from; i < piece.from + piece.count; ++i) spent.units += units_of(batch_[i]);
  // Until it is answered it may land: that is what stands if the caller is cut off. (A cancelled apply has no
  // outcomes.)
  for (int tries = 1;; ++tries) {
    Result<aws::Sent> sent = co_await writes_.batch(body_of(piece), key_);
    if (!sent) {
      const ErrorKind kind = sent.error().kind;
      const bool keys = kind == ErrorKind::CredentialsExpired || kind == ErrorKind::Denied;
      // Refused before it was acted on, and the next one is signed with keys asked for anew.
      if (keys && tries == 1) continue;
      if (kind == ErrorKind::NotFound) {
        co_return base::fail(ErrorKind::TargetChanged, "the target table is gone: " + sent.error().what);
      }
      co_return base::fail(std::move(sent.error()));
    }
    switch (sent->fate) {
      case aws::Fate::Done:
        if (!set_unprocessed(piece, sent->unprocessed, spent)) unknown(piece, sent->signed_at);
        break;
      case aws::Fate::ConditionFailed:  // there is no condition: as good as a conflict
      case aws::Fate::NotApplied:
        set(piece, Outcome::Throttled);
        if (sent->throttled) spent.refused = spent.units;
        break;
      case aws::Fate::Unknown:
        unknown(piece, sent->signed_at);
        break;
      case aws::Fate::Refused:
        refused(piece, sent->why);
        break;
    }
    co_return spent;
  }
}

// What waits here is signed later than the caller looked at its lease: not by much.
base::Micros UnguardedWrites::patience() const { return std::chrono::seconds(1); }

void UnguardedWrites::give_back(const Piece& piece) { set(piece, Outcome::Throttled); }

Outcomes UnguardedWrites::outcomes() {
  std::sort(outcomes_.why.begin(), outcomes_.why.end());
  return std::move(outcomes_);
}

}  // namespace moveout::target::dynamodb
