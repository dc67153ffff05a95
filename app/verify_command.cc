// verify: both sides compared, beside a run or without one. Takes no run lock.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "app/context.h"
#include "app/listeners.h"
#include "app/session.h"
#include "base/task_group.h"
#include "item/hash.h"
#include "move/positions.h"
#include "verify/verifier.h"

namespace moveout::app {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// A busy shard's records tell that an instant has passed by times floored to a minute at worst (DynamoDB Local), a
// quiet one's by a tip of 30 s (AWS); to this come a listing of shards and the run's next note.
constexpr base::Millis kPatience{90000};

json::object figures(const verify::Report& report) {
  return {{"matched", report.matched},     {"missing", report.missing}, {"extra", report.extra},
          {"different", report.different}, {"hot", report.hot},         {"expired", report.expired}};
}

struct Totals {
  verify::Report sum;
  bool too_hot = false;  // in a table: more than product.md bears
  std::vector<move::TableResult> results;

  void add(const std::string& table, const verify::Report& report) {
    sum.matched += report.matched;
    sum.missing += report.missing;
    sum.extra += report.extra;
    sum.different += report.different;
    sum.hot += report.hot;
    sum.expired += report.expired;
    too_hot |= report.hot > std::max<std::uint64_t>(10, report.matched / 1000);
    move::TableResult result;
    result.table = table;
    result.phase = move::Phase::Verify;
    result.items = report.matched;
    results.push_back(std::move(result));
  }
};

// What was found of a table counts also when its verification is stopped or fails.
class Counted {
 public:
  Counted(Totals& totals, std::string table, const std::optional<verify::Verifier>& verifier)
      : totals_(totals), table_(std::move(table)), verifier_(verifier) {}
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { totals_.add(table_, report ? *report : verifier_ ? verifier_->so_far() : verify::Report()); }

  std::optional<verify::Report> report;

