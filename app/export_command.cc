// export request, wait, list, fetch.
#include <fmt/format.h>

#include "app/context.h"
#include "app/export_fetch.h"
#include "app/export_place.h"
#include "app/listeners.h"
#include "app/session.h"
#include "aws/times.h"
#include "base/task_group.h"

namespace moveout::app {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

Result<std::optional<base::Instant>> time_of(const std::string& text, const char* flag) {
  if (text.empty()) return std::optional<base::Instant>();
  const auto time = aws::parse_iso_time(text);
  if (!time) {
    return fail(ErrorKind::Usage, std::string(flag) + " " + text + ": expected a time like 2026-11-25T10:00:00Z");
  }
  return time;
}

json::object event_of(const aws::ExportDescription& at) {
  json::object event{{"event", "export"}, {"arn", at.arn}, {"status", at.status}, {"type", at.type}};
  if (const auto parts = aws::parse_export_arn(at.arn)) event["table"] = parts->table;
  if (!at.bucket.empty()) event["s3"] = "s3://" + at.bucket + "/" + at.prefix;
  if (at.type == "INCREMENTAL_EXPORT") {
    event["from"] = aws::iso_time(at.window.from);
    event["to"] = aws::iso_time(at.window.to);
    event["view"] = at.window.view;
  } else if (base::micros_of(at.time) > 0) {
    event["time"] = aws::iso_time(at.time);
  }
  if (at.status == "COMPLETED") {
    event["items"] = at.items;
    event["billed_bytes"] = at.billed_bytes;
    event["manifest"] = at.manifest_key;
  }
  if (!at.failure_code.empty()) {
    event["failure_code"] = at.failure_code;
    event["failure_message"] = at.failure_message;
  }
  return event;
}

std::string words_of(const aws::ExportDescription& at) {
  std::string out = at.arn + " " + at.status;
  if (at.type == "INCREMENTAL_EXPORT") {
    out += fmt::format(" incremental {} to {}", aws::iso_time(at.window.from), aws::iso_time(at.window.to));
  } else if (base::micros_of(at.time) > 0) {
    out += " full of " + aws::iso_time(at.time);
  }
  if (at.status == "COMPLETED") out += fmt::format(" items={} billed_bytes={}", at.items, at.billed_bytes);
  if (!at.failure_code.empty()) out += " " + at.failure_code + ": " + at.failure_message;
  return out;
}

class ExportJob {
 public:
  explicit ExportJob(Context& context) : context_(context), flags_(context.command.exports) {}

  Task<Result<>> run(Ending& ending) {
    Result<Url> from = parse_url(context_.command.from);
    if (!from) co_return fail(from.error());
    if (from->scheme != Scheme::DynamoDb || from->table.empty()) {
      co_return fail(ErrorKind::Usage, "export: --from is dynamodb://REGION/TABLE");
    }
    from_ = std::move(*from);
    Result<std::unique_ptr<ExportApi>> api =
        ExportApi::connect(from_, context_.executor, context_.clock, base::Rng(random_seed()), context_.log);
    if (!api) co_return fail(api.error());
    api_ = std::move(*api);
    ending.tables = 1;
    const std::string& name = context_.command.name;
    if (name == "export-request") co_return co_await request(ending);
    if (name == "export-wait") co_return co_await wait_for_one(ending);
    if (name == "export-list") co_return co_await list(ending);
    co_return co_await fetch(ending);
  }

 private:
  Task<Result<>> request(Ending& ending);
  Task<Result<aws::ExportWish>> wish();
  Task<Result<>> see_to_recovery();
  Task<Result<>> wait_for_one(Ending& ending);
  Task<Result<>> wait(std::string arn, Ending& ending);
  Task<Result<>> list(Ending& ending);
  Task<Result<>> fetch(Ending& ending);
  Task<Result<std::string>> table_arn();
  Task<Result<std::string>> latest(bool complete);

  void show(const aws::ExportDescription& at, Ending& ending) {
    context_.reporter.emit(event_of(at));
    context_.reporter.say(words_of(at));
    ending.more["arn"] = at.arn;
    ending.more["status"] = at.status;
    ending.more["items"] = at.items;
  }

