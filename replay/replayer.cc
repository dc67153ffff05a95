#include "replay/replayer.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/mutant.h"
#include "item/json.h"
#include "item/slice.h"

namespace moveout::replay {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;
using item::Change;
using item::ChangeKind;

namespace {

// BatchGetItem takes at most 100 keys.
constexpr std::size_t kReadKeys = 100;

// The mistake of others, for the simulator's mutant: partition and sort key with a separator that occurs in keys.
std::string joined(std::string_view encoded) {
  std::string name;
  while (encoded.size() >= 5) {
    const auto byte = [&](std::size_t at) { return std::size_t{static_cast<unsigned char>(encoded[at])}; };
    const std::size_t size = byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
    name.append(encoded.substr(5, size)) += ':';
    encoded.remove_prefix(std::min(encoded.size(), 5 + size));
  }
  return name;
}

// Of each key the change with the highest version, at the place where the key's last one stood. Touched changes have
// no version yet: one a key is left.
std::vector<Change> newest_of_each_key(std::vector<Change> changes) {
  std::vector<std::string> joined_names;
  if (base::mutant("keys_joined_with_separator")) {
    for (const Change& change : changes) joined_names.push_back(joined(change.key.encoded()));
  }
  const auto name = [&](std::size_t i) {
    return joined_names.empty() ? std::string_view(changes[i].key.encoded()) : std::string_view(joined_names[i]);
  };
  std::unordered_map<std::string_view, std::size_t> newest;  // looked up only, never walked
  newest.reserve(changes.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    auto [at, fresh] = newest.try_emplace(name(i), i);
    const bool newer = !(changes[i].version < changes[at->second].version);
    if (!fresh && newer != base::mutant("batch_swaps_writes")) at->second = i;
  }
  if (newest.size() == changes.size()) return changes;
  std::vector<Change> kept;
  kept.reserve(newest.size());
  std::vector<bool> keep(changes.size());
  for (std::size_t i = 0; i < changes.size(); ++i) keep[i] = newest.at(name(i)) == i;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (keep[i]) kept.push_back(std::move(changes[i]));
  }
  return kept;
}

item::Batch batch_of(std::vector<Change> changes) {
  item::Batch batch;
  for (Change& change : changes) {
    const auto image = std::make_shared<const std::string>(std::move(change.image));
    batch.add(change.key.encoded(), change.version, *image, image);
    if (!change.unreadable.empty()) batch.mark_unreadable(std::move(change.unreadable));
  }
  return batch;
}

}  // namespace

Replayer::Replayer(Config config, target::Writer& writer, aws::DynamoDb& source, state::VersionAllotter* allotter,
                   base::Clock&, base::Log& log, KeyObserver& observer)
    : config_(std::move(config)),
      writer_(writer),
      source_(source),
      allotter_(allotter),
      log_(log),
      observer_(observer) {}

// Apply and Count both apply the deletes of the TTL reaper, and count them; Skip counts them and leaves the target's
// items standing.
std::vector<Change> Replayer::wanted(std::vector<Change> changes) {
  for (const Change& change : changes) counters_.ttl_deletes += change.ttl_delete ? 1 : 0;
  if (config_.ttl_deletes == TtlDeletes::Skip) {
    const std::size_t skipped = std::erase_if(changes, [](const Change& change) { return change.ttl_delete; });
    if (skipped > 0) log_.info("replay.ttl_deletes_skipped", {{"table", config_.table}, {"count", skipped}});
  }
  return newest_of_each_key(std::move(changes));
}

