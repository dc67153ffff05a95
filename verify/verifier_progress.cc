// How a verification is begun, kept and continued.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/mutant.h"
#include "verify/verifier_state.h"

namespace moveout::verify {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

constexpr std::size_t kBufferedMax = 2 << 20;  // of spill, before it is written
constexpr std::int64_t kSegmentBytes = std::int64_t{64} << 20;
constexpr std::int64_t kSegmentItems = 400'000;
constexpr int kSegmentsMin = 16;
constexpr base::Millis kProgressAge{24 * 60 * 60 * 1000};
constexpr int kSegmentsMax = 4000;  // their last keys are part of every progress record

void append_identity(std::string& out, std::string_view part) { out += fmt::format("{}:{};", part.size(), part); }

std::string identity_of(const Config& config) {
  std::string identity;
  append_identity(identity, config.table);
  append_identity(identity, config.key.partition.name + static_cast<char>(config.key.partition.type));
  if (config.key.sort) append_identity(identity, config.key.sort->name + static_cast<char>(config.key.sort->type));
  append_identity(identity, std::to_string(config.buckets));
  if (!base::mutant("progress_of_other_sides")) append_identity(identity, config.sides);
  return identity;
}

}  // namespace

// Blocking, on the worker.
Result<> Verifier::State::write_down() {
  for (const Spill::Piece& piece : going) unsynced[piece.name];
  return going_again ? write_pieces_again(disk, going) : write_pieces(disk, going);
}

// What is there still was not written, or not as a whole.
void Verifier::State::take_pieces() {
  going_again = !going.empty();
  for (Spill& spill : spills) std::ranges::move(spill.take(), std::back_inserter(going));
}

// Buffers out to their files; not durable yet.
Task<Result<>> Verifier::State::flush() {
  while (writing) co_await written->wait();
  writing = true;
  take_pieces();
  const Result<> done = co_await worker.call([&] { return write_down(); });
  if (done) going.clear();
  writing = false;
  written->notify_all();
  co_return done;
}

// Progress as of now, durable when it returns: what it speaks of first, then itself.
Task<Result<>> Verifier::State::save() {
  while (writing) co_await written->wait();
  writing = true;
  saved_at = clock.steady();
  for (std::size_t side : {kSource, kTarget}) {
    at.spill_sizes[side].assign(spills[side].sizes().begin(), spills[side].sizes().end());
  }
  at.report.consumed_rcu = consumed_rcu();
  at.saved_us = base::micros_of(clock.now());
  const Progress now = at;
  take_pieces();
  const Result<> done = co_await worker.call([&]() -> Result<> {
    if (const Result<> out = write_down(); !out) return out;
    for (const auto& [name, size] : unsynced) {
      if (const Result<> synced = disk.sync(name); !synced) return synced;
    }
    unsynced.clear();
    return progress_file.save(now);
  });
  if (done) going.clear();
  writing = false;
  written->notify_all();
  co_return done;
}

// Between two awaits `at` and the spills always tell of the same pages. Of what was being written when all stopped
// nobody knows how far it came.
Task<Result<>> Verifier::State::keep() {
  if (!begun || damaged) co_return Result<>();
  writing = false;
  co_return co_await save();
}

// Between two pages: progress when it is due, room when there is none. One write at a time serves all who come.
Task<Result<>> Verifier::State::page_taken() {
  if (!writing && clock.steady() - saved_at >= config.checkpoint_every) co_return co_await save();
  while (writing && buffered() >= kBufferedMax) co_await written->wait();
  if (buffered() >= kBufferedMax) co_return co_await flush();
  co_return Result<>();
}

Task<Result<>> Verifier::State::forget() {
  co_return co_await worker.call([&]() -> Result<> {
    if (const Result<> cleared = progress_file.clear(); !cleared) return cleared;
    const Result<std::vector<std::string>> names = disk.list();
    if (!names) return base::fail(names.error());
    for (const std::string& name : *names) {
      if (!name.starts_with(config.name + ".")) continue;
      if (const Result<> removed = disk.remove(name); !removed) return removed;
    }
    return {};
  });
}

Task<Result<>> Verifier::State::resume_or_begin() {
  Result<std::optional<Progress>> found = co_await worker.call([&] { return progress_file.load(); });
  if (!found) co_return base::fail(found.error());
  if (*found && (*found)->identity == identity_of(config) && lately((*found)->saved_us)) {
    const Result<> adopted = co_await adopt(std::move(**found));
    if (adopted || adopted.error().kind != ErrorKind::Corrupt) co_return adopted;
    log.warn("verify.begins_anew", {{"table", config.table}, {"why", adopted.error().what}});
  }
  co_return co_await begin();
}

// What was compared long ago says little about now.
bool Verifier::State::lately(std::int64_t saved_us) const {
  const bool young =
      clock.now() - base::instant_of_micros(saved_us) <= kProgressAge || base::mutant("progress_of_long_ago");
  if (!young) log.info("verify.begins_anew", {{"table", config.table}, {"why", "its progress is old"}});
  return young;
}

Task<Result<>> Verifier::State::begin() {
  if (const Result<> forgotten = co_await forget(); !forgotten) co_return forgotten;
  int segments = config.segments;
  if (segments <= 0) {
    const Result<aws::TableDescription> table = co_await db.describe_table(config.table);
    if (!table) co_return base::fail(table.error());
    const std::int64_t wanted = std::max(table->size_bytes / kSegmentBytes, table->item_count / kSegmentItems) + 1;
    segments = static_cast<int>(std::clamp<std::int64_t>(wanted, kSegmentsMin, kSegmentsMax));
  }
  at = Progress{};
  at.identity = identity_of(config);
  at.seed = config.seed != 0 ? config.seed : rng.next();
  at.segments = static_cast<std::uint64_t>(segments);
  at.segments_done.assign(at.segments, false);
  for (std::size_t side : {kSource, kTarget}) {
    at.sums[side].assign(static_cast<std::size_t>(config.buckets), {});
    at.spill_sizes[side].assign(kFiles, 0);
    spills[side].resume(at.spill_sizes[side]);
  }
  unsynced.clear();
  rcu_before = -source.consumed_rcu();
  co_return Result<>();
}

Task<Result<>> Verifier::State::adopt(Progress progress) {
  at = std::move(progress);
  const std::size_t buckets = static_cast<std::size_t>(config.buckets);
  for (std::size_t side : {kSource, kTarget}) {
    if (at.spill_sizes[side].size() != kFiles || at.sums[side].size() != buckets) {
      co_return base::fail(ErrorKind::Corrupt, "the progress does not fit");
    }
    spills[side].resume(at.spill_sizes[side]);
  }
  unsynced.clear();
  rcu_before = at.report.consumed_rcu - source.consumed_rcu();
  co_return co_await worker.call([&] { return cut_back(); });
}

// What was written after the progress was is cut off; what it speaks of must be there. Blocking.
Result<> Verifier::State::cut_back() {
  const auto cut = [&](const std::string& name, std::uint64_t wanted) -> Result<> {
    const Result<std::uint64_t> size = disk.size(name);
    if (!size) return base::fail(size.error());
    if (*size < wanted) return base::fail(ErrorKind::Corrupt, name + " is shorter than it was");
    return *size > wanted ? disk.truncate(name, wanted) : Result<>();
  };
  for (std::size_t side : {kSource, kTarget}) {
    for (std::size_t file = 0; file < kFiles; ++file) {
      if (const Result<> done = cut(spills[side].name(file), at.spill_sizes[side][file]); !done) return done;
    }
  }
  return cut(candidates_name(), at.candidates_size);
}

}  // namespace moveout::verify
