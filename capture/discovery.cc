#include <algorithm>

#include "base/mutant.h"
#include "capture/capture_state.h"

namespace moveout::capture {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Steady;
using base::Task;

namespace {
// A stream that was switched on a moment ago, or a stale answer.
constexpr int kNotFoundTries = 3;
}  // namespace

Task<Result<aws::StreamPage>> StreamCapture::State::describe(std::string after) {
  for (int attempt = 1;; ++attempt) {
    Result<aws::StreamPage> page = co_await streams.describe(config.stream_arn, after);
    if (page || page.error().kind != ErrorKind::NotFound) co_return page;
    if (attempt == kNotFoundTries) {
      co_return gap("its stream " + config.stream_arn +
                    " is gone: the table was dropped, or the stream was switched off");
    }
    co_await clock.sleep_for(kListAgain);
  }
}

Task<Result<std::vector<aws::Shard>>> StreamCapture::State::list_shards() {
  std::vector<aws::Shard> shards;
  std::string after;
  for (;;) {
    Result<aws::StreamPage> page = co_await describe(after);
    if (!page) co_return fail(page.error());
    if (page->status == "DISABLED" || page->status == "DISABLING") {
      co_return gap("its stream " + config.stream_arn + " was switched off by someone else");
    }
    std::ranges::move(page->shards, std::back_inserter(shards));
    if (page->last_shard.empty() || base::mutant("first_listing_page_only")) co_return shards;
    if (page->last_shard == after) {
      co_return fail(ErrorKind::Corrupt, "table " + config.table + ": DescribeStream does not get past shard " + after);
    }
    after = std::move(page->last_shard);
  }
}

Task<Result<>> StreamCapture::State::check_table() {
  if (table == nullptr) co_return Result<>();
  Result<aws::TableDescription> now = co_await table->describe_table(config.table);
  if (!now && now.error().kind == ErrorKind::NotFound) co_return gap("the table is gone");
  if (!now) co_return fail(now.error());
  if (now->status == "DELETING") co_return gap("the table is being deleted");
  if (!now->stream_enabled || now->stream_arn != config.stream_arn) {
    co_return gap("its stream was switched off or replaced by someone else (was " + config.stream_arn + ", now " +
                  (now->stream_enabled ? now->stream_arn : "none") + ")");
  }
  if (now->key != config.key) {
    co_return fail(ErrorKind::SchemaChanged,
                   "table " + config.table + ": its key schema is not the one this run began with");
  }
  co_return Result<>();
}

Task<Result<>> StreamCapture::State::save_verdicts() {
  if (lineage->start_to_save()) {
    CapturedPage page;
    page.shard = "@start";
    page.checkpoint = {std::string(kStartRow), lineage->start_to_save()->encode()};
    if (Result<> kept = co_await sink.deliver(std::move(page)); !kept) co_return kept;
    lineage->start_saved();
  }
  for (std::string& shard : lineage->take_passed_over()) {
    if (Result<> kept = co_await pass_over(std::move(shard)); !kept) co_return kept;
  }
  co_return Result<>();
}

Task<Result<>> StreamCapture::State::discover() {
  base::Millis pace = kListAgain;
  for (;;) {
    list_now = false;
    listed_at = clock.steady();
    const base::Instant wall = clock.now();
    Result<std::vector<aws::Shard>> shards = co_await list_shards();
    if (!shards) co_return fail(shards.error());
    if (Result<> same = co_await check_table(); !same) co_return same;
    Result<> judged = lineage->listed(*shards, listed_at, clock.steady(), wall);
    if (!judged) co_return gap(judged.error().what);
    if (Result<> kept = co_await save_verdicts(); !kept) co_return kept;
    start_readers();
    log.debug("capture.listed", {{"table", config.table},
                                 {"shards", shards->size()},
                                 {"reading", lineage->reading()},
                                 {"finished", lineage->finished()}});

    // Children of an ended shard may be hidden for a while: ask soon, then less and less often.
    const bool soon = lineage->children_expected() || shards->empty();
    list_by(listed_at + (soon ? std::min(pace, config.discover_every) : config.discover_every));
    pace = soon ? std::min(pace * 2, config.discover_every) : kListAgain;
    if (lineage->look_again()) list_by(*lineage->look_again());
    while (!list_now) co_await listing_wanted->wait();
  }
}

void StreamCapture::State::list_by(Steady when) {
  when = std::max(when, listed_at + kListAgain);
  if (wake_at && *wake_at <= when) return;
  wake_at = when;
  group->start(wake(when));
}

void StreamCapture::State::list_after(Steady instant) {
  if (running && listed_at <= instant) list_by(clock.steady());
}

Task<Result<>> StreamCapture::State::wake(Steady when) {
  co_await clock.sleep_until(when);
  if (wake_at != when) co_return Result<>();
  wake_at.reset();
  list_now = true;
  listing_wanted->notify_all();
  co_return Result<>();
}

void StreamCapture::State::start_readers() {
  for (std::string& shard : lineage->start_ready()) {
    Reader& reader = readers.try_emplace(shard, config).first->second;
    reader.begun = clock.now();
    reader.polled = clock.steady();
    const Steady since = lineage->unread_since(shard).value_or(Steady::min());
    if (since < reader.polled - kSilence) reader.unread_since = since == Steady::min() ? reader.polled : since;
    group->start(read(std::move(shard)));
  }
}

}  // namespace moveout::capture