Task<Result<>> Replayer::apply(std::vector<Change> changes, target::Checkpoints checkpoints) {
  changes = wanted(std::move(changes));
  if (!changes.empty()) {
    std::vector<item::Key> keys;
    keys.reserve(changes.size());
    for (const Change& change : changes) keys.push_back(change.key);
    if (Result<> told = co_await observer_.changing(std::move(keys)); !told) co_return told;
  }
  const bool touched = std::ranges::any_of(changes, [](const Change& c) { return c.kind == ChangeKind::Touched; });
  if (!touched) {
    item::Batch batch = batch_of(std::move(changes));
    co_return co_await write(std::move(batch), std::move(checkpoints));
  }
  // A table is either folded or level-triggered, never both.
  MOVEOUT_ASSERT(allotter_ != nullptr);
  std::vector<item::Key> keys;
  for (Change& change : changes) {
    MOVEOUT_ASSERT(change.kind == ChangeKind::Touched);
    keys.push_back(std::move(change.key));
  }
  changes.clear();
  for (std::size_t at = 0; at < keys.size(); at += kReadKeys) {
    const std::size_t end = std::min(at + kReadKeys, keys.size());
    std::vector<item::Key> some(keys.begin() + static_cast<std::ptrdiff_t>(at),
                                keys.begin() + static_cast<std::ptrdiff_t>(end));
    target::Checkpoints last;
    if (end == keys.size()) last.swap(checkpoints);
    if (Result<> done = co_await reread(std::move(some), std::move(last)); !done) co_return done;
  }
  co_return Result<>();
}

// Version first, then the strong read: with the read first, an older state could get the higher version.
//
//   right:  allot v1 ── read A ─────────────── write (v1, A): stale, loses
//                 allot v2 ── read B ── write (v2, B)
//   wrong:  read A ──────────────────── allot v2 ── write (v2, A): an old state wins
//                 read B ── allot v1 ── write (v1, B)
Task<Result<>> Replayer::reread(std::vector<item::Key> keys, target::Checkpoints checkpoints) {
  std::vector<item::Version> versions(keys.size());
  if (!base::mutant("version_after_read")) {
    if (Result<> allotted = co_await allot(versions); !allotted) co_return allotted;
  }
  Result<aws::ItemsPage> page = co_await source_.batch_get(config_.table, config_.key, keys);
  if (!page) co_return fail(page.error());
  if (base::mutant("version_after_read")) {
    if (Result<> allotted = co_await allot(versions); !allotted) co_return allotted;
  }
  std::map<std::string, std::string_view> found;
  std::map<std::string, std::string> unreadable;  // why, by key
  for (const std::string_view item : page->items) {
    std::string key;
    const Result<> sound = item::append_key_of_json(config_.key, item, key);
    if (!sound && !item::append_key_of_unreadable(config_.key, item, key)) {
      co_return fail(sound.error().kind, "table " + config_.table + ": an item read again: " + sound.error().what);
    }
    if (!sound) unreadable[key] = item::why_unreadable(item);
    found[key] = item;
  }
  item::Batch batch;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto at = found.find(keys[i].encoded());
    const std::string_view image = at == found.end() ? std::string_view() : at->second;
    batch.add(keys[i].encoded(), versions[i], image, page->body);
    if (const auto why = unreadable.find(keys[i].encoded()); why != unreadable.end()) {
      batch.mark_unreadable(why->second);
    }
  }
  co_return co_await write(std::move(batch), std::move(checkpoints));
}

Task<Result<>> Replayer::allot(std::vector<item::Version>& versions) {
  for (item::Version& version : versions) {
    Result<item::Version> next = co_await allotter_->next();
    if (!next) co_return fail(next.error());
    version = *next;
  }
  co_return Result<>();
}

Task<Result<>> Replayer::write(item::Batch batch, target::Checkpoints checkpoints) {
  if (batch.empty() && checkpoints.empty()) co_return Result<>();
  Result<target::Written> written = co_await writer_.write(std::move(batch), std::move(checkpoints));
  if (!written) {
    if (base::mutant("drop_failed_put")) {
      log_.warn("replay.failed", {{"table", config_.table}, {"error", written.error().what}});
      co_return Result<>();
    }
    co_return fail(written.error());
  }
  counters_.applied += written->applied;
  counters_.stale += written->stale;
  counters_.refused += written->refused;
  co_return Result<>();
}

}  // namespace moveout::replay
