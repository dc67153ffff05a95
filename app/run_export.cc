#include "app/run_export.h"

#include <fmt/format.h>

#include "aws/times.h"
#include "base/json.h"

namespace moveout::app {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// Two unpack as much as a target takes.
constexpr int kWorkers = 2;

// What was asked for, before it is asked for: the same again after a crash is the same export (its token says so).
struct Asked {
  std::string arn, token;
  std::int64_t time_us = 0;
};

std::string text_of(const Asked& asked) {
  return json::serialize(json::object{{"arn", asked.arn}, {"token", asked.token}, {"time_us", asked.time_us}});
}

Result<Asked> parse_asked(const std::string& text) {
  Result<json::value> value = base::parse_json(text);
  if (!value) return fail(value.error());
  try {
    return Asked{std::string(value->at("arn").as_string()), std::string(value->at("token").as_string()),
                 value->at("time_us").as_int64()};
  } catch (const std::exception&) {
    return fail(ErrorKind::Corrupt, "state: the row of the export is damaged");
  }
}

}  // namespace

RunExport::RunExport(std::string table, Url from, ExportSettings settings, std::string wanted, std::string state_dir,
                     Seams seams, base::Rng rng)
    : table_(std::move(table)),
      from_(std::move(from)),
      settings_(std::move(settings)),
      wanted_(std::move(wanted)),
      state_dir_(std::move(state_dir)),
      seams_(seams),
      rng_(rng) {
  from_.table = table_;
  for (int i = 0; i < kWorkers; ++i) workers_.push_back(std::make_unique<net::ThreadWorker>("export"));
}

Task<Result<backfill::FileSource*>> RunExport::ready(base::Instant captured_from) {
  Result<std::unique_ptr<ExportPlace>> found = co_await place(captured_from);
  if (!found) co_return fail(found.error());
  place_ = std::move(*found);
  Result<std::unique_ptr<state::PosixDisk>> disk = state::PosixDisk::open(state_dir_ + "/export");
  if (!disk) co_return fail(disk.error());
  spool_ = std::move(*disk);
  std::vector<base::Worker*> workers;
  for (const auto& each : workers_) workers.push_back(each.get());
  backfill::ExportConfig config;
  config.find = place_->find();
  source_ = std::make_unique<backfill::ExportSource>(std::move(config), place_->objects(), spool_.get(),
                                                     std::move(workers), seams_.log);
  co_return source_.get();
}

Task<Result<std::unique_ptr<ExportPlace>>> RunExport::place(base::Instant captured_from) {
  Result<Url> wanted = parse_url(wanted_.empty() ? "-" : wanted_);
  if (!wanted) co_return fail(wanted.error());
  if (!wanted_.empty() && wanted->scheme != Scheme::Export) {
    const bool readable = wanted->scheme == Scheme::S3 || (wanted->scheme == Scheme::File && wanted->path != "-");
    if (!readable) co_return fail(ErrorKind::Usage, "--export is an export's ARN, s3://BUCKET/PREFIX, or a folder");
    // The bucket of an export is of its table's region, unless the URL says another.
    if (wanted->region.empty()) wanted->region = from_.region;
    co_return co_await ExportPlace::open(std::move(*wanted), seams_.executor, seams_.clock, rng_.fork(), seams_.log,
                                         *workers_.front());
  }
  Result<std::unique_ptr<ExportApi>> api =
      ExportApi::connect(from_, seams_.executor, seams_.clock, rng_.fork(), seams_.log);
  if (!api) co_return fail(api.error());
  api_ = std::move(*api);
  std::string arn = wanted->path;
  if (wanted_.empty()) {
    Result<std::string> asked = co_await requested(captured_from);
    if (!asked) co_return fail(asked.error());
    arn = std::move(*asked);
  }
  Result<aws::ExportDescription> described = co_await complete(std::move(arn));
  if (!described) co_return fail(described.error());
  co_return ExportPlace::of(*described, from_, seams_.executor, seams_.clock, rng_.fork(), seams_.log);
}

Task<Result<>> RunExport::see_to_recovery() {
  Result<aws::PointInTimeRecovery> recovery = co_await api_->exports().recovery(table_);
  if (!recovery) co_return fail(recovery.error());
  if (recovery->enabled) co_return Result<>();
  if (!settings_.enable_pitr) {
    co_return fail(ErrorKind::Usage,
                   "table " + table_ +
                       " has no point-in-time recovery, which exports need: --set export.enable_pitr=true switches it "
                       "on (it costs by the table's size)");
  }
  seams_.events.notice(table_, "table " + table_ + ": point-in-time recovery is switched on now");
  co_return co_await api_->exports().enable_recovery(table_);
}

