#include "state/signing_lease.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/mutant.h"

namespace moveout::state {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Steady;
using base::Task;
namespace json = base::json;

namespace {

std::string to_text(const LeaseRules& rules) {
  return json::serialize(
      json::object{{"duration_ms", rules.duration.count()}, {"late_max_ms", rules.late_max.count()}});
}

Result<LeaseRules> rules_of(const std::string& row, const std::string& text) {
  const Result<json::value> value = base::parse_json(text);
  const json::object* object = value ? value->if_object() : nullptr;
  const json::value* duration = object ? object->if_contains("duration_ms") : nullptr;
  const json::value* late_max = object ? object->if_contains("late_max_ms") : nullptr;
  if (duration == nullptr || late_max == nullptr || !duration->is_int64() || !late_max->is_int64()) {
    return fail(ErrorKind::Corrupt, "state row " + row + " cannot be read");
  }
  return LeaseRules{base::Millis(duration->get_int64()), base::Millis(late_max->get_int64())};
}

// Marks the row as being written, and lets the next one in.
class Turn {
 public:
  Turn(bool& busy, base::Signal& freed) : busy_(busy), freed_(freed) { busy_ = true; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    busy_ = false;
    freed_.notify_all();
  }

 private:
  bool& busy_;
  base::Signal& freed_;
};

}  // namespace

SigningLease::SigningLease(Store& store, base::Clock& clock, std::string row, Expect owner, LeaseRules rules)
    : store_(store), clock_(clock), row_(std::move(row)), owner_(std::move(owner)), rules_(rules) {
  MOVEOUT_ASSERT(rules_.duration > base::Millis(0));
}

Task<Result<>> SigningLease::open() {
  Result<Rows> rows = co_await store_.read(row_);
  if (!rows) co_return fail(rows.error());
  const auto row = rows->find(row_);
  row_stands_ = row != rows->end();
  if (!row_stands_) co_return Result<>();
  const Result<LeaseRules> left = rules_of(row_, row->second);
  if (!left) co_return fail(left.error());
  // Both processes' settings: an L that was raised meanwhile was too short before.
  earlier_ = clock_.steady() + std::max(left->duration, rules_.duration) + std::max(left->late_max, rules_.late_max);
  if (base::mutant("no_wait_after_restart")) earlier_.reset();
  co_return Result<>();
}

bool SigningLease::lasts(base::Micros more) const {
  return clock_.steady() + more < until_ && clock_.now() + more < until_wall_;
}

bool SigningLease::may_sign() const {
  asked_ = clock_.steady();
  if (!lasts(base::Micros(0)) && !base::mutant("signing_without_lease")) return false;
  signed_ = asked_;
  return true;
}

Steady SigningLease::quiet_from() const {
  Steady quiet = earlier_.value_or(Steady::min());
  if (signed_) quiet = std::max(quiet, *signed_ + rules_.late_max);
  return quiet;
}

Task<Result<>> SigningLease::granted() {
  if (!freed_) freed_.emplace(co_await base::this_executor);
  while (!lasts(rules_.duration / 2)) {
    if (busy_) {
      co_await freed_->wait();
      continue;
    }
    if (Result<> renewed = co_await renew(); !renewed) co_return renewed;
    if (lasts(base::Micros(0))) break;
  }
  co_return Result<>();
}

Task<Result<>> SigningLease::renew() {
  const Turn turn(busy_, *freed_);
  const Steady steady = clock_.steady();
  const base::Instant wall = clock_.now();
  if (Result<> kept = co_await commit(to_text(rules_)); !kept) co_return kept;
  row_stands_ = true;
  until_ = steady + rules_.duration;
  until_wall_ = wall + rules_.duration;
  co_return Result<>();
}

Task<Result<>> SigningLease::commit(std::optional<std::string> value) {
  std::vector<Put> puts{{row_, std::move(value)}};
  std::vector<Expect> expects{owner_};
  Result<> committed = co_await store_.commit(std::move(puts), std::move(expects));
  if (!committed && committed.error().kind == ErrorKind::Conflict) {
    co_return fail(ErrorKind::RunLocked, "another process took this run over; this one signs no further write");
  }
  co_return committed;
}

Task<Result<>> SigningLease::keep() {
  if (!freed_) freed_.emplace(co_await base::this_executor);
  const base::Micros tick = rules_.duration / 4;
  for (;;) {
    const Steady now = clock_.steady();
    if (asked_ && now - *asked_ <= 2 * tick) {
      if (Result<> renewed = co_await granted(); !renewed) co_return renewed;
    } else if (row_stands_ && !busy_ && now >= until_ && now >= quiet_from()) {
      const Turn turn(busy_, *freed_);
      if (Result<> gone = co_await commit(std::nullopt); !gone) co_return gone;
      row_stands_ = false;
    }
    co_await clock_.sleep_for(tick);
  }
}

}  // namespace moveout::state
