#include "replay/ordered_replayer.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/mutant.h"
#include "base/task_group.h"
#include "item/slice.h"

namespace moveout::replay {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Steady;
using base::Task;
using item::ChangeKind;
using target::Outcome;

namespace {

constexpr std::size_t kReadBytes = 1 << 20;  // of the journal, at once

std::size_t size_of(const item::Change& change) { return change.key.encoded().size() + change.image.size() + 64; }

}  // namespace

// What a request brought, key by key.
struct OrderedReplayer::Answers {
  std::vector<Outcome> each;
  std::vector<std::string> why;  // of the Refused ones
  Steady until{};                // of the Unknown ones
};

OrderedReplayer::OrderedReplayer(Config config, OrderedSeams seams, std::string checkpoint_prefix,
                                 base::Executor executor, base::Rng rng, OrderedPolicy policy)
    : config_(std::move(config)),
      seams_(seams),
      prefix_(std::move(checkpoint_prefix)),
      rng_(rng),
      policy_(policy),
      fed_(executor),
      ready_came_(executor),
      held_came_(executor),
      page_done_(executor),
      moved_(executor) {}

Task<Result<>> OrderedReplayer::run(journal::Position from, std::vector<item::Change> held) {
  done_ = from;
  for (item::Change& change : held) {
    rows_.found(change.key.encoded(), size_of(change));
    enqueue(std::move(change), 0);
  }
  moved_.notify_all();
  base::TaskGroup group(co_await base::this_executor);
  group.start(feed(from));
  group.start(commit());
  group.start(release_held());
  for (int i = 0; i < policy_.requests; ++i) group.start(send());
  co_return co_await group.wait_or_stop();
}

// ---- from the journal into the lanes ----

bool OrderedReplayer::room() const {
  return bytes_ < policy_.window_bytes && lanes_.size() < policy_.window_changes &&
         pages_.size() < policy_.window_pages;
}

Task<Result<>> OrderedReplayer::feed(journal::Position from) {
  for (;;) {
    while (!room() || from >= seams_.journal.end()) co_await fed_.wait();
    Result<std::vector<journal::Entry>> entries = co_await seams_.journal.read(from, kReadBytes);
    if (!entries) co_return fail(entries.error());
    for (journal::Entry& entry : *entries) {
      from = entry.position.next();
      take(std::move(entry));
    }
  }
}

void OrderedReplayer::take(journal::Entry entry) {
  MOVEOUT_ASSERT(entry.position.number == done_.number + pages_.size());
  pages_.push_back({0, 0, std::move(entry.page.checkpoint)});
  std::uint64_t skipped = 0;
  for (item::Change& change : entry.page.changes) {
    counters_.ttl_deletes += change.ttl_delete ? 1 : 0;
    if (change.ttl_delete && config_.ttl_deletes == TtlDeletes::Skip) {
      ++skipped;
      continue;
    }
    enqueue(std::move(change), entry.position.number);
  }
  if (skipped > 0) seams_.log.info("replay.ttl_deletes_skipped", {{"table", config_.table}, {"count", skipped}});
  if (pages_.back().open <= pages_.back().held) page_done_.notify_all();
}

void OrderedReplayer::enqueue(item::Change change, std::uint64_t page) {
  const std::string key = change.key.encoded();
  bytes_ += size_of(change);
  // Of a row it is of no page.
  if (page >= done_.number && !base::mutant("position_before_definite")) ++pages_[page - done_.number].open;
  Waiting waiting{std::move(change), page};
  const auto [at, fresh] = lanes_.try_emplace(key);
  Lane& lane = at->second;
  if (fresh) {
    lane.now = std::move(waiting);
    ready_.push_back(key);
    ready_came_.notify_all();
  } else if (lane.at == At::Ready && !lane.doubtful) {
    leave(lane.now, false);
    lane.now = std::move(waiting);
  } else {
    if (lane.next) leave(*lane.next, lane.doubtful);
    lane.next = std::move(waiting);
    if (lane.doubtful) count_held(*lane.next, 1);
  }
}

OrderedReplayer::Lane& OrderedReplayer::lane(const std::string& key) {
  const auto at = lanes_.find(key);
  MOVEOUT_ASSERT(at != lanes_.end());
  return at->second;
}

// ---- out of the lanes ----

// The change needs nothing more: its write is definite, or a later one takes its place.
void OrderedReplayer::leave(const Waiting& waiting, bool doubtful) {
  bytes_ -= size_of(waiting.change);
  fed_.notify_all();
  if (doubtful) count_held(waiting, -1);
  // The position may have moved over it: then its row goes.
  page_done_.notify_all();
  moved_.notify_all();
  if (waiting.page < done_.number || base::mutant("position_before_definite")) return;
  OpenPage& page = pages_[waiting.page - done_.number];
  MOVEOUT_ASSERT(page.open > page.held);
  --page.open;
}

void OrderedReplayer::count_held(const Waiting& waiting, int by) {
  if (waiting.page >= done_.number) pages_[waiting.page - done_.number].held += static_cast<std::size_t>(by);
}

void OrderedReplayer::definite(const std::string& key) {
  Lane& at = lane(key);
  leave(at.now, at.doubtful);
  if (at.doubtful) doubtful_.erase(key);
  if (!at.next) {
    lanes_.erase(key);
    return;
  }
  if (at.doubtful) count_held(*at.next, -1);
  at.now = std::move(*at.next);
  at.next.reset();
  at.at = At::Ready;
  at.doubtful = false;
  ready_.push_back(key);
  ready_came_.notify_all();
}

// What stands in its lane may be sent (once more).
void OrderedReplayer::again(const std::string& key) {
  lane(key).at = At::Ready;
  ready_.push_front(key);
  ready_came_.notify_all();
}

// What was set aside leaves nothing older of its key in the target: a delete takes its place, unless a later change
// comes anyway. A refused delete tells that the target cannot hold the key at all.
void OrderedReplayer::set_aside(const std::string& key) {
  Lane& at = lane(key);
  item::Change& change = at.now.change;
  if (at.next || change.kind == ChangeKind::Delete || base::mutant("refused_leaves_old_image")) return definite(key);
  bytes_ -= size_of(change);
  change.kind = ChangeKind::Delete;
  change.image.clear();
  bytes_ += size_of(change);
  if (at.doubtful) {
    at.doubtful = false;
    doubtful_.erase(key);
    count_held(at.now, -1);
  }
  again(key);
}

void OrderedReplayer::hold(const std::string& key, Steady until) {
  Lane& at = lane(key);
  at.at = At::Held;
  if (!at.doubtful) {
    at.doubtful = true;
    doubtful_.insert(key);
    count_held(at.now, 1);
    if (at.next) count_held(*at.next, 1);
    page_done_.notify_all();
  }
  held_.emplace(until, key);
  held_came_.notify_all();
}

Task<Result<>> OrderedReplayer::release_held() {
  for (;;) {
    while (held_.empty()) co_await held_came_.wait();
    co_await seams_.clock.sleep_until(held_.begin()->first);
    while (!held_.empty() && held_.begin()->first <= seams_.clock.steady()) {
      again(held_.begin()->second);
      held_.erase(held_.begin());
      moved_.notify_all();
    }
  }
}

// Whether the change that stands in its row waits still.
bool OrderedReplayer::owes(const std::string& key) const {
  const auto at = lanes_.find(key);
  if (at == lanes_.end()) return false;
  return rows_.holds(key, at->second.now.page) || (at->second.next && rows_.holds(key, at->second.next->page));
}

bool OrderedReplayer::owes() const {
  if (rows_.empty()) return false;
  return std::ranges::any_of(rows_.keys(), [&](const std::string& key) { return owes(key); });
}

std::size_t OrderedReplayer::held() const {
  const std::vector<std::string> rows = rows_.keys();
  return doubtful_.size() + static_cast<std::size_t>(std::ranges::count_if(
                                rows, [&](const std::string& key) { return !doubtful_.contains(key) && owes(key); }));
}

// The rows that must stand where the position is `until`: of each key whose change the position has moved over although
// it waits still, the last such change.
std::map<std::string, HeldRows::Wanted> OrderedReplayer::rows_wanted(journal::Position until) const {
  std::map<std::string, HeldRows::Wanted> wanted;
  const auto look = [&](const std::string& key) {
    const auto at = lanes_.find(key);
    if (at == lanes_.end()) return;
    const Lane& lane = at->second;
    const Waiting* last = lane.next && lane.next->page < until.number ? &*lane.next
                          : lane.now.page < until.number              ? &lane.now
                                                                      : nullptr;
    if (last != nullptr) wanted[key] = {&last->change, last->page};
  };
  for (const std::string& key : doubtful_) look(key);
  for (const std::string& key : rows_.keys()) look(key);
  return wanted;
}

// How many pages the position can move over now, and what becomes of rows then.
std::size_t OrderedReplayer::passable(target::Checkpoints& rows) {
  const auto whole = [](const OpenPage& page) { return page.open == 0; };
  const auto but_held = [](const OpenPage& page) { return page.open <= page.held; };
  const auto first_not = [&](auto&& fits) {
    return static_cast<std::size_t>(std::ranges::find_if_not(pages_, fits) - pages_.begin());
  };
  std::size_t count = first_not(but_held);
  if (rows_.plan(rows_wanted({done_.number + count}), rows)) {
    if (base::mutant("held_rows_not_kept")) rows.clear();
    if (base::mutant("held_rows_stay")) std::erase_if(rows, [](const auto& row) { return row.value.empty(); });
    return count;
  }
  // Too much is held: the position waits for the first of them.
  count = first_not(whole);
  const bool fits = rows_.plan(rows_wanted({done_.number + count}), rows);
  MOVEOUT_ASSERT(fits);
  return count;
}

// I4: the position moves over pages whose changes are all definite or kept in rows, and the shards' checkpoints with
// it.
Task<Result<>> OrderedReplayer::commit() {
  for (;;) {
    target::Checkpoints checkpoints;
    std::size_t count = 0;
    while ((count = passable(checkpoints)) == 0 && checkpoints.empty()) co_await page_done_.wait();
    for (target::Checkpoint& row : checkpoints) row.name = prefix_ + row.name;
    std::map<std::string, std::string> newest;
    for (std::size_t i = 0; i < count; ++i) {
      if (!pages_[i].checkpoint.first.empty()) newest[pages_[i].checkpoint.first] = pages_[i].checkpoint.second;
    }
    const journal::Position until{done_.number + count};
    for (auto& [name, value] : newest) checkpoints.push_back({prefix_ + name, std::move(value)});
    checkpoints.push_back({prefix_ + std::string(kReplayedName), std::to_string(until.number)});
    if (Result<> kept = co_await seams_.checkpoints.commit(std::move(checkpoints)); !kept) co_return kept;
    rows_.committed();
    pages_.erase(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(count));
    done_ = until;
    fed_.notify_all();
    moved_.notify_all();
    if (Result<> trimmed = co_await seams_.journal.trim(until); !trimmed) co_return trimmed;
  }
}

// ---- sending ----

std::vector<std::string> OrderedReplayer::take_ready() {
  std::vector<std::string> keys;
  while (!ready_.empty() && keys.size() < policy_.batch) {
    keys.push_back(std::move(ready_.front()));
    ready_.pop_front();
    Lane& at = lane(keys.back());
    MOVEOUT_ASSERT(at.at == At::Ready);
    at.at = At::Sent;
  }
  return keys;
}

Task<Result<>> OrderedReplayer::send() {
  base::Backoff backoff(policy_.backoff, rng_);
  for (;;) {
    while (ready_.empty()) co_await ready_came_.wait();
    std::vector<std::string> keys = take_ready();
    if (Result<> read = co_await resolve_touched(keys); !read) co_return read;
    Result<Answers> answers = co_await ask(keys);
    if (!answers) co_return fail(answers.error());
    const Result<Settled> settled = co_await settle(std::move(keys), std::move(*answers));
    if (!settled) co_return fail(settled.error());
    if (settled->definite) {
      failing_since_.reset();
      backoff.reset();
      continue;
    }
    const Steady now = seams_.clock.steady();
    if (!failing_since_) failing_since_ = now;
    // A held key is asked about again only after L.
    const base::Millis bears = policy_.give_up_after + (settled->unknown ? seams_.target.late_max() : base::Millis(0));
    if (now - *failing_since_ >= bears) {
      co_return fail(ErrorKind::EndpointDown, "the target has taken no write for minutes");
    }
    if (settled->throttled) co_await seams_.clock.sleep_for(backoff.next());
  }
}

// Level-triggered changes: allot a version, read the source strongly; from then on it is that image that is sent.
Task<Result<>> OrderedReplayer::resolve_touched(std::vector<std::string> keys) {
  std::vector<item::Key> touched;
  std::vector<item::Version> versions;
  for (const std::string& key : keys) {
    if (lane(key).now.change.kind != ChangeKind::Touched) continue;
    touched.push_back(lane(key).now.change.key);
    MOVEOUT_ASSERT(seams_.allotter != nullptr);
    Result<item::Version> version = co_await seams_.allotter->next();
    if (!version) co_return fail(version.error());
    versions.push_back(*version);
  }
  if (touched.empty()) co_return Result<>();
  Result<aws::ItemsPage> page = co_await seams_.source.batch_get(config_.table, config_.key, touched);
  if (!page) co_return fail(page.error());
  std::map<std::string, std::string_view> found;
  for (const std::string_view item : page->items) {
    Result<item::Key> key = item::key_of_json(config_.key, item);
    if (!key) key = item::key_of_unreadable(config_.key, item);  // ask() sets it aside
    if (!key) co_return fail(key.error().kind, "table " + config_.table + ": an item read again: " + key.error().what);
    found[key->encoded()] = item;
  }
  for (std::size_t i = 0; i < touched.size(); ++i) {
    item::Change& change = lane(touched[i].encoded()).now.change;
    bytes_ -= size_of(change);
    const auto at = found.find(touched[i].encoded());
    change.kind = at == found.end() ? ChangeKind::Delete : ChangeKind::Put;
    change.image = at == found.end() ? std::string_view() : at->second;
    change.version = versions[i];
    bytes_ += size_of(change);
  }
  co_return Result<>();
}

Task<Result<OrderedReplayer::Answers>> OrderedReplayer::ask(std::vector<std::string> keys) {
  Answers answers{std::vector<Outcome>(keys.size(), Outcome::Throttled), std::vector<std::string>(keys.size()), {}};
  item::Batch batch;
  std::vector<std::size_t> sent;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const item::Change& change = lane(keys[i]).now.change;
    std::optional<std::string> never = seams_.target.refusal({keys[i], change.image, change.version});
    std::string key;
    if (!change.image.empty() && !item::append_key_of_json(config_.key, change.image, key)) {
      never = item::why_unreadable(change.image);
    }
    if (never) {
      answers.each[i] = Outcome::Refused;
      answers.why[i] = std::move(*never);
      continue;
    }
    batch.add_copy(keys[i], change.version, change.image);
    sent.push_back(i);
  }
  if (sent.empty()) co_return answers;
  if (Result<> granted = co_await seams_.lease.granted(); !granted) co_return fail(granted.error());
  Result<target::Outcomes> outcomes = co_await seams_.target.apply(std::move(batch), {});
  if (!outcomes) {
    if (outcomes.error().kind == ErrorKind::Throttled) co_return answers;
    co_return fail(outcomes.error());
  }
  MOVEOUT_ASSERT(outcomes->each.size() == sent.size());
  answers.until = outcomes->until;
  for (std::size_t i = 0; i < sent.size(); ++i) answers.each[sent[i]] = outcomes->each[i];
  for (auto& [index, reason] : outcomes->why) answers.why[sent[index]] = std::move(reason);
  co_return answers;
}

