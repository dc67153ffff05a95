// TableMove: the back-fill from files that were made while changes were captured (an export), in place of scans.
#include "aws/times.h"
#include "base/mutant.h"
#include "move/table_impl.h"

namespace moveout::move {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// A stream keeps 24 hours; reading it takes a while too.
constexpr std::chrono::hours kStreamKeeps(23);

// "…/stream/2026-11-25T17:33:42.123": since when the stream holds every change. Nothing for another form.
std::optional<base::Instant> opened_at(const std::string& stream_arn) {
  const std::size_t slash = stream_arn.rfind('/');
  return slash == std::string::npos ? std::nullopt : aws::parse_iso_time(stream_arn.substr(slash + 1) + "Z");
}

}  // namespace

// Capture begins at the stream's oldest record, so what was written since its opening, or in its last hours, is had.
Task<Result<>> TableMove::Impl::open_files(std::string stream_arn) {
  const base::Instant now = seams_.clock.now();
  // A clock that differs from AWS's must not make a stream older than it is.
  const bool just_opened = !table_.stream_enabled;
  const base::Instant opened = just_opened ? now : std::min(opened_at(stream_arn).value_or(now), now);
  const base::Instant captured_from = std::max(opened, now - base::Micros(kStreamKeeps));
  Result<backfill::FileSource*> ready = co_await spec_.files->ready(captured_from);
  if (!ready) co_return fail(ready.error());
  Result<backfill::FilesKnown> known = co_await (*ready)->begin();
  if (!known) co_return fail(known.error());
  files_ = *ready;
  files_known_ = std::move(*known);
  // Enough for a sample; the version comes with the era.
  files_->set(table_.key, {0, item::Band::Backfill, files_known_.t_us.value_or(0)});
  if (state_.era() && !options_.new_backfill) {
    const bool same = state_.era()->segments == static_cast<int>(files_->parts()) &&
                      (!files_known_.t_us || state_.era()->t0_us == *files_known_.t_us);
    if (same) co_return Result<>();
    co_return fail(ErrorKind::Usage, "table " + spec_.source +
                                         ": the export is another one than this run began with; give the same again, "
                                         "or --new-backfill");
  }
  co_return check_files(captured_from);
}

// Between the export's content and the oldest change that is had, nothing may lie.
Result<> TableMove::Impl::check_files(base::Instant captured_from) const {
  const std::string table = "table " + spec_.source + ": ";
  if (!files_known_.t_us) {
    return fail(ErrorKind::Usage, table + "a back-fill needs a full export; load windows with `load`");
  }
  if (!files_known_.table.empty() && files_known_.table != table_.name) {
    return fail(ErrorKind::Usage, table + "the export is of table " + files_known_.table);
  }
  const base::Instant time = base::instant_of_micros(*files_known_.t_us);
  const base::Instant needed = time - base::Micros(spec_.files->margin());
  if (needed < captured_from && !base::mutant("fuzzy_minute_ignored")) {
    return fail(
        ErrorKind::Usage,
        fmt::format("{}the export is of {}, and changes are captured only since {}: it may lack writes of up to "
                    "{} s before its time (export.margin); let this run request one, or give a newer one",
                    table, aws::iso_time(time), aws::iso_time(captured_from), spec_.files->margin().count() / 1000));
  }
  if (seams_.clock.now() - needed > kStreamKeeps) {
    return fail(ErrorKind::StreamGap,
                fmt::format("{}the export of {} is so old by now that the stream no longer holds what came after it: "
                            "give the same command again with --new-backfill, which requests a new export",
                            table, aws::iso_time(time)));
  }
  return {};
}

Task<Result<>> TableMove::Impl::copy_items() {
  if (files_backfill_) return files_backfill_->run();
  return backfill_->run();
}

}  // namespace moveout::move
