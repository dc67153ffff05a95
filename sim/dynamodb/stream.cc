#include "sim/dynamodb/stream.h"

#include <fmt/format.h>

#include <algorithm>

namespace moveout::sim {

std::string to_string(Sequence sequence) {
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(sequence % 10)));
    sequence /= 10;
  } while (sequence != 0);
  return digits;
}

std::string_view name_of(View view) {
  switch (view) {
    case View::NewAndOldImages:
      return "NEW_AND_OLD_IMAGES";
    case View::NewImage:
      return "NEW_IMAGE";
    case View::OldImage:
      return "OLD_IMAGE";
    case View::KeysOnly:
      return "KEYS_ONLY";
  }
  return "?";
}

Stream::Stream(Scheduler& scheduler, Faults& faults, base::Rng rng, StreamOptions options, std::string arn,
               std::string label, std::string table, View view)
    : scheduler_(scheduler),
      faults_(faults),
      rng_(rng),
      options_(options),
      arn_(std::move(arn)),
      label_(std::move(label)),
      table_(std::move(table)),
      view_(view) {
  const std::uint64_t shards = static_cast<std::uint64_t>(std::max(1, options_.shards));
  const std::uint64_t width = UINT64_MAX / shards;
  for (std::uint64_t i = 0; i < shards; ++i) {
    StreamShard& shard =
        open_shard("", i * width + (i == 0 ? 0 : 1), i + 1 == shards ? UINT64_MAX : (i + 1) * width, 0);
    shard.described = scheduler_.now();
  }
}

// Sequence numbers of different shards have nothing to do with each other, and one shard's may grow a digit: who
// compares across shards, or as text, is wrong.
StreamShard& Stream::open_shard(std::string parent, std::uint64_t low, std::uint64_t high, Sequence after) {
  auto shard = std::make_unique<StreamShard>();
  const std::uint64_t number = ++shard_number_;
  shard->id = fmt::format("shardId-{:020}-{:08x}", options_.ids_in_order ? 1'000'000 + number : rng_.below(1u << 30),
                          static_cast<std::uint32_t>(rng_.next()));
  shard->parent = std::move(parent);
  shard->low = low;
  shard->high = high;
  Sequence start = 1'000'000'000'000ULL;
  start *= 1'000'000'000ULL;  // 10^21: the smallest of 22 digits
  if (options_.sequences_grow || rng_.chance(3)) {
    start -= rng_.below(options_.sequences_grow ? 5'000'000 : 50'000'000) + 1;
  } else {
    start += Sequence(rng_.below(1'000'000'000)) * 1'000'000'000'000ULL;
  }
  if (after != 0 && rng_.chance(2)) start = after + 1;
  shard->start = shard->next = start;
  shard->opened = scheduler_.now();
  if (faults_.live(Fault::ServerClocks)) {
    shard->clock_offset = Micros(static_cast<std::int64_t>(rng_.below(4'000'001)) - 2'000'000);
    faults_.count(Fault::ServerClocks);
  }
  shards_.push_back(std::move(shard));
  return *shards_.back();
}

void Stream::append(std::uint64_t hash, std::string_view event, Text keys, Text new_image, Text old_image, bool ttl) {
  if (!on_) return;
  for (auto& shard : shards_) {
    if (shard->closed || hash < shard->low || hash > shard->high) continue;
    const Micros now = scheduler_.now();
    shard->next += rng_.below(1'000'000) + 1;
    Micros visible = now + Micros(rng_.below(static_cast<std::uint64_t>(options_.visible_after_max.count()) + 1));
    if (!shard->records.empty()) visible = std::max(visible, shard->records.back().visible);
    const std::int64_t created_us = base::micros_of(true_time(scheduler_) + shard->clock_offset);
    const bool has_new = view_ == View::NewAndOldImages || view_ == View::NewImage;
    const bool has_old = view_ == View::NewAndOldImages || view_ == View::OldImage;
    shard->records.push_back({shard->next, now, visible, created_us / 1'000'000, event, std::move(keys),
                              has_new ? std::move(new_image) : nullptr, has_old ? std::move(old_image) : nullptr, ttl});
    return;
  }
}

std::size_t Stream::open_shards() const {
  return static_cast<std::size_t>(std::count_if(shards_.begin(), shards_.end(), [](auto& s) { return !s->closed; }));
}

void Stream::roll(std::size_t open_index, bool split) {
  StreamShard* parent = nullptr;
  for (auto& shard : shards_) {
    if (!shard->closed && open_index-- == 0) {
      parent = shard.get();
      break;
    }
  }
  if (parent == nullptr || !on_) return;
  const Micros now = scheduler_.now();
  parent->closed = now;
  parent->end_described = now;
  split = split && parent->high - parent->low > 1;
  faults_.count(split ? Fault::ShardSplit : Fault::ShardRoll);
  if (faults_.strikes(Fault::OpenParent)) parent->end_described = now + Micros(rng_.below(120'000'000));
  const std::uint64_t middle = parent->low + (parent->high - parent->low) / 2;
  const std::string parent_id = parent->id;
  const Sequence last = parent->next;
  // A child is never described before its parent is: whoever has no parent in two listings a minute apart has a parent
  // that is history.
  const Micros parent_described = parent->described;
  const std::uint64_t low = parent->low;
  const std::uint64_t high = parent->high;
  const auto hidden = [&] { return Micros(rng_.below(static_cast<std::uint64_t>(options_.child_hidden_max.count()))); };
  StreamShard& first = open_shard(parent_id, low, split ? middle : high, last);
  const auto described = [&](Micros at) {
    return std::max(parent_described, std::min(at, now + options_.child_hidden_max));
  };
  first.described = described(now);
  if (faults_.strikes(Fault::ChildHidden)) first.described = described(now + hidden());
  if (!split) return;
  const Micros first_described = first.described;  // the reference does not outlive the next shard
  StreamShard& second = open_shard(parent_id, middle + 1, high, last);
  second.described = first_described;
  if (faults_.strikes(Fault::ChildrenOneByOne)) second.described = described(first_described + hidden());
}

void Stream::roll_all() {
  std::vector<std::size_t> open;
  const std::size_t count = open_shards();
  // Children are appended behind, so the first open one is always the next parent.
  for (std::size_t i = 0; i < count; ++i) roll(0, false);
}

void Stream::switch_off() {
  if (!on_) return;
  on_ = false;
  off_at_ = scheduler_.now();
  for (auto& shard : shards_) {
    if (shard->closed) continue;
    shard->closed = off_at_;
    shard->end_described = off_at_;
  }
}

void Stream::trim() {
  const Micros horizon = scheduler_.now() - options_.retention;
  for (auto& shard : shards_) {
    std::size_t keep = shard->trimmed;
    while (keep < shard->records.size() && shard->records[keep].written < horizon) {
      shard->records[keep].keys = shard->records[keep].new_image = shard->records[keep].old_image = nullptr;
      ++keep;
    }
    shard->trimmed = keep;
  }
  std::erase_if(shards_, [&](auto& shard) { return shard->closed && *shard->closed < horizon; });
}

StreamShard* Stream::shard(std::string_view id) {
  for (auto& shard : shards_) {
    if (shard->id == id) return shard.get();
  }
  return nullptr;
}

}  // namespace moveout::sim