  Context& context_;
  const ExportFlags& flags_;
  Url from_;
  std::unique_ptr<ExportApi> api_;
};

Task<Result<std::string>> ExportJob::table_arn() {
  if (from_.table.starts_with("arn:")) co_return from_.table;
  Result<aws::TableDescription> table = co_await api_->dynamodb().describe_table(from_.table);
  if (!table) co_return fail(table.error());
  co_return table->arn;
}

// What is asked for, before anything is contacted.
Task<Result<aws::ExportWish>> ExportJob::wish() {
  Result<Url> to = parse_url(context_.command.to);
  if (!to) co_return fail(to.error());
  if (to->scheme != Scheme::S3) co_return fail(ErrorKind::Usage, "export request: --to is s3://BUCKET/PREFIX");
  aws::ExportWish wish;
  wish.bucket = to->bucket;
  wish.prefix = to->path;
  wish.format = flags_.format;
  wish.sse = flags_.sse;
  wish.kms_key_id = flags_.kms_key;
  wish.bucket_owner = flags_.bucket_owner;
  wish.client_token = flags_.client_token;
  Result<std::optional<base::Instant>> time = time_of(flags_.time, "--time");
  if (!time) co_return fail(time.error());
  Result<std::optional<base::Instant>> since = time_of(flags_.since, "--since");
  if (!since) co_return fail(since.error());
  Result<std::optional<base::Instant>> until = time_of(flags_.until, "--until");
  if (!until) co_return fail(until.error());
  if (!*since && *until) co_return fail(ErrorKind::Usage, "--until goes with --since, of an incremental export");
  if (*since && *time) co_return fail(ErrorKind::Usage, "--time is of a full export, --since of an incremental one");
  if (!flags_.kms_key.empty() && flags_.sse != "KMS") co_return fail(ErrorKind::Usage, "--kms-key goes with --sse KMS");
  wish.time = *time;
  if (*since) wish.window = aws::ExportWindow{**since, until->value_or(context_.clock.now()), flags_.view};
  if (wish.window && wish.window->from >= wish.window->to) {
    co_return fail(ErrorKind::Usage, "--since is not before --until");
  }
  co_return wish;
}

// Switched on only when told.
Task<Result<>> ExportJob::see_to_recovery() {
  Result<aws::PointInTimeRecovery> recovery = co_await api_->exports().recovery(from_.table);
  // Not everybody who may export may look; then the request itself says what is missing.
  if (!recovery && recovery.error().kind == ErrorKind::Denied && !flags_.enable_pitr) co_return Result<>();
  if (!recovery) co_return fail(recovery.error());
  if (recovery->enabled) co_return Result<>();
  if (!flags_.enable_pitr) {
    co_return fail(ErrorKind::Usage,
                   "table " + from_.table +
                       " has no point-in-time recovery, which exports need: --enable-pitr switches it on (it costs by "
                       "the table's size, and reaches back only to that moment)");
  }
  context_.reporter.notice(from_.table, "table " + from_.table + ": point-in-time recovery is switched on now");
  co_return co_await api_->exports().enable_recovery(from_.table);
}

Task<Result<>> ExportJob::request(Ending& ending) {
  Result<aws::ExportWish> wanted = co_await wish();
  if (!wanted) co_return fail(wanted.error());
  Result<std::string> arn = co_await table_arn();
  if (!arn) co_return fail(arn.error());
  wanted->table_arn = *arn;
  if (Result<> ready = co_await see_to_recovery(); !ready) co_return ready;
  Result<aws::ExportDescription> made = co_await api_->exports().request(std::move(*wanted));
  if (!made) co_return fail(made.error());
  show(*made, ending);
  if (!flags_.wait) co_return Result<>();
  co_return co_await wait(made->arn, ending);
}

Task<Result<>> ExportJob::wait(std::string arn, Ending& ending) {
  const base::Millis every = api_->is_aws() ? base::Millis(10000) : base::Millis(200);
  const base::Steady began = context_.clock.steady();
  for (base::Steady said = began;;) {
    Result<aws::ExportDescription> at = co_await api_->exports().describe(arn);
    if (!at) co_return fail(at.error());
    if (at->status == "FAILED") {
      show(*at, ending);
      co_return fail(ErrorKind::Usage, "export " + arn + " failed: " + at->failure_code + ": " + at->failure_message +
                                           "; nothing of it can be loaded, request another one");
    }
    if (at->status != "IN_PROGRESS") {
      show(*at, ending);
      co_return Result<>();
    }
    const base::Steady now = context_.clock.steady();
    if (now - said >= std::chrono::seconds(10)) {
      said = now;
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - began).count();
      context_.reporter.emit(
          {{"event", "export_progress"}, {"arn", arn}, {"status", at->status}, {"waited_s", seconds}});
      context_.log.info("export.waiting", {{"arn", arn}, {"waited_s", seconds}});
    }
    co_await context_.clock.sleep_for(every);
  }
}