Task<Result<OrderedReplayer::Settled>> OrderedReplayer::settle(std::vector<std::string> keys, Answers answers) {
  Settled settled;
  std::vector<std::string> over;
  std::vector<target::Poison> refused;
  std::vector<std::pair<std::string, item::Version>> applied;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string& key = keys[i];
    const item::Change& change = lane(key).now.change;
    switch (answers.each[i]) {
      case Outcome::Applied:
      case Outcome::Stale:
        ++counters_.applied;
        applied.emplace_back(key, change.version);
        over.push_back(key);
        break;
      case Outcome::Refused:
        ++counters_.refused;
        refused.push_back(
            {key, change.version, answers.why[i].empty() ? "the target refuses it" : answers.why[i], change.image});
        break;
      case Outcome::Throttled: {
        settled.throttled = true;
        Lane& at = lane(key);
        if (at.next && !at.doubtful) {
          leave(at.now, false);
          at.now = std::move(*at.next);
          at.next.reset();
        }
        again(key);
        break;
      }
      case Outcome::Unknown:
        settled.unknown = true;
        if (base::mutant("held_key_not_held")) {
          over.push_back(key);
        } else if (base::mutant("m4_client_retries")) {
          again(key);
        } else {
          hold(key, answers.until);
        }
        break;
    }
  }
  settled.definite = !over.empty() || !refused.empty();
  if (settled.unknown) seams_.log.info("replay.held", {{"table", config_.table}, {"keys", held_.size()}});
  if (!refused.empty()) {
    if (Result<> kept = co_await seams_.quarantine.put(refused); !kept) co_return fail(kept.error());
    for (const target::Poison& each : refused) set_aside(each.key);
  }
  if (!applied.empty()) {
    if (Result<> told = co_await seams_.standing.stands(std::move(applied)); !told) co_return fail(told.error());
  }
  for (const std::string& key : over) definite(key);
  co_return settled;
}

}  // namespace moveout::replay
