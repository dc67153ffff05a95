#include "verify/changed_keys.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/signal.h"
#include "verify/key_log.h"

namespace moveout::verify {
namespace {

using base::Result;
using base::Task;

constexpr std::size_t kFrontMax = 20'000;         // keys held, oldest first
constexpr std::size_t kKnownMax = 50'000;         // keys of which we remember that they wait already
constexpr std::uint64_t kCompactBytes = 1 << 20;  // below, a file is not worth it

}  // namespace

// Shared with the calls under way: a frame that is torn down late must not touch what is gone. Only the log is touched
// on the worker.
struct ChangedKeys::State {
  State(base::Disk& disk, base::Worker& w, std::string name) : worker(w), log(disk, std::move(name)) {}

  base::Worker& worker;
  KeyLog log;
  std::deque<item::Key> front;  // as in the file; the first `taken` of them are out
  std::size_t taken = 0;
  std::uint64_t behind = 0;      // keys in the file behind the front
  std::uint64_t bytes_live = 0;  // about, of front and behind, in the file
  std::set<item::Key> known;     // a subset of the keys that wait and are not taken
  bool sound = false;            // memory says what the file says
  bool busy = false;
  std::optional<base::Signal> freed;

  Task<> turn();
  Task<Result<>> load();
  Task<Result<>> refill();
  Task<Result<>> compact();
  void hold(std::vector<item::Key> keys);
  void append(std::vector<item::Key> keys);
  void drop(std::size_t count);
};

// One call at a time. One that does not reach its end (an error, a cancellation) leaves memory to be read again.
class ChangedKeys::Turn {
 public:
  explicit Turn(std::shared_ptr<State> state) : state_(std::move(state)) { state_->busy = true; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (!ended_) state_->sound = false;
    state_->busy = false;
    state_->freed->notify_all();
  }
  Result<> end(Result<> result) {
    ended_ = result.has_value();
    return result;
  }

 private:
  std::shared_ptr<State> state_;
  bool ended_ = false;
};

Task<> ChangedKeys::State::turn() {
  if (!freed) freed.emplace(co_await base::this_executor);
  while (busy) co_await freed->wait();
}

Task<Result<>> ChangedKeys::State::load() {
  std::vector<item::Key> keys;
  const Result<std::uint64_t> rest = co_await worker.call([&] { return log.load(kFrontMax, &keys); });
  if (!rest) co_return base::fail(rest.error());
  front.clear();
  known.clear();
  taken = 0;
  behind = *rest;
  bytes_live = log.size();
  hold(std::move(keys));
  sound = true;
  co_return Result<>();
}

void ChangedKeys::State::hold(std::vector<item::Key> keys) {
  for (item::Key& key : keys) {
    if (known.size() < kKnownMax) known.insert(key);
    front.push_back(std::move(key));
  }
}

// Keys that have been written to the end of the file.
void ChangedKeys::State::append(std::vector<item::Key> keys) {
  for (const item::Key& key : keys) bytes_live += key.encoded().size() + 3;
  if (behind == 0 && front.size() < kFrontMax) {
    hold(std::move(keys));
    log.read_all();
    return;
  }
  behind += keys.size();
  for (item::Key& key : keys) {
    if (known.size() < kKnownMax) known.insert(std::move(key));
  }
}

void ChangedKeys::State::drop(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    bytes_live -= std::min<std::uint64_t>(bytes_live, front.front().encoded().size() + 3);
    front.pop_front();
  }
  taken -= count;
}

Task<Result<>> ChangedKeys::State::refill() {
  if (behind == 0 || front.size() >= kFrontMax / 2) co_return Result<>();
  Result<std::vector<item::Key>> more = co_await worker.call([&] { return log.read_on(kFrontMax - front.size()); });
  if (!more) co_return base::fail(more.error());
  MOVEOUT_ASSERT(!more->empty() && more->size() <= behind);
  behind -= more->size();
  hold(std::move(*more));
  co_return Result<>();
}

Task<Result<>> ChangedKeys::State::compact() {
  if (log.size() < kCompactBytes || bytes_live >= log.size() / 4) co_return Result<>();
  const std::vector<item::Key> held(front.begin(), front.end());
  co_return co_await worker.call([&] { return log.compact(held); });
}

ChangedKeys::ChangedKeys(base::Disk& disk, base::Worker& worker, std::string name)
    : state_(std::make_shared<State>(disk, worker, std::move(name))) {}

ChangedKeys::~ChangedKeys() = default;

Task<Result<>> ChangedKeys::load() {
  std::shared_ptr<State> state = state_;
  co_await state->turn();
  Turn turn(state);
  co_return turn.end(co_await state->load());
}

Task<Result<>> ChangedKeys::add(std::vector<item::Key> keys) {
  std::shared_ptr<State> state = state_;
  co_await state->turn();
  Turn turn(state);
  if (!state->sound) {
    if (const Result<> loaded = co_await state->load(); !loaded) co_return loaded;
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  // Who takes a waiting key reads the source only then, and so sees this change too.
  std::erase_if(keys, [&](const item::Key& key) { return state->known.contains(key); });
  if (keys.empty()) co_return turn.end({});
  const Result<> written = co_await state->worker.call([&] { return state->log.write(keys, 0); });
  if (!written) co_return written;
  state->append(std::move(keys));
  co_return turn.end({});
}

std::vector<item::Key> ChangedKeys::take(std::size_t limit) {
  std::vector<item::Key> keys;
  if (!state_->sound) return keys;
  std::set<item::Key> seen;
  while (keys.size() < limit && state_->taken < state_->front.size()) {
    const item::Key& key = state_->front[state_->taken++];
    state_->known.erase(key);
    if (seen.insert(key).second) keys.push_back(key);
  }
  return keys;
}

Task<Result<>> ChangedKeys::settled(std::vector<item::Key> again) {
  std::shared_ptr<State> state = state_;
  co_await state->turn();
  Turn turn(state);
  // What was taken before an error waits anew: nothing was settled then.
  if (!state->sound) co_return turn.end(co_await state->load());
  const std::size_t dropped = state->taken;
  std::erase_if(again, [&](const item::Key& key) { return state->known.contains(key); });
  if (dropped == 0 && again.empty()) co_return turn.end({});
  const Result<> written = co_await state->worker.call([&] { return state->log.write(again, dropped); });
  if (!written) co_return written;
  state->drop(dropped);
  state->append(std::move(again));
  if (const Result<> compacted = co_await state->compact(); !compacted) co_return compacted;
  co_return turn.end(co_await state->refill());
}

std::uint64_t ChangedKeys::size() const { return state_->front.size() + state_->behind; }

Task<Result<>> ChangedKeys::clear() {
  std::shared_ptr<State> state = state_;
  co_await state->turn();
  Turn turn(state);
  const Result<> cleared = co_await state->worker.call([&] { return state->log.clear(); });
  if (!cleared) co_return cleared;
  co_return turn.end(co_await state->load());
}

}  // namespace moveout::verify
