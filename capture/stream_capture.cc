#include "capture/stream_capture.h"

#include <algorithm>

#include "base/mutant.h"
#include "capture/capture_state.h"

namespace moveout::capture {

using base::ErrorKind;
using base::fail;
using base::Instant;
using base::Millis;
using base::Result;
using base::Steady;
using base::Task;

std::unexpected<base::Error> StreamCapture::State::gap(const std::string& what) const {
  return fail(ErrorKind::StreamGap, "table " + config.table + ": " + what +
                                        ". Changes may be lost, so nothing more is applied. Go on with "
                                        "`--new-backfill`: it copies the table again, over what is there");
}

Task<Result<>> StreamCapture::State::run() {
  if (damaged) co_return fail(damaged->kind, "table " + config.table + ": " + damaged->what);
  const base::Executor executor = co_await base::this_executor;
  group.emplace(executor);
  listing_wanted.emplace(executor);
  room_made.emplace(executor);
  struct Running {
    bool& on;
    ~Running() { on = false; }
  } while_here{running = true};
  group->start(discover());
  co_return co_await group->wait_or_stop();
}

Progress StreamCapture::State::progress() const {
  Progress now;
  now.records = records;
  now.shards_done = lineage ? lineage->finished() : 0;
  now.shards_open = readers.size();
  const Steady steady = clock.steady();
  const Instant wall = clock.now();
  const auto age = [&](Instant created) {
    return std::max(Millis(0), std::chrono::duration_cast<Millis>(wall - created));
  };
  if (const std::optional<Steady> since = lineage ? lineage->childless_since() : std::nullopt) {
    now.behind = std::chrono::duration_cast<Millis>(steady - *since);
  }
  if (readers.empty()) now.lag = age(config.covered_until);
  for (const auto& [shard, reader] : readers) {
    const ShardState& at = lineage->state(shard);
    const Steady waits_since =
        std::min(reader.delivering.value_or(reader.polled), reader.unread_since.value_or(Steady::max()));
    now.behind = std::max(now.behind, std::chrono::duration_cast<Millis>(steady - waits_since));
    Millis lag(0);
    if (reader.delivering) {
      lag = age(reader.oldest);
    } else if (!reader.tipped || !reader.last_page_empty) {
      lag = age(std::max({at.newest, at.seen, config.covered_until}));
    }
    now.lag = std::max(now.lag, lag);
  }
  return now;
}

StreamCapture::StreamCapture(Config config, aws::Streams& streams, base::Clock& clock, base::Rng rng, base::Log& log,
                             Sink& sink, std::map<std::string, std::string> checkpoints, aws::DynamoDb* table)
    : state_(std::make_shared<State>(std::move(config), streams, clock, rng, log, sink, table)) {
  State& state = *state_;
  if (base::mutant("restart_from_nothing")) checkpoints.clear();
  const Instant covered_from = state.config.covered_until - state.config.margin;
  state.rules = {state.config.key, state.config.era, covered_from, state.config.level_triggered};
  LineageRules rules;
  rules.covered_from = covered_from;
  rules.absent_wait = state.config.history_parent_wait;
  rules.tip_wait = state.config.tip_wait;
  Result<Lineage> lineage = Lineage::restore(rules, checkpoints);
  if (lineage) {
    state.lineage = std::move(*lineage);
  } else {
    state.damaged = lineage.error();
  }
}

StreamCapture::~StreamCapture() = default;

Task<Result<>> StreamCapture::run() {
  const std::shared_ptr<State> state = state_;
  co_return co_await state->run();
}

bool StreamCapture::at_tip_since(Steady instant) const {
  return state_->lineage && state_->lineage->at_tip_since(instant);
}

bool StreamCapture::passed_since(Steady instant) const {
  return state_->lineage && state_->lineage->passed_since(instant);
}

std::optional<Steady> StreamCapture::passed_before() const {
  const Steady before = state_->lineage ? state_->lineage->passed_before() : Steady::min();
  return before == Steady::min() ? std::nullopt : std::optional(before);
}

// A pass is made of polls and a listing: looking more often than polls are sent shows nothing new.
Task<bool> StreamCapture::wait_for_pass(Steady instant, Millis patience) {
  const std::shared_ptr<State> state = state_;
  const Steady until = state->clock.steady() + patience;
  while (!passed_since(instant)) {
    if (state->clock.steady() >= until) co_return false;
    state->list_after(instant);
    co_await state->clock.sleep_for(state->config.poll_min);
  }
  co_return true;
}

void StreamCapture::hurry(bool on) { state_->hurry = on; }

Progress StreamCapture::progress() const { return state_->progress(); }

}  // namespace moveout::capture
