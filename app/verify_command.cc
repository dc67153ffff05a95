// verify: both sides compared, beside a run or without one. Takes no run lock.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "app/context.h"
#include "app/listeners.h"
#include "app/session.h"
#include "base/task_group.h"
#include "move/verification.h"

namespace moveout::app {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

json::object figures(const verify::Report& report) {
  return {{"matched", report.matched},        {"missing", report.missing}, {"extra", report.extra},
          {"different", report.different},    {"hot", report.hot},         {"expired", report.expired},
          {"quarantined", report.quarantined}};
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
    sum.quarantined += report.quarantined;
    too_hot |= move::too_hot(report);
    move::TableResult result;
    result.table = table;
    result.phase = move::Phase::Verify;
    result.items = report.matched;
    results.push_back(std::move(result));
  }
};

Task<Result<>> tick(Context& context, std::string table, const move::Verification& verification) {
  move::Snapshot shown;
  shown.phase = move::Phase::Verify;
  shown.total_items = static_cast<std::uint64_t>(verification.total_items());
  for (;;) {
    co_await context.clock.sleep_for(std::chrono::seconds(1));
    const verify::VerifyProgress at = verification.progress();
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
  if (report.quarantined > 0) text += fmt::format(", {} set aside by the run", report.quarantined);
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

// The state of the run, where it is at hand: what it has set aside is missing in the target by its doing. Whatever is
// wrong with it is the run's business; here it only means that nothing is known.
struct RunState {
  std::unique_ptr<state::SqliteStore> store;  // null: none
};

Task<RunState> look_for_run(Context& context, std::string urls) {
  RunState run;
  const std::string path = context.state_dir + "/state.db";
  std::error_code unseen;
  if (!std::filesystem::exists(path, unseen)) co_return run;
  Result<std::unique_ptr<state::SqliteStore>> store = co_await state::SqliteStore::open(context.state_worker, path);
  Result<std::optional<std::string>> known = store ? co_await move::urls_of(**store) : fail(store.error());
  if (!known) {
    context.log.warn("verify.without_state", {{"folder", context.state_dir}, {"why", known.error().what}});
  } else if (*known && (**known == urls || **known == urls + std::string(kWithVersions))) {
    run.store = std::move(*store);
  } else if (*known) {
    context.log.info("verify.state_of_another_move", {{"folder", context.state_dir}, {"moves", **known}});
  }
  co_return run;
}

// The file as it is now: another one of the same name is another target. Or the server.
std::string place_of(const Url& target, const Targets& targets) {
  if (target.scheme == Scheme::DynamoDb) return fmt::format("{} {}", target.identity(), targets.place());
  const std::string& path = target.path;
  struct ::stat file{};
  if (::stat(path.c_str(), &file) != 0) return path;
  return fmt::format("{} {}:{}", path, file.st_dev, file.st_ino);
}

// All of it outlives the work, so that what was done until a stop can be kept.
struct Stage {
  std::unique_ptr<Source> source;
  std::unique_ptr<state::RunLock> lock;
  std::unique_ptr<state::PosixDisk> disk;
  std::unique_ptr<Targets> targets;
  RunState run;
  std::string table;                                 // that is being verified
  std::unique_ptr<move::Verification> verification;  // of it
};

Task<Result<>> verify_table(Context& context, Stage& stage, move::TableSpec spec, base::Rng& rng, Totals& totals) {
  stage.table = spec.source;
  context.reporter.phase(stage.table, move::Phase::Verify);
  if (context.command.max_rcu >= 0) spec.max_rcu = context.command.max_rcu;
  std::unique_ptr<target::Target> target = stage.targets->make(spec);
  move::VerifySpec wanted{std::move(spec), stage.source->endpoint(), place_of(context.config.target, *stage.targets)};
  if (stage.source->is_aws()) wanted.difference_wait = move::Options().difference_wait;
  move::VerifySeams seams{context.clock, context.log,          stage.source->dynamodb(),
                          *stage.disk,   context.state_worker, stage.run.store.get()};
  stage.verification = std::make_unique<move::Verification>(std::move(wanted), seams, std::move(target), rng.fork());
  if (Result<> opened = co_await stage.verification->open(); !opened) co_return opened;
  verify::Report report;
  base::TaskGroup group(context.executor);
  group.start(tick(context, stage.table, *stage.verification));
  const auto run = [](move::Verification& each, verify::Report& out) -> Task<Result<>> {
    Result<verify::Report> found = co_await each.run();
    if (!found) co_return fail(found.error());
    out = std::move(*found);
    co_return Result<>();
  };
  if (Result<> done = co_await group.run_beside(run(*stage.verification, report)); !done) co_return done;
  totals.add(stage.table, report);
  tell(context, stage.table, report, stage.verification->told_by());
  stage.verification.reset();
  co_return Result<>();
}

// What was found of a table counts, and what was done is kept, also when its verification is stopped or fails.
Task<> keep_what_was_done(Context& context, Stage& stage, Totals& totals) {
  if (!stage.verification) co_return;
  totals.add(stage.table, stage.verification->so_far());
  if (Result<> kept = co_await stage.verification->keep(); !kept) {
    context.log.warn("verify.not_kept", {{"table", stage.table}, {"why", kept.error().what}});
  }
}

Task<Result<>> drive(Context& context, Stage& stage, Totals& totals, Ending& ending) {
  if (context.config.target.scheme == Scheme::File) {
    co_return fail(ErrorKind::Usage, "verify: a file cannot be compared; the target is a sqlite: file or a table");
  }
  base::Rng rng(random_seed());
  Result<std::unique_ptr<Source>> source =
      Source::connect(context.config.source, context.executor, context.clock, rng.fork(), context.log);
  if (!source) co_return fail(source.error());
  stage.source = std::move(*source);
  Result<std::vector<move::TableSpec>> tables =
      co_await expand_tables(stage.source->dynamodb(), context.config.tables, context.config.target.scheme);
  if (!tables) co_return fail(tables.error());
  ending.tables = tables->size();
  const std::string folder = context.state_dir + "/verify/command";
  // One `verify` at a time in one state folder: they share the working files.
  Result<std::unique_ptr<state::RunLock>> lock = state::RunLock::take(folder);
  if (!lock) co_return fail(lock.error());
  stage.lock = std::move(*lock);
  Result<std::unique_ptr<state::PosixDisk>> disk = state::PosixDisk::open(folder);
  if (!disk) co_return fail(disk.error());
  stage.disk = std::move(*disk);
  MoveConfig to = context.config;
  // Reading needs no L, and sees items of either way.
  to.dynamodb_target.guarded = true;
  Result<std::unique_ptr<Targets>> targets =
      Targets::connect(to, context.target_worker, context.executor, context.clock, rng.fork(), context.log);
  if (!targets) co_return fail(targets.error());
  stage.targets = std::move(*targets);
  context.config.dynamodb_target.guarded = false;
  stage.run = co_await look_for_run(context, urls_of(context.config, *stage.source, *stage.targets));
  for (const move::TableSpec& spec : *tables) {
    if (Result<> done = co_await verify_table(context, stage, spec, rng, totals); !done) co_return done;
  }
  co_return Result<>();
}

}  // namespace

Task<Ending> run_verify(Context context) {
  Ending ending;
  ending.tables = context.config.tables.size();
  ending.more = figures({});
  Totals totals;
  Stage stage;
  base::TaskGroup group(context.executor);
  group.start(stop_by_signal(context));
  ending.result = co_await group.run_beside(drive(context, stage, totals, ending));
  co_await keep_what_was_done(context, stage, totals);
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