Task<Result<std::string>> ExportJob::latest(bool complete) {
  if (!flags_.arn.empty()) {
    if (!aws::parse_export_arn(flags_.arn)) {
      co_return fail(ErrorKind::Usage, "--export " + flags_.arn + ": expected an export's ARN (`moveout export list`)");
    }
    co_return flags_.arn;
  }
  Result<std::string> arn = co_await table_arn();
  if (!arn) co_return fail(arn.error());
  Result<std::vector<aws::ExportSummary>> all = co_await api_->exports().list(*arn);
  if (!all) co_return fail(all.error());
  // An export's id begins with its time.
  std::string found;
  for (const aws::ExportSummary& each : *all) {
    if (complete && each.status != "COMPLETED") continue;
    found = std::max(found, each.arn);
  }
  if (found.empty()) {
    co_return fail(ErrorKind::NotFound, "table " + from_.table + " has no export" +
                                            (complete ? " that is complete" : "") + " of the last 90 days");
  }
  co_return found;
}

Task<Result<>> ExportJob::wait_for_one(Ending& ending) {
  Result<std::string> arn = co_await latest(/*complete=*/false);
  if (!arn) co_return fail(arn.error());
  co_return co_await wait(std::move(*arn), ending);
}

Task<Result<>> ExportJob::list(Ending& ending) {
  Result<std::string> arn = co_await table_arn();
  if (!arn) co_return fail(arn.error());
  Result<std::vector<aws::ExportSummary>> all = co_await api_->exports().list(std::move(*arn));
  if (!all) co_return fail(all.error());
  for (const aws::ExportSummary& each : *all) {
    Result<aws::ExportDescription> at = co_await api_->exports().describe(each.arn);
    if (!at) co_return fail(at.error());
    context_.reporter.emit(event_of(*at));
    context_.reporter.say(words_of(*at));
  }
  if (all->empty()) context_.reporter.say("no export of the last 90 days");
  ending.more["exports"] = all->size();
  co_return Result<>();
}

Task<Result<>> ExportJob::fetch(Ending& ending) {
  Result<Url> to = parse_url(context_.command.to);
  if (!to) co_return fail(to.error());
  if (to->scheme != Scheme::File || to->path == "-") co_return fail(ErrorKind::Usage, "export fetch: --to is a folder");
  Result<std::string> arn = co_await latest(/*complete=*/true);
  if (!arn) co_return fail(arn.error());
  Result<aws::ExportDescription> described = co_await api_->exports().describe(*arn);
  if (!described) co_return fail(described.error());
  Result<std::unique_ptr<ExportPlace>> place =
      ExportPlace::of(*described, from_, context_.executor, context_.clock, base::Rng(random_seed()), context_.log);
  if (!place) co_return fail(place.error());
  Result<Fetched> fetched =
      co_await fetch_export((*place)->objects(), (*place)->find(), to->path, context_.target_worker, context_.log);
  if (!fetched) co_return fail(fetched.error());
  ending.more["arn"] = described->arn;
  ending.more["items"] = fetched->items;
  ending.more["bytes"] = fetched->bytes;
  ending.more["files"] = fetched->files;
  context_.reporter.say(fmt::format("{}: {} files, {} bytes, {} items; every MD5 verified", to->path, fetched->files,
                                    fetched->bytes, fetched->items));
  co_return Result<>();
}

Task<Result<>> run_job(Context& context, Ending& ending) {
  ExportJob job(context);
  co_return co_await job.run(ending);
}

}  // namespace

Task<Ending> run_export(Context context) {
  Ending ending;
  base::TaskGroup group(context.executor);
  group.start(stop_by_signal(context));
  ending.result = co_await group.run_beside(run_job(context, ending));
  co_return ending;
}

}  // namespace moveout::app
