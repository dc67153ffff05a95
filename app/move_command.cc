// run, copy, scan, finish: what drives a move.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "app/context.h"
#include "app/listeners.h"
#include "app/run_export.h"
#include "app/session.h"
#include "app/stage.h"
#include "base/task_group.h"

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;
namespace json = base::json;

namespace {

// What one table's back-fill or verify holds at most for each segment under way: a page of DynamoDB JSON in hand and
// what is read ahead (backfill/scan_backfill.cc). Beside it the program itself with SQLite's caches.
constexpr std::int64_t kWorkerMb = 4;
constexpr std::int64_t kProgramMb = 40;
constexpr std::int64_t kWorkersMax = 8;

Result<move::Options> options_of(const Context& context, bool is_aws, std::size_t tables) {
  const Command& command = context.command;
  move::Options options;
  options.until_in_sync = command.until_in_sync;
  options.finish_when_copied = command.name == "scan";
  options.new_backfill = command.new_backfill;
  options.accept_quarantine = command.accept_quarantine;
  options.enable_stream = command.enable_stream && context.config.enable_stream;
  options.ttl_deletes = context.config.ttl_deletes;
  options.tip_wait = context.config.tip_wait.value_or(is_aws ? base::Millis(30000) : base::Millis(1000));
  options.tip_pages = is_aws ? 5 : 2;
  options.short_pages_tell = !is_aws;
  options.note_applied_every = is_aws ? base::Millis(5000) : base::Millis(1000);
  // DescribeStream hides child shards for minutes on AWS only.
  options.difference_wait = is_aws ? base::Millis(600000) : base::Millis(20000);
  options.discover_every = is_aws ? base::Millis(10000) : base::Millis(1000);
  const auto count = static_cast<std::int64_t>(std::max<std::size_t>(tables, 1));
  const std::int64_t each = (context.config.memory_mb - kProgramMb) / kWorkerMb / count;
  if (each < 1 && command.name != "finish") {
    return fail(
        ErrorKind::Usage,
        fmt::format("limits.memory_mb: {} MB are too few for {} tables side by side: give {}, or move fewer at once",
                    context.config.memory_mb, count, kProgramMb + kWorkerMb * count));
  }
  options.workers = static_cast<int>(std::clamp<std::int64_t>(each, 1, kWorkersMax));
  return options;
}

// Where the back-fill is by export: one for each table.
Task<Result<>> set_exports(Context& context, Stage& stage, base::Rng& rng) {
  const Command& command = context.command;
  const std::string wanted = command.exports.arn.empty() ? context.config.exports.arn : command.exports.arn;
  const bool by_export = command.backfill.empty() ? context.config.backfill_by_export || !command.exports.arn.empty()
                                                  : command.backfill == "export";
  if (!by_export) co_return Result<>();
  if (!wanted.empty() && stage.tables.size() != 1) {
    co_return fail(ErrorKind::Usage, "--export names the export of one table, and this move has several");
  }
  std::vector<state::Put> forgotten;
  for (move::TableSpec& table : stage.tables) {
    forgotten.push_back({"export/" + table.source, std::nullopt});
    stage.files.push_back(std::make_unique<RunExport>(
        table.source, context.config.source, context.config.exports, wanted, context.state_dir,
        RunExport::Seams{context.executor, context.clock, context.log, *stage.store, context.reporter}, rng.fork()));
    table.files = stage.files.back().get();
  }
  // A new era is not filled from the export of the one before.
  if (!command.new_backfill) co_return Result<>();
  co_return co_await stage.store->commit(std::move(forgotten), {});
}

Task<Result<>> set_stage(Context& context, Stage& stage, base::Rng& rng, move::Job job) {
  if (job == move::Job::Finish && !std::filesystem::exists(context.state_dir + "/state.db")) {
    co_return fail(ErrorKind::Usage, context.state_dir + ": no move has begun in this state folder");
  }
  if (Result<> opened = co_await open_state(context, stage); !opened) co_return opened;
  if (job == move::Job::Finish) {
    if (Result<> read = co_await read_config(context.config, stage); !read) co_return read;
    if (context.config.source.scheme != Scheme::DynamoDb) co_return Result<>();
  }
  if (job == move::Job::Run && context.config.target.scheme == Scheme::File) {
    co_return fail(ErrorKind::Usage, "run: a file cannot take changes; use `scan` for a file, or a sqlite: target");
  }
  Result<std::unique_ptr<Source>> source =
      Source::connect(context.config.source, context.executor, context.clock, rng.fork(), context.log);
  if (!source) co_return fail(source.error());
  stage.source = std::move(*source);
  Result<std::vector<move::TableSpec>> tables =
      co_await expand_tables(stage.source->dynamodb(), context.config.tables, context.config.target.scheme);
  if (!tables) co_return fail(tables.error());
  stage.tables = std::move(*tables);
  if (context.command.max_rcu >= 0) {
    for (move::TableSpec& table : stage.tables) table.max_rcu = context.command.max_rcu;
  }
  Result<std::unique_ptr<Targets>> targets =
      Targets::connect(context.config, context.target_worker, context.executor, context.clock, rng.fork(), context.log);
  if (!targets) co_return fail(targets.error());
  stage.targets = std::move(*targets);
  if (job == move::Job::Run) co_return co_await set_exports(context, stage, rng);
  co_return Result<>();
}

Task<Result<>> drive(Context& context, Stage& stage, base::Rng& rng, move::Job job, Ending& ending) {
  if (Result<> set = co_await set_stage(context, stage, rng, job); !set) co_return set;
  if (!stage.source) co_return co_await finish_load(context, stage, rng);
  ending.tables = stage.tables.size();
  Result<move::Options> options = options_of(context, stage.source->is_aws(), stage.tables.size());
  if (!options) co_return fail(options.error());
  if (job != move::Job::Finish) {
    if (Result<> kept = co_await keep_config(context.config, stage); !kept) co_return kept;
  }
  move::Seams seams{context.clock,        context.log,     stage.source->dynamodb(), stage.source->streams(),
                    *stage.store,         *stage.disk,     *stage.journal_disk,      *stage.quarantine,
                    context.state_worker, context.reporter};
  Targets& targets = *stage.targets;
  auto move = std::make_unique<move::Move>(
      job == move::Job::Finish ? std::string() : urls_of(context.config, *stage.source, *stage.targets),
      random_run_id(), stage.tables, *options, seams,
      [&targets](const move::TableSpec& table) { return targets.make(table); }, rng.fork());
  move::Move& moving = *move;
  stage.work = std::move(move);
  if (job == move::Job::Copy && context.command.name == "copy") {
    context.reporter.notice(
        "",
        "copy captures nothing: what is written to the table meanwhile may be missed; `run` moves a "
        "table that is written to");
  }
  base::TaskGroup group(context.executor);
  group.start(context.reporter.tick(moving));
  group.start(serve_control(context, moving));
  if (job == move::Job::Run && !context.config.admin_listen.empty()) group.start(serve_admin(context, moving));
  co_return co_await group.run_beside(moving.run(job));
}

// Whether the state of a `scan` has done its work: a complete file needs no memory of how it came to be, and the next
// scan of the same name begins anew. What went to stdout cannot be gone on with in any case.
bool is_spent(const Context& context, const Ending& ending) {
  if (context.command.name != "scan" || !context.command.state_dir.empty()) return false;
  const auto aside = [](const move::TableResult& table) { return table.quarantined > 0; };
  if (std::ranges::any_of(ending.results, aside)) return false;  // the quarantine file is in it
  return ending.result || context.config.target.path == "-";
}

}  // namespace

Task<Ending> run_move(Context context, move::Job job) {
  auto stage = std::make_unique<Stage>();
  Ending ending;
  ending.tables = context.config.tables.size();
  base::Rng rng(random_seed());
  base::TaskGroup group(context.executor);
  group.start(stop_by_signal(context));
  ending.result = co_await group.run_beside(drive(context, *stage, rng, job, ending));
  if (stage->work) {
    context.reporter.progress(*stage->work);
    ending.results = stage->work->results();
  }
  if (stage->lock && is_spent(context, ending)) {
    stage.reset();
    std::error_code left_behind;
    std::filesystem::remove_all(context.state_dir, left_behind);
    if (left_behind)
      context.log.warn("scan.state_stays", {{"folder", context.state_dir}, {"why", left_behind.message()}});
  }
  co_return ending;
}

}  // namespace moveout::app
