#include "verify/compare.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace moveout::verify {
namespace {

using base::Result;
using base::Task;

constexpr int kLevelMax = 8;  // what one key's hash cannot cut any further is one key many times over
constexpr std::size_t kCutBuffer = 2 << 20;

}  // namespace

struct Comparer::Loaded {
  struct Entry {
    std::size_t at;
    std::size_t size;
    item::Hash128 hash;
  };
  std::string keys;
  std::vector<Entry> entries;

  std::string_view key(std::size_t i) const { return std::string_view(keys).substr(entries[i].at, entries[i].size); }
  void add(const Record& record) {
    entries.push_back({keys.size(), record.key.size(), record.hash});
    keys.append(record.key);
  }
  void sort() {
    const auto name = [this](const Entry& e) { return std::string_view(keys).substr(e.at, e.size); };
    std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) { return name(a) < name(b); });
  }
  // The end of the run of entries with the same key.
  std::size_t run_end(std::size_t i) const {
    std::size_t end = i + 1;
    while (end < entries.size() && key(end) == key(i)) ++end;
    return end;
  }
};

Compared& Compared::operator+=(const Compared& other) {
  matched += other.matched;
  candidates += other.candidates;
  sum += other.sum;
  return *this;
}

item::Hash128 candidate_hash(std::string_view key, std::uint64_t seed) { return item::hash_of(key, seed ^ 0x63616e64); }

Task<Result<Compared>> Comparer::compare(Files files, const std::vector<bool>& differs,
                                         const std::array<std::vector<BucketSum>, 2>& sums, std::uint64_t estimate) {
  for (std::vector<BucketSum>& seen : seen_) seen.assign(differs.size(), {});
  const std::string source = files.source, target = files.target;
  const Result<Compared> compared = co_await compare_level(std::move(files), differs, estimate, 0);
  if (!compared) co_return compared;
  // A bad disk could hide a key: what came back must be what was spilled.
  for (std::size_t bucket = 0; bucket < differs.size(); ++bucket) {
    if (!differs[bucket]) continue;
    for (const Side side : {kSource, kTarget}) {
      if (seen_[side][bucket] == sums[side][bucket]) continue;
      co_return base::fail(base::ErrorKind::Corrupt, (side == kSource ? source : target) + " is not as it was written");
    }
  }
  co_return compared;
}

Task<Result<Compared>> Comparer::compare_level(Files files, const std::vector<bool>& differs, std::uint64_t estimate,
                                               int level) {
  if (estimate <= memory_ || level >= kLevelMax) co_return co_await in_memory(std::move(files), differs);
  co_return co_await in_parts(std::move(files), differs, level);
}

Task<Result<>> Comparer::load(std::string name, std::uint64_t size, const std::vector<bool>& differs, Side side,
                              Loaded& loaded) {
  co_return co_await for_each_record(disk_, worker_, std::move(name), size, [&](const Record& record) -> Result<> {
    const std::size_t bucket = Place(record.key, seed_, differs.size()).bucket;
    if (!differs[bucket]) return {};
    seen_[side][bucket].add(record, seed_);
    loaded.add(record);
    return {};
  });
}

Task<Result<Compared>> Comparer::in_memory(Files files, const std::vector<bool>& differs) {
  Loaded source, target;
  const Result<> from_source = co_await load(files.source, files.source_size, differs, kSource, source);
  if (!from_source) co_return base::fail(from_source.error());
  const Result<> from_target = co_await load(files.target, files.target_size, differs, kTarget, target);
  if (!from_target) co_return base::fail(from_target.error());
  co_return co_await worker_.call([&] { return merge(source, target); });
}

Result<Compared> Comparer::merge(Loaded& source, Loaded& target) {
  source.sort();
  target.sort();
  Compared compared;
  std::string candidates;
  std::size_t s = 0, t = 0;
  while (s < source.entries.size() || t < target.entries.size()) {
    const bool in_source = t == target.entries.size() || (s < source.entries.size() && source.key(s) <= target.key(t));
    const bool in_target = s == source.entries.size() || (t < target.entries.size() && target.key(t) <= source.key(s));
    const std::string_view key = in_source ? source.key(s) : target.key(t);
    const std::size_t s_end = in_source ? source.run_end(s) : s;
    const std::size_t t_end = in_target ? target.run_end(t) : t;
    if (s_end - s == 1 && t_end - t == 1 && source.entries[s].hash == target.entries[t].hash) {
      ++compared.matched;
    } else if (in_source || !base::mutant("verify_source_side_only")) {
      ++compared.candidates;
      compared.sum += candidate_hash(key, seed_);
      append_key(candidates, key);
    }
    s = s_end;
    t = t_end;
  }
  if (!candidates.empty()) {
    const Result<> written = disk_.append(candidates_, candidates);
    if (!written) return base::fail(written.error());
  }
  return compared;
}

// Writes the records of the marked buckets into "<name>.<part>"; answers the parts' sizes.
Task<Result<std::vector<std::uint64_t>>> Comparer::cut(std::string name, std::uint64_t size,
                                                       const std::vector<bool>& differs, int level) {
  Spill parts(name);
  const Result<> emptied = co_await worker_.call([&]() -> Result<> {
    for (std::size_t part = 0; part < kFiles; ++part) {
      if (const Result<> removed = disk_.remove(parts.name(part)); !removed) return removed;
    }
    return {};
  });
  if (!emptied) co_return base::fail(emptied.error());
  const Result<> walked = co_await for_each_record(disk_, worker_, name, size, [&](const Record& record) -> Result<> {
    const Place place(record.key, seed_, differs.size());
    if (!differs[place.bucket]) return {};
    parts.add(place.part(level), record);
    return parts.buffered() < kCutBuffer ? Result<>() : write_pieces(disk_, parts.take());
  });
  if (!walked) co_return base::fail(walked.error());
  const Result<> written = co_await worker_.call([&] { return write_pieces(disk_, parts.take()); });
  if (!written) co_return base::fail(written.error());
  co_return std::vector<std::uint64_t>(parts.sizes().begin(), parts.sizes().end());
}

Task<Result<Compared>> Comparer::in_parts(Files files, const std::vector<bool>& differs, int level) {
  const Result<std::vector<std::uint64_t>> source = co_await cut(files.source, files.source_size, differs, level);
  if (!source) co_return base::fail(source.error());
  const Result<std::vector<std::uint64_t>> target = co_await cut(files.target, files.target_size, differs, level);
  if (!target) co_return base::fail(target.error());
  const Spill source_parts(files.source), target_parts(files.target);
  Compared all;
  for (std::size_t part = 0; part < kFiles; ++part) {
    Files pair{source_parts.name(part), (*source)[part], target_parts.name(part), (*target)[part]};
    const std::uint64_t estimate = pair.source_size + pair.target_size;
    if (estimate == 0) continue;
    const Result<Compared> compared = co_await compare_level(pair, differs, estimate, level + 1);
    if (!compared) co_return base::fail(compared.error());
    all += *compared;
    const Result<> removed = co_await worker_.call([&]() -> Result<> {
      if (const Result<> gone = disk_.remove(pair.source); !gone) return gone;
      return disk_.remove(pair.target);
    });
    if (!removed) co_return base::fail(removed.error());
  }
  co_return all;
}

}  // namespace moveout::verify
