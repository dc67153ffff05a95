#include "verify/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "base/task_group.h"
#include "item/slice.h"
#include "verify/compare.h"
#include "verify/verifier_state.h"

namespace moveout::verify {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

constexpr std::size_t kWindowKeys = 10'000;    // settled together: one wait a round for all of them
constexpr std::size_t kWindowBytes = 2 << 20;  // of their names
constexpr double kTargetPageBytes = 2 << 20;

}  // namespace

Task<Result<Report>> Verifier::State::run() {
  written.emplace(co_await base::this_executor);
  writing = begun = false;
  going.clear();
  for (int attempt = 1;; ++attempt) {
    damaged = false;
    Result<> done = co_await resume_or_begin();
    saved_at = clock.steady();
    begun = done.has_value();
    if (done) done = co_await phases();
    if (!done && damaged && attempt == 1) {
      log.warn("verify.begins_anew", {{"table", config.table}, {"why", done.error().what}});
      done = co_await forget();
      if (done) continue;
    }
    if (!done) co_return base::fail(done.error());
    at.report.consumed_rcu = consumed_rcu();
    const Report report = at.report;
    begun = false;
    if (const Result<> forgotten = co_await forget(); !forgotten) co_return base::fail(forgotten.error());
    co_return report;
  }
}

Task<Result<>> Verifier::State::phases() {
  if (at.phase == Phase::Source) {
    if (const Result<> read = co_await read_source(); !read) co_return read;
    at.phase = Phase::Target;
  }
  if (at.phase == Phase::Target) {
    if (const Result<> read = co_await read_target(); !read) co_return read;
    at.phase = Phase::Compare;
  }
  if (at.phase == Phase::Compare) {
    if (const Result<> compared = co_await compare(); !compared) co_return compared;
    at.phase = Phase::Settle;
  }
  co_return co_await settle();
}

// ---- both sides into the spill ----

void Verifier::State::add(Side side, const Record& record) {
  const Place place(record.key, at.seed, static_cast<std::size_t>(config.buckets));
  at.sums[side][place.bucket].add(spills[side].add(place.file(), record), at.seed);
  ++at.items[side];
}

Task<Result<>> Verifier::State::read_source() {
  todo.clear();
  for (std::uint64_t segment = 0; segment < at.segments; ++segment) {
    if (!at.segments_done[segment]) todo.push_back(segment);
  }
  rng.shuffle(todo);
  base::TaskGroup readers(co_await base::this_executor);
  for (int i = 0; i < config.workers; ++i) readers.start(read_source_segments());
  co_return co_await readers.wait_or_stop();
}

Task<Result<>> Verifier::State::read_source_segments() {
  while (!todo.empty()) {
    const std::uint64_t segment = todo.back();
    todo.pop_back();
    if (const Result<> read = co_await read_source_segment(segment); !read) co_return read;
  }
  co_return Result<>();
}

Task<Result<>> Verifier::State::read_source_segment(std::uint64_t segment) {
  while (!at.segments_done[segment]) {
    const auto open = at.segments_open.find(segment);
    Result<aws::ItemsPage> page =
        co_await source.scan(segment, at.segments, open == at.segments_open.end() ? "" : open->second);
    if (!page) co_return base::fail(page.error());
    // Records and the segment's position change together, between two awaits: no progress can see one without the
    // other.
    if (const Result<> taken = take_source_page(segment, *page); !taken) co_return taken;
    if (page->last_key.empty()) {
      at.segments_done[segment] = true;
      at.segments_open.erase(segment);
    } else {
      at.segments_open[segment] = page->last_key;
    }
    page = aws::ItemsPage{};
    if (const Result<> kept = co_await page_taken(); !kept) co_return kept;
  }
  co_return Result<>();
}