 private:
  Totals& totals_;
  std::string table_;
  const std::optional<verify::Verifier>& verifier_;
};

Task<Result<>> tick(Context& context, std::string table, std::int64_t total, const verify::Verifier& verifier) {
  move::Snapshot shown;
  shown.phase = move::Phase::Verify;
  shown.total_items = static_cast<std::uint64_t>(total);
  for (;;) {
    co_await context.clock.sleep_for(std::chrono::seconds(1));
    const verify::VerifyProgress at = verifier.progress();
    context.reporter.emit({{"event", "progress"},
                           {"table", table},
                           {"stage", "verify"},
                           {"items", at.source_items},
                           {"target_items", at.target_items},
                           {"candidates", at.candidates},
                           {"compared", at.compared},
                           {"consumed_rcu", at.consumed_rcu}});
    shown.items = at.source_items;
    shown.consumed_rcu = at.consumed_rcu;
    context.reporter.show({{table, shown}});
  }
}

void tell(Context& context, const std::string& table, const verify::Report& report, std::string_view told_by) {
  json::object event{{"event", "table_result"}, {"table", table}, {"phase", "verify"}, {"items", report.matched}};
  for (const auto& member : figures(report)) event[member.key()] = member.value();
  event["applied"] = told_by;
  event["consumed_rcu"] = report.consumed_rcu;
  context.reporter.emit(std::move(event));
  std::string text = fmt::format("{}: {} equal, {} missing, {} extra, {} different", table, report.matched,
                                 report.missing, report.extra, report.different);
  if (report.hot > 0) text += fmt::format(", {} changing too fast to compare", report.hot);
  if (report.expired > 0) text += fmt::format(", {} expired and on one side only", report.expired);
  context.reporter.say(fmt::format("{}, {:.0f} RCU", text, report.consumed_rcu));
  if (!report.clean() && told_by != "run") {
    context.reporter.say(
        fmt::format("{}: {}, so what differed was read again after 5 s; changes that take longer "
                    "to arrive count as differences",
                    table, told_by == "stopped" ? "the run beside this stands still" : "no run is beside this"));
  }
  for (std::size_t i = 0; i < report.first.size() && i < 10; ++i) {
    const verify::Difference& difference = report.first[i];
    const char* kind = difference.kind == verify::Difference::Kind::Missing ? "missing"
                       : difference.kind == verify::Difference::Kind::Extra ? "extra"
                                                                            : "different";
    context.log.warn("verify.difference",
                     {{"table", table}, {"key_hash", fmt::format("{:016x}", difference.key.hash())}, {"kind", kind}});
  }
}

// The file as it is now: another one of the same name is another target.
std::string file_of(const std::string& path) {
  struct ::stat file{};
  if (::stat(path.c_str(), &file) != 0) return path;
  return fmt::format("{} {}:{}", path, file.st_dev, file.st_ino);
}

Task<Result<>> verify_table(Context& context, Source& source, Targets& targets, base::Disk& disk, move::TableSpec spec,
                            base::Rng& rng, Totals& totals) {
  context.reporter.phase(spec.source, move::Phase::Verify);
  std::unique_ptr<target::Target> target = targets.make(spec);
  std::optional<move::RunWatermark> watermark;
  std::optional<verify::Verifier> verifier;
  Counted counted(totals, spec.source, verifier);
  Result<aws::TableDescription> described = co_await source.dynamodb().describe_table(spec.source);
  if (!described) co_return fail(described.error());
  Result<target::Opened> opened = co_await target->open_reader(target::Layout{spec.target, described->key, ""});
  if (!opened) co_return fail(opened.error());
  verify::Config config;
  config.table = spec.source;
  config.key = described->key;
  config.max_rcu = context.command.max_rcu >= 0 ? context.command.max_rcu : spec.max_rcu;
  config.seed = rng.next();
  config.patience = kPatience;
  config.sides = fmt::format("{} {} {} {} -> {} {}", source.endpoint(), described->arn, described->id,
                             base::micros_of(described->created), file_of(context.config.target.path), spec.target);
  // A table of SQLite may have any name; this one is of files.
  config.name = fmt::format("command-{:016x}", item::hash_of(spec.target, 0).high);
  watermark.emplace(*target, context.clock, context.log, spec.source,
                    described->stream_enabled ? described->stream_arn : "");
  co_await watermark->look();
  if (watermark->knows()) context.log.info("verify.beside_a_run", {{"table", spec.source}});
  verifier.emplace(std::move(config), source.dynamodb(), *target, *watermark, disk, context.state_worker, context.clock,
                   rng.fork(), context.log);
  base::TaskGroup group(context.executor);
  group.start(tick(context, spec.source, described->item_count, *verifier));
  const auto run = [](verify::Verifier& each, std::optional<verify::Report>& out) -> Task<Result<>> {
    Result<verify::Report> found = co_await each.run();
    if (!found) co_return fail(found.error());
    out = std::move(*found);
    co_return Result<>();
  };
  if (Result<> done = co_await group.run_beside(run(*verifier, counted.report)); !done) co_return done;
  tell(context, spec.source, *counted.report, watermark->told_by());
  co_return Result<>();
}

Task<Result<>> verify_tables(Context& context, Source& source, Targets& targets, base::Disk& disk,
                             std::vector<move::TableSpec> tables, base::Rng& rng, Totals& totals) {
  for (const move::TableSpec& spec : tables) {
    if (Result<> done = co_await verify_table(context, source, targets, disk, spec, rng, totals); !done) co_return done;
  }
  co_return Result<>();
}

Task<Result<>> drive(Context& context, Totals& totals, Ending& ending) {
  if (context.config.target.scheme == Scheme::File) {
    co_return fail(ErrorKind::Usage, "verify: a file cannot be compared; the target is a sqlite: file or a table");
  }
  base::Rng rng(random_seed());
  Result<std::unique_ptr<Source>> source =
      Source::connect(context.config.source, context.executor, context.clock, rng.fork(), context.log);
  if (!source) co_return fail(source.error());
  Result<std::vector<move::TableSpec>> tables =
      co_await expand_tables((*source)->dynamodb(), context.config.tables, context.config.target.scheme);
  if (!tables) co_return fail(tables.error());
  ending.tables = tables->size();
  const std::string folder = context.state_dir + "/verify/command";
  // One `verify` at a time in one state folder: they share the working files.
  Result<std::unique_ptr<state::RunLock>> lock = state::RunLock::take(folder);
  if (!lock) co_return fail(lock.error());
  Result<std::unique_ptr<state::PosixDisk>> disk = state::PosixDisk::open(folder);
  if (!disk) co_return fail(disk.error());
  // Reading needs no L, and sees items of either way.
  context.config.dynamodb_target.guarded = true;
  Result<std::unique_ptr<Targets>> targets =
      Targets::connect(context.config, context.target_worker, context.executor, context.clock, rng.fork(), context.log);
  if (!targets) co_return fail(targets.error());
  co_return co_await verify_tables(context, **source, **targets, **disk, *tables, rng, totals);
}

}  // namespace

Task<Ending> run_verify(Context context) {
  Ending ending;
  ending.tables = context.config.tables.size();
  ending.more = figures({});
  Totals totals;
  base::TaskGroup group(context.executor);
  group.start(stop_by_signal(context));
  ending.result = co_await group.run_beside(drive(context, totals, ending));
  ending.results = totals.results;
  const verify::Report& sum = totals.sum;
  ending.more = figures(sum);
  if (ending.result && (!sum.clean() || totals.too_hot)) {
    ending.result = fail(ErrorKind::Differences,
                         fmt::format("{} keys missing, {} extra, {} different, {} changing too fast to compare",
                                     sum.missing, sum.extra, sum.different, sum.hot));
  }
  co_return ending;
}

}  // namespace moveout::app
