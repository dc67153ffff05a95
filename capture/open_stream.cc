#include <string>

#include "base/mutant.h"
#include "capture/stream_capture.h"

namespace moveout::capture {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// Switching a stream on takes seconds; a table that is being updated by someone else may take minutes first.
constexpr base::Millis kEnableWait{10 * 60 * 1000};
constexpr base::Millis kLookAgain{1000};
// Refused so often although nobody is at work on the table: not someone else's stream that a stale answer hides.
constexpr int kRefusalsMax = 30;

// True when the stream is ENABLED.
Task<Result<bool>> is_enabled(aws::Streams& streams, std::string arn) {
  Result<aws::StreamPage> page = co_await streams.describe(std::move(arn), "");
  // Just switched on: the Streams side may not know it yet.
  if (!page && page.error().kind == ErrorKind::NotFound) co_return false;
  if (!page) co_return fail(page.error());
  co_return page->status == "ENABLED";
}

}  // namespace

Task<Result<OpenedStream>> open_stream(aws::DynamoDb& dynamodb, aws::Streams& streams, base::Clock& clock,
                                       base::Log& log, std::string table, bool may_enable) {
  bool enabled_now = false;
  int refusals = 0;
  const base::Steady until = clock.steady() + kEnableWait;
  for (;;) {
    Result<aws::TableDescription> description = co_await dynamodb.describe_table(table);
    if (!description) co_return fail(description.error());
    const bool ours = enabled_now || !base::mutant("stream_switched_on_again");
    if (ours && description->stream_enabled && !description->stream_arn.empty()) {
      Result<bool> enabled = co_await is_enabled(streams, description->stream_arn);
      if (!enabled) co_return fail(enabled.error());
      if (*enabled) co_return OpenedStream{description->stream_arn, description->stream_view_type, enabled_now};
    } else if (!may_enable) {
      co_return fail(ErrorKind::Usage, "table " + table +
                                           " has no stream and --no-enable-stream forbids switching one on; without "
                                           "a stream no change can be captured");
    } else if (!enabled_now) {
      // Said before it is done: it is the only thing moveout changes on the source.
      log.info("capture.enable_stream", {{"table", table}, {"view", "NEW_AND_OLD_IMAGES"}});
      Result<> switched = co_await dynamodb.enable_stream(table);
      // Someone else was faster, or the table is being updated: the next look tells.
      if (!switched && switched.error().kind != ErrorKind::Conflict) co_return fail(switched.error());
      if (!switched && description->status == "ACTIVE" && ++refusals == kRefusalsMax) co_return fail(switched.error());
      enabled_now = switched.has_value();
    }
    if (clock.steady() >= until) {
      co_return fail(ErrorKind::Unavailable, "the stream of table " + table + " is not ENABLED after 10 minutes (" +
                                                 description->status + "); the same command goes on later");
    }
    co_await clock.sleep_for(kLookAgain);
  }
}

}  // namespace moveout::capture