Result<> Verifier::State::take_source_page(std::uint64_t segment, const aws::ItemsPage& page) {
  std::string key;
  for (std::size_t i = 0; i < page.items.size(); ++i) {
    key.clear();
    Result<> read;
    if (!page.keys.empty()) {
      key = page.keys[i];
    } else {
      read = item::append_key_of_json(config.key, page.items[i], key);
    }
    if (!read) read = item::append_key_of_unreadable(config.key, page.items[i], key);
    Result<item::Hash128> hash = read ? source.hash_of(page.items[i], at.seed) : base::fail(read.error());
    if (!hash) {
      return base::fail(hash.error().kind,
                        fmt::format("verify, scan of table {}, segment {} of {}, item {} of a page: {}", config.table,
                                    segment, at.segments, i, hash.error().what));
    }
    add(kSource, {key, *hash});
    at.source_bytes += page.items[i].size();
  }
  return {};
}

Task<Result<>> Verifier::State::read_target() {
  if (at.target_cursor.empty() && watermark.knows()) {
    // What was applied passes what was read, so that fewer keys are mid-way; those that are get settled one by one.
    co_await watermark.passed(clock.steady(), config.patience);
  }
  const double mean =
      at.items[kSource] > 0 ? static_cast<double>(at.source_bytes) / static_cast<double>(at.items[kSource]) : 4096.0;
  const auto limit = static_cast<std::size_t>(std::clamp(kTargetPageBytes / std::max(mean, 1.0), 5.0, 1000.0));
  do {
    Result<target::StoredPage> page = co_await target.scan(at.target_cursor, limit);
    if (!page) co_return base::fail(page.error());
    for (const auto& [key, stored] : page->items) {
      add(kTarget, {key.encoded(), item::canonical_hash(stored.item, at.seed)});
    }
    at.target_cursor = page->next;
    // The end has no cursor to go on from: the last page is part of the next phase's progress.
    if (at.target_cursor.empty()) break;
    if (const Result<> kept = co_await page_taken(); !kept) co_return kept;
  } while (true);
  co_return Result<>();
}

// ---- comparing ----

Task<Result<>> Verifier::State::compare() {
  if (const Result<> kept = co_await flush(); !kept) co_return kept;
  while (at.files_compared < kFiles) {
    if (const Result<> compared = co_await compare_file(at.files_compared); !compared) co_return compared;
    if (const Result<> kept = co_await page_taken(); !kept) co_return kept;
  }
  co_return Result<>();
}

Task<Result<>> Verifier::State::compare_file(std::size_t file) {
  std::vector<bool> differs(at.sums[kSource].size(), false);
  std::uint64_t records = 0, records_differing = 0, matched = 0;
  for (std::size_t bucket = file; bucket < differs.size(); bucket += kFiles) {
    const BucketSum& source_sum = at.sums[kSource][bucket];
    const BucketSum& target_sum = at.sums[kTarget][bucket];
    records += source_sum.count + target_sum.count;
    const bool equal = base::mutant("verify_count_only") ? source_sum.count == target_sum.count
                       : base::mutant("hash_xor")        ? source_sum.sum == target_sum.sum
                                                         : source_sum == target_sum;
    if (equal) {
      matched += source_sum.count;
    } else {
      differs[bucket] = true;
      records_differing += source_sum.count + target_sum.count;
    }
  }
  if (records_differing == 0) {
    at.report.matched += matched;
    ++at.files_compared;
    co_return Result<>();
  }

  const Comparer::Files files{spills[kSource].name(file), spills[kSource].sizes()[file], spills[kTarget].name(file),
                              spills[kTarget].sizes()[file]};
  const std::uint64_t estimate = (files.source_size + files.target_size) / records * records_differing;
  Comparer comparer(disk, worker, at.seed, config.memory, candidates_name());
  const Result<Compared> compared = co_await comparer.compare(files, differs, at.sums, estimate);
  if (!compared) {
    damaged = compared.error().kind == ErrorKind::Corrupt || compared.error().kind == ErrorKind::NotFound;
    co_return base::fail(compared.error());
  }
  if (compared->candidates > 0) unsynced[candidates_name()];
  const Result<std::uint64_t> size = co_await worker.call([&] { return disk.size(candidates_name()); });
  if (!size) co_return base::fail(size.error());
  at.report.matched += matched + compared->matched;
  at.candidates += compared->candidates;
  at.candidates_sum += compared->sum;
  at.candidates_size = *size;
  ++at.files_compared;
  co_return Result<>();
}

// ---- settling ----

