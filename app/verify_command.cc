// verify: both sides compared, beside a run or without one. Takes no run lock.
#include <fmt/format.h>

#include "app/context.h"
#include "app/listeners.h"
#include "app/session.h"
#include "base/task_group.h"
#include "verify/verifier.h"

namespace moveout::app {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// A difference is read again after this (product.md): what a run beside us has under way has landed by then.
constexpr base::Millis kReadAgainAfter{5000};

struct Totals {
  verify::Report sum;
  std::vector<move::TableResult> results;
};

Task<Result<>> tick(Context& context, std::string table, const verify::Verifier& verifier) {
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
    if (context.reporter.style() == Style::Terminal) {
      context.log.info("verify.progress",
                       {{"table", table}, {"source_items", at.source_items}, {"target_items", at.target_items}});
    }
  }
}

void tell(Context& context, const std::string& table, const verify::Report& report) {
  context.reporter.emit({{"event", "table_result"},
                         {"table", table},
                         {"phase", "verify"},
                         {"items", report.matched},
                         {"matched", report.matched},
                         {"missing", report.missing},
                         {"extra", report.extra},
                         {"different", report.different},
                         {"hot", report.hot},
                         {"consumed_rcu", report.consumed_rcu}});
  context.reporter.say(fmt::format("{}: {} equal, {} missing, {} extra, {} different{}, {:.0f} RCU", table,
                                   report.matched, report.missing, report.extra, report.different,
                                   report.hot > 0 ? fmt::format(", {} changing too fast to compare", report.hot) : "",
                                   report.consumed_rcu));
  for (std::size_t i = 0; i < report.first.size() && i < 10; ++i) {
    const verify::Difference& difference = report.first[i];
    const char* kind = difference.kind == verify::Difference::Kind::Missing ? "missing"
                       : difference.kind == verify::Difference::Kind::Extra ? "extra"
                                                                            : "different";
    context.log.warn("verify.difference",
                     {{"table", table}, {"key_hash", fmt::format("{:016x}", difference.key.hash())}, {"kind", kind}});
  }
}

Task<Result<>> verify_tables(Context& context, Source& source, Targets& targets, base::Disk& disk,
                             std::vector<move::TableSpec> tables, base::Rng& rng, Totals& totals) {
  for (const move::TableSpec& spec : tables) {
    context.reporter.phase(spec.source, move::Phase::Verify);
    Result<aws::TableDescription> described = co_await source.dynamodb().describe_table(spec.source);
    if (!described) co_return fail(described.error());
    std::unique_ptr<target::Target> target = targets.make(spec);
    Result<target::Opened> opened = co_await target->open_reader(target::Layout{spec.target, described->key, ""});
    if (!opened) co_return fail(opened.error());
    verify::Config config;
    config.table = spec.source;
    config.key = described->key;
    config.max_rcu = context.command.max_rcu >= 0 ? context.command.max_rcu : spec.max_rcu;
    config.seed = rng.next();
    config.patience = 2 * kReadAgainAfter;
    config.name = "command-" + spec.target;
    verify::FixedWait wait(context.clock, kReadAgainAfter);
    verify::Verifier verifier(std::move(config), source.dynamodb(), *target, wait, disk, context.state_worker,
                              context.clock, rng.fork(), context.log);
    base::TaskGroup group(context.executor);
    group.start(tick(context, spec.source, verifier));
    std::optional<verify::Report> report;
    const auto run = [](verify::Verifier& each, std::optional<verify::Report>& out) -> Task<Result<>> {
      Result<verify::Report> found = co_await each.run();
      if (!found) co_return fail(found.error());
      out = std::move(*found);
      co_return Result<>();
    };
    if (Result<> done = co_await group.run_beside(run(verifier, report)); !done) co_return done;
    if (Result<> done = co_await verifier.forget(); !done) co_return done;
    tell(context, spec.source, *report);
    totals.sum.matched += report->matched;
    totals.sum.missing += report->missing;
    totals.sum.extra += report->extra;
    totals.sum.different += report->different;
    totals.sum.hot += report->hot;
    move::TableResult result;
    result.table = spec.source;
    result.phase = move::Phase::Verify;
    result.items = report->matched;
    totals.results.push_back(std::move(result));
  }
  co_return Result<>();
}

}  // namespace

Task<Ending> run_verify(Context context) {
  Ending ending;
  ending.tables = context.config.tables.size();
  const auto ended = [&ending](base::Error error) { return ending.result = fail(std::move(error)), ending; };
  if (context.config.target.scheme != Scheme::Sqlite) {
    co_return ended({ErrorKind::Usage, "verify: a file cannot be compared; the target is a sqlite: file"});
  }
  base::Rng rng(random_seed());
  Result<std::unique_ptr<Source>> source =
      Source::connect(context.config.source, context.executor, context.clock, rng.fork(), context.log);
  if (!source) co_return ended(source.error());
  Result<std::vector<move::TableSpec>> tables =
      co_await expand_tables((*source)->dynamodb(), context.config.tables, Scheme::Sqlite);
  if (!tables) co_return ended(tables.error());
  ending.tables = tables->size();
  const std::string folder = context.state_dir + "/verify/command";
  // One `verify` at a time in one state folder: they share the working files.
  Result<std::unique_ptr<state::RunLock>> lock = state::RunLock::take(folder);
  if (!lock) co_return ended(lock.error());
  Result<std::unique_ptr<state::PosixDisk>> disk = state::PosixDisk::open(folder);
  if (!disk) co_return ended(disk.error());
  Targets targets(context.config.target, context.target_worker, context.executor, context.clock, context.log);
  Totals totals;
  base::TaskGroup group(context.executor);
  group.start(stop_by_signal(context));
  ending.result = co_await group.run_beside(verify_tables(context, **source, targets, **disk, *tables, rng, totals));
  ending.results = totals.results;
  const verify::Report& sum = totals.sum;
  ending.more = {{"matched", sum.matched},
                 {"missing", sum.missing},
                 {"extra", sum.extra},
                 {"different", sum.different},
                 {"hot", sum.hot}};
  if (ending.result && (!sum.clean() || sum.hot > 0)) {
    ending.result = fail(ErrorKind::Differences,
                         fmt::format("{} keys missing, {} extra, {} different, {} changing too fast to compare",
                                     sum.missing, sum.extra, sum.different, sum.hot));
  }
  co_return ending;
}

}  // namespace moveout::app