// The ARN of this run's export, asked for once.
Task<Result<std::string>> RunExport::requested(base::Instant captured_from) {
  const std::string row = "export/" + table_;
  Result<state::Rows> rows = co_await seams_.store.read(row);
  if (!rows) co_return fail(rows.error());
  Asked asked;
  if (const auto found = rows->find(row); found != rows->end()) {
    Result<Asked> before = parse_asked(found->second);
    if (!before) co_return fail(before.error());
    asked = std::move(*before);
  }
  if (!asked.arn.empty()) co_return asked.arn;
  if (settings_.bucket.empty()) {
    co_return fail(
        ErrorKind::Usage,
        "--backfill export: into which bucket? Give --set export.bucket=… (and export.prefix=…), or an export "
        "that stands already with --export");
  }
  Result<aws::TableDescription> described = co_await api_->dynamodb().describe_table(table_);
  if (!described) co_return fail(described.error());
  if (asked.token.empty()) {
    if (Result<> on = co_await see_to_recovery(); !on) co_return fail(on.error());
    seams_.events.notice(table_,
                         fmt::format("table {}: an export into s3://{}/{} is requested, which uses no read capacity; "
                                     "rights: dynamodb:ExportTableToPointInTime, dynamodb:DescribeExport, "
                                     "s3:PutObject, s3:GetObject, s3:ListBucket there; no dynamodb:Scan for the "
                                     "copy (docs/exports.md)",
                                     table_, settings_.bucket, settings_.prefix));
    // The export's content is off by a while: capture is older than that.
    const base::Instant time = captured_from + base::Micros(settings_.margin);
    for (base::Instant now = seams_.clock.now(); now <= time; now = seams_.clock.now()) {
      seams_.log.info("export.margin", {{"table", table_}, {"waits_s", (time - now).count() / 1'000'000}});
      co_await seams_.clock.sleep_for(
          std::min<base::Micros>(time - now + base::Micros(1000), std::chrono::seconds(10)));
    }
    asked.token = fmt::format("{:016x}{:016x}", rng_.next(), rng_.next());
    // In milliseconds, as the service keeps it.
    asked.time_us = base::micros_of(seams_.clock.now()) / 1000 * 1000;
    std::vector<state::Put> puts{{row, text_of(asked)}};
    if (Result<> kept = co_await seams_.store.commit(std::move(puts)); !kept) co_return fail(kept.error());
  }
  aws::ExportWish wish;
  wish.table_arn = described->arn;
  wish.bucket = settings_.bucket;
  wish.prefix = settings_.prefix;
  wish.format = settings_.format;
  wish.client_token = asked.token;
  wish.time = base::instant_of_micros(asked.time_us);
  Result<aws::ExportDescription> made = co_await api_->exports().request(std::move(wish));
  if (!made) co_return fail(made.error());
  asked.arn = made->arn;
  std::vector<state::Put> puts{{row, text_of(asked)}};
  if (Result<> kept = co_await seams_.store.commit(std::move(puts)); !kept) co_return fail(kept.error());
  co_return asked.arn;
}

Task<Result<aws::ExportDescription>> RunExport::complete(std::string arn) {
  const base::Millis every = api_->is_aws() ? base::Millis(10000) : base::Millis(200);
  const base::Steady began = seams_.clock.steady();
  seams_.log.info("export.waiting", {{"arn", arn}, {"waited_s", 0}});
  for (base::Steady said = began;;) {
    Result<aws::ExportDescription> at = co_await api_->exports().describe(arn);
    if (!at || at->status == "COMPLETED") co_return at;
    if (at->status == "FAILED") {
      // The next start asks anew.
      std::vector<state::Put> puts{{"export/" + table_, std::nullopt}};
      if (Result<> kept = co_await seams_.store.commit(std::move(puts)); !kept) co_return fail(kept.error());
      co_return fail(ErrorKind::Usage, "export " + arn + " failed: " + at->failure_code + ": " + at->failure_message +
                                           "; the same command requests another one");
    }
    const base::Steady now = seams_.clock.steady();
    if (now - said >= std::chrono::seconds(10)) {
      said = now;
      seams_.log.info("export.waiting", {{"arn", arn}, {"waited_s", (now - began).count() / 1'000'000}});
    }
    co_await seams_.clock.sleep_for(every);
  }
}

}  // namespace moveout::app