// The next keys of the list, and how many of its bytes they take.
Task<Result<std::vector<item::Key>>> Verifier::State::next_candidates(std::uint64_t* size) {
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(kWindowBytes, at.candidates_size - at.settled_size));
  const Result<std::string> bytes =
      co_await worker.call([&] { return disk.read(candidates_name(), at.settled_size, wanted); });
  if (!bytes) co_return base::fail(bytes.error());
  std::vector<item::Key> keys;
  std::string_view rest = *bytes, name;
  while (keys.size() < kWindowKeys && take_key(&rest, &name)) {
    Result<item::Key> key = item::Key::from_encoded(std::string(name));
    if (!key) {
      damaged = true;
      co_return base::fail(key.error());
    }
    keys.push_back(std::move(*key));
  }
  if (keys.empty()) {
    damaged = true;
    co_return base::fail(ErrorKind::Corrupt, candidates_name() + " ends within a key");
  }
  *size = bytes->size() - rest.size();
  co_return keys;
}

Task<Result<>> Verifier::State::settle() {
  while (at.settled_size < at.candidates_size) {
    std::uint64_t size = 0;
    Result<std::vector<item::Key>> keys = co_await next_candidates(&size);
    if (!keys) co_return base::fail(keys.error());
    const std::size_t count = keys->size();
    item::Hash128 sum = at.settled_sum;
    for (const item::Key& key : *keys) sum += candidate_hash(key.encoded(), at.seed);
    std::sort(keys->begin(), keys->end());
    keys->erase(std::unique(keys->begin(), keys->end()), keys->end());
    Report found = at.report;
    if (const Result<> settled = co_await settler.settle(std::move(*keys), at.seed, false, found); !settled) {
      co_return settled;
    }
    at.report = std::move(found);
    at.settled_size += size;
    at.settled_sum = sum;
    at.compared += count;
    if (const Result<> kept = co_await page_taken(); !kept) co_return kept;
  }
  if (at.settled_sum != at.candidates_sum) {
    damaged = true;
    co_return base::fail(ErrorKind::Corrupt, candidates_name() + " is not as it was written");
  }
  co_return Result<>();
}

// ---- the outside ----

Verifier::Verifier(Config config, aws::DynamoDb& source, target::Target& target, Watermark& watermark, base::Disk& disk,
                   base::Worker& worker, base::Clock& clock, base::Rng rng, base::Log& log)
    : state_(std::make_unique<State>(std::move(config), source, target, watermark, disk, worker, clock, rng, log)) {
  MOVEOUT_ASSERT(state_->config.buckets >= 1 && state_->config.workers >= 1);
}

Verifier::~Verifier() = default;

Task<Result<Report>> Verifier::run() { return state_->run(); }

Task<Result<Report>> Verifier::compare(std::vector<item::Key> keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  const std::uint64_t seed = state_->config.seed != 0 ? state_->config.seed : state_->rng.next();
  const double rcu_before = state_->source.consumed_rcu();
  Report report;
  for (std::size_t from = 0; from < keys.size(); from += kWindowKeys) {
    const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(from);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kWindowKeys, keys.size() - from));
    const Result<> settled = co_await state_->settler.settle({begin, begin + count}, seed, true, report);
    if (!settled) co_return base::fail(settled.error());
  }
  report.consumed_rcu = state_->source.consumed_rcu() - rcu_before;
  co_return report;
}

Task<Result<Glance>> Verifier::glance(std::vector<item::Key> keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  const double rcu_before = state_->source.consumed_rcu();
  Result<std::vector<item::Key>> others = co_await state_->settler.unequal(std::move(keys), state_->rng.next());
  if (!others) co_return base::fail(others.error());
  co_return Glance{std::move(*others), state_->source.consumed_rcu() - rcu_before};
}

VerifyProgress Verifier::progress() const {
  const Progress& at = state_->at;
  return {at.items[kSource], at.items[kTarget], at.compared, at.candidates, state_->consumed_rcu()};
}

Report Verifier::so_far() const {
  Report report = state_->at.report;
  report.consumed_rcu = state_->consumed_rcu();
  return report;
}

Task<Result<>> Verifier::forget() { return state_->forget(); }

Task<Result<>> Verifier::keep() { return state_->keep(); }

}  // namespace moveout::verify
