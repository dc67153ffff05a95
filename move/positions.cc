#include "move/positions.h"

#include <algorithm>

#include "base/json.h"
#include "base/mutant.h"

namespace moveout::move {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Instant;
using base::Millis;
using base::Result;
using base::Steady;
using base::Task;

namespace {

// A difference is looked at again after this when nothing is known of a run: what is under way has landed by then.
constexpr Millis kReadAgainAfter{5000};
constexpr Millis kReadRow{250};
// A run whose row was not written for three times its interval, and this for a busy disk, stands still.
constexpr Millis kStandsStill{5000};

}  // namespace

std::string Applied::encode() const {
  return json::serialize(json::object{
      {"stream", stream}, {"until", base::micros_of(until)}, {"at", base::micros_of(at)}, {"every", every.count()}});
}

Result<Applied> Applied::decode(std::string_view text) {
  Result<json::value> value = base::parse_json(text);
  if (!value) return fail(value.error());
  const json::object* row = value->if_object();
  const auto number = [&](const char* name) -> const std::int64_t* {
    const json::value* found = row == nullptr ? nullptr : row->if_contains(name);
    return found == nullptr ? nullptr : found->if_int64();
  };
  const json::value* stream = row == nullptr ? nullptr : row->if_contains("stream");
  const std::int64_t *until = number("until"), *at = number("at"), *every = number("every");
  if (stream == nullptr || !stream->is_string() || !until || !at || !every || *every <= 0) {
    return fail(ErrorKind::Corrupt, "the row of what is applied is damaged");
  }
  return Applied{std::string(stream->get_string()), base::instant_of_micros(*until), base::instant_of_micros(*at),
                 Millis(*every)};
}

Task<> RunWatermark::look() {
  const Result<std::optional<std::string>> text = co_await target_.checkpoint(kAppliedRow);
  if (!text) {
    // The target will say so itself to whoever reads rows.
    log_.debug("verify.run_unknown", {{"table", table_}, {"why", text.error().what}});
    moves_ = false;
    co_return;
  }
  const Result<Applied> found = *text ? Applied::decode(**text) : fail(ErrorKind::NotFound, "no row");
  if (!found || found->stream != stream_ || stream_.empty()) {
    moves_ = false;
    co_return;
  }
  const Steady now = clock_.steady();
  // At first its own time tells when it was written; afterwards a change of it does, whatever the clock does.
  if (!applied_) moved_at_ = now - std::max(base::Micros(0), clock_.now() - found->at);
  if (applied_ && *applied_ != *found) moved_at_ = now;
  applied_ = *found;
  seen_ = true;
  const bool moves = now - moved_at_ <= 3 * found->every + kStandsStill || base::mutant("dead_run_believed");
  if (!moves && !stood_) {
    log_.info("verify.run_stands_still", {{"table", table_}});
    stood_ = true;
  }
  moves_ = moves;
}

//   instant ── … ── the run: everything before `until` is applied, written at `at` ── … ── read here: until > instant
Task<bool> RunWatermark::passed(Steady instant, Millis patience) {
  if (!moves_) {
    if (!base::mutant("no_second_look")) co_await clock_.sleep_until(instant + kReadAgainAfter);
    co_await look();  // one may have begun
    co_return true;
  }
  if (base::mutant("applied_row_ignored")) co_return true;
  const Instant wall = clock_.now() - (clock_.steady() - instant);
  const Steady until = clock_.steady() + patience;
  for (;;) {
    co_await look();
    if (!moves_) co_return false;
    if (applied_->until > wall) co_return true;
    if (clock_.steady() >= until) co_return false;
    co_await clock_.sleep_for(kReadRow);
  }
}

}  // namespace moveout::move
