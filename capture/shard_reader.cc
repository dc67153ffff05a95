#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "capture/capture_state.h"

namespace moveout::capture {

using base::ErrorKind;
using base::fail;
using base::Instant;
using base::Result;
using base::Steady;
using base::Task;

namespace {
// How often a quiet shard's `seen` is written down. It only has to be recent on the scale of 24 hours.
constexpr base::Millis kSaveSeen{15 * 60 * 1000};
// Creation times are the server's; this process's clock may be behind it by so much more than was seen.
constexpr base::Millis kSkew{5000};
// An answer may be stale: so many in a row are believed.
constexpr int kLossesMax = 3;
// A page may be cut at 1,000 records or 1 MB, images of 400 KB included: one well below both was cut by neither.
constexpr std::size_t kShortRecords = 500;
constexpr std::size_t kShortBytes = 256 << 10;

// What a stream call's error says about the shard; any other error is the capture's.
Result<ChainEnd> end_of(const base::Error& error, const std::string& where) {
  if (error.kind == ErrorKind::Expired) return ChainEnd::Expired;
  if (error.kind == ErrorKind::Trimmed) return ChainEnd::Trimmed;
  if (error.kind == ErrorKind::NotFound) return ChainEnd::Vanished;
  if (error.kind == ErrorKind::Corrupt) return fail(error.kind, where + ": " + error.what);
  return fail(error);
}

}  // namespace

std::string StreamCapture::State::place(const std::string& shard) const {
  return "table " + config.table + ", shard " + shard;
}

Task<Result<>> StreamCapture::State::read(std::string shard) {
  Reader& reader = readers.at(shard);
  for (;;) {
    Result<ChainEnd> end = co_await read_chain(shard, reader);
    if (!end) co_return fail(end.error());
    switch (*end) {
      case ChainEnd::Finished:
        log.info("capture.shard_finished", {{"table", config.table}, {"shard", shard}});
        ended(shard);
        co_return Result<>();
      case ChainEnd::Expired:
        log.info("capture.iterator_expired", {{"table", config.table}, {"shard", shard}});
        break;
      case ChainEnd::Trimmed:
      case ChainEnd::Vanished: {
        Result<bool> passed = co_await lose(shard, reader, *end == ChainEnd::Trimmed);
        if (!passed) co_return fail(passed.error());
        if (*passed) co_return Result<>();
        break;
      }
    }
    co_await clock.sleep_for(config.poll_min);
  }
}

// A shard whose records, or all of it, are no longer there. True when it is passed over; false: try again, from the
// trim horizon where that is safe.
Task<Result<bool>> StreamCapture::State::lose(std::string shard, Reader& reader, bool trimmed) {
  const std::string seq = lineage->state(shard).seq;
  const std::string last = seq.empty() ? "nothing of it was read" : "last sequence number " + seq;
  if (trimmed && !lineage->horizon_is_safe(shard, clock.now())) {
    co_return gap("shard " + shard + ": records were trimmed before they were read (" + last + ")");
  }
  reader.from_horizon |= trimmed;
  // Not every server finds a trim horizon in a shard that is trimmed to its end (DynamoDB Local goes on refusing).
  if (++reader.losses < kLossesMax) {
    log.info("capture.lost", {{"table", config.table}, {"shard", shard}, {"trimmed", trimmed}});
    co_await clock.sleep_for(kListAgain);
    co_return false;
  }
  if (!lineage->may_vanish(shard, clock.now())) {
    co_return gap("shard " + shard + " is gone and was not read to its end (" + last + ")");
  }
  if (Result<> kept = co_await pass_over(shard); !kept) co_return fail(kept.error());
  ended(shard);
  co_return true;
}

// The shard's last checkpoint is durable: its children may begin, and those not listed yet are looked for.
void StreamCapture::State::ended(const std::string& shard) {
  readers.erase(shard);
  start_readers();
  list_by(clock.steady());
}

// The first iterator of a shard without a sequence number starts at the trim horizon, and that may have moved over
// records which nobody read: only when none of them is needed may it be used.
Task<Result<std::string>> StreamCapture::State::open_iterator(std::string shard, Reader& reader) {
  const std::string seq = lineage->state(shard).seq;
  reader.reopened = true;
  if (!seq.empty() && !reader.from_horizon) {
    co_return co_await streams.iterator(config.stream_arn, std::move(shard), aws::IteratorAt::After, seq);
  }
  if (!lineage->horizon_is_safe(shard, clock.now())) {
    co_return gap("shard " + shard + " was not read for longer than the 24 hours that records are kept");
  }
  co_return co_await streams.iterator(config.stream_arn, std::move(shard), aws::IteratorAt::TrimHorizon, "");
}

Task<Result<ChainEnd>> StreamCapture::State::read_chain(std::string shard, Reader& reader) {
  Result<std::string> iterator = co_await open_iterator(shard, reader);
  if (!iterator) co_return end_of(iterator.error(), place(shard));
  for (;;) {
    co_await take_room();
    const Steady requested = clock.steady();
    Result<aws::RecordsPage> page = co_await streams.records(*iterator);
    if (!page) {
      give_room();
      co_return end_of(page.error(), place(shard));
    }
    const Steady before = std::exchange(reader.polled, clock.steady());
    if (!reader.unread_since && reader.polled - before > kSilence) reader.unread_since = before;
    reader.losses = 0;
    iterator = page->next_iterator;
    reader.last_page_empty = page->records.empty();
    const bool is_short = page->records.size() < kShortRecords && page->body && page->body->size() < kShortBytes;
    // The end is where the server gives no next iterator, not where a listing shows the shard closed.
    const bool last =
        iterator->empty() || (base::mutant("closed_shard_done_half_read") && lineage->closed_in_listing(shard));
    Result<> taken = co_await take(shard, reader, std::move(*page), last, requested);
    give_room();
    if (!taken) co_return fail(taken.error());
    if (last) co_return ChainEnd::Finished;
    if (note_end(shard, reader, is_short, requested)) reader.unread_since.reset();
    if (reader.last_page_empty) co_await clock.sleep_for(pause(reader));
    if (!reader.last_page_empty) reader.wait = base::Millis(0);
  }
}

// Takes one page to its durable end. The page's body is let go before the delivery.
Task<Result<>> StreamCapture::State::take(std::string shard, Reader& reader, aws::RecordsPage page, bool last,
                                          Steady requested) {
  const std::uint64_t count = page.records.size();
  if (count > 0) {
    reader.tip.records();
  } else if (!last) {
    note_tip(shard, reader, requested);
  }
  Result<Folded> folded = fold_page(rules, lineage->state(shard), page, reader.reopened);
  if (!folded) {
    co_return fail(folded.error().kind, place(shard) + ", " + folded.error().what);
  }
  page = {};
  const bool fresh = lineage->state(shard).seq.empty();
  if (base::mutant("start_at_latest") && fresh) {
    std::erase_if(folded->changes, [&](const item::Change& change) { return change.created < reader.begun; });
  }
  folded->next.finished = last;
  const bool seen_due = folded->next.seen - reader.saved_seen >= kSaveSeen && reader.tipped;
  if (count == 0 && !last && !seen_due) co_return Result<>();
  if (count > 0) reader.reopened = reader.from_horizon = false;
  co_return co_await deliver(std::move(shard), reader, std::move(*folded), count);
}

void StreamCapture::State::note_tip(const std::string& shard, Reader& reader, Steady requested) {
  const std::optional<Steady> tip = reader.tip.empty(requested);
  if (!tip) return;
  reader.tipped = true;
  lineage->reached(shard, *tip, clock.now() - (clock.steady() - *tip));
}

// All that was made in this shard before its newest record has been delivered.
void StreamCapture::State::note_pass(const std::string& shard, Instant newest) {
  const base::Micros age = clock.now() - newest;
  // A record from the future shows that the server's clock is ahead of this one by as much at least.
  server_ahead = std::max(server_ahead, -age);
  lineage->passed(shard, clock.steady() - age - server_ahead - kSkew);
}

// A page that was requested then, and is delivered now.
bool StreamCapture::State::note_end(const std::string& shard, Reader& reader, bool is_short, Steady requested) {
  const bool young = clock.now() - lineage->state(shard).newest <= kSkew;
  if (!is_short) {
    reader.end.records();
    return young;
  }
  const std::optional<Steady> past = reader.end.empty(requested);
  if (past && config.short_pages_tell) lineage->passed(shard, *past);
  return young || (past && past >= reader.unread_since);
}

Task<Result<>> StreamCapture::State::deliver(std::string shard, Reader& reader, Folded folded, std::uint64_t count) {
  CapturedPage page;
  page.shard = shard;
  page.records = count;
  page.newest = folded.next.newest;
  page.checkpoint = {std::string(kShardPrefix) + shard, folded.next.encode()};
  if (folded.next.finished && base::mutant("finished_row_dropped_before_child")) page.checkpoint.second.clear();
  if (!folded.changes.empty()) reader.oldest = folded.changes.front().created;
  if (!folded.changes.empty()) reader.delivering = clock.steady();
  page.changes = std::move(folded.changes);
  // Only what is durable moves the lineage: a child starts after this.
  if (Result<> kept = co_await sink.deliver(std::move(page)); !kept) co_return kept;
  reader.delivering.reset();
  reader.saved_seen = folded.next.seen;
  records += count;
  if (count > 0) note_pass(shard, folded.next.newest);
  if (folded.next.finished) lineage->ended_unread(shard, reader.unread_since.value_or(reader.polled));
  lineage->saved(shard, std::move(folded.next), clock.steady());
  co_return Result<>();
}

// All that this shard held is covered by the back-fill, and it is gone.
Task<Result<>> StreamCapture::State::pass_over(std::string shard) {
  log.info("capture.shard_covered", {{"table", config.table}, {"shard", shard}});
  ShardState state = lineage->state(shard);
  state.finished = true;
  CapturedPage page;
  page.shard = shard;
  page.newest = state.newest;
  page.checkpoint = {std::string(kShardPrefix) + shard, state.encode()};
  if (Result<> kept = co_await sink.deliver(std::move(page)); !kept) co_return kept;
  lineage->saved(shard, std::move(state), clock.steady());
  co_return Result<>();
}

Task<> StreamCapture::State::take_room() {
  while (room == 0) co_await room_made->wait();
  --room;
}

// Not a destructor's work: a reader that is cancelled ends with all the others.
void StreamCapture::State::give_room() {
  ++room;
  room_made->notify_all();
}

// Doubling from poll_min to poll_max, a little less at random so that many shards do not poll in step.
base::Micros StreamCapture::State::pause(Reader& reader) {
  reader.wait = hurry ? config.poll_min : std::clamp(reader.wait * 2, config.poll_min, config.poll_max);
  const base::Micros wait = reader.wait;
  return wait - base::Micros(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(wait.count() / 4 + 1))));
}

}  // namespace moveout::capture
