#include "state/allotter.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/mutant.h"

namespace moveout::state {
namespace {

using base::ErrorKind;

// Values a block: one commit in about 65 ms of versions, and as much lost by a crash.
constexpr std::int64_t kBlockValues = 4096;
constexpr std::int64_t kBlock = kBlockValues * item::kFoldStep;

std::int64_t round_up(std::int64_t t) { return (t + item::kFoldStep - 1) / item::kFoldStep * item::kFoldStep; }

std::optional<std::int64_t> number_of(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

}  // namespace

VersionAllotter::VersionAllotter(Store& store, base::Clock& clock, std::string prefix, std::uint32_t era, Expect owner)
    : store_(store), clock_(clock), prefix_(std::move(prefix)), era_(era), owner_(std::move(owner)) {}

base::Task<base::Result<item::Version>> VersionAllotter::next() {
  const std::string row = prefix_ + "allotted";
  while (next_ == reserved_end_) {
    base::Result<Rows> rows = co_await store_.read(row);
    if (!rows) co_return base::fail(std::move(rows.error()));
    std::optional<std::string> before;
    std::int64_t highest = 0;
    if (auto it = rows->find(row); it != rows->end()) {
      const std::optional<std::int64_t> number = number_of(it->second);
      if (!number) co_return base::fail(ErrorKind::Corrupt, "state row " + row + " is not a number");
      before = it->second;
      highest = *number;
    }
    // The clock only counts for the first block of an owner: afterwards the counter runs on by itself.
    const std::int64_t now = reserved_end_ == 0 ? base::micros_of(clock_.now()) : 0;
    const std::int64_t start = round_up(std::max(now, highest)) + item::kFoldStep;
    std::vector<Put> puts;
    puts.push_back({row, std::to_string(start + kBlock)});
    std::vector<Expect> expects;
    expects.push_back({row, before});
    if (!base::mutant("allot_without_owner")) expects.push_back(owner_);
    base::Result<> reserved = co_await store_.commit(std::move(puts), std::move(expects));
    if (reserved) {
      // Someone else of this process may have reserved a later block meanwhile: going back to this one would give a
      // later read the lower version.
      if (start >= reserved_end_) {
        next_ = start;
        reserved_end_ = start + kBlock;
      }
      continue;
    }
    if (reserved.error().kind != ErrorKind::Conflict) co_return base::fail(std::move(reserved.error()));
    base::Result<Rows> owner = co_await store_.read(owner_.name);
    if (!owner) co_return base::fail(std::move(owner.error()));
    const auto it = owner->find(owner_.name);
    const std::optional<std::string> value = it == owner->end() ? std::nullopt : std::optional(it->second);
    if (value != owner_.value) {
      co_return base::fail(ErrorKind::RunLocked, "another process has taken this run over");
    }
  }
  const item::Version version{era_, item::Band::Change, next_};
  next_ += item::kFoldStep;
  co_return version;
}

}  // namespace moveout::state
