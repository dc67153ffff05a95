// run, copy, scan, finish: what drives a move.
#include <fmt/format.h>

#include <filesystem>

#include "app/context.h"
#include "app/listeners.h"
#include "app/session.h"
#include "base/task_group.h"

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;
namespace json = base::json;

namespace {

move::Options options_of(const Context& context, bool is_aws) {
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
  return options;
}

// What the state remembers of the two sides; another move's state is refused by it.
std::string urls_of(const Context& context, const Source& source, const Targets& targets) {
  const Url& from = context.config.source;
  std::string text = fmt::format("dynamodb://{}/{}", source.region(), from.table);
  if (!source.is_aws()) text += " at " + source.endpoint();
  text += " -> " + context.config.target.identity();
  const Url& to = context.config.target;
  if (!from.table.empty() && !to.table.empty()) text += "?table=" + to.table;
  if (!targets.place().empty()) text += " at " + targets.place();
  // What was begun with a version on every item goes on so.
  if (context.config.dynamodb_target.guarded) text += " (m3)";
  return text;
}

// One run of a move, with all it stands on; destroyed before the runtime.
struct Stage {
  std::unique_ptr<state::RunLock> lock;
  std::unique_ptr<state::PosixDisk> disk;
  std::unique_ptr<state::PosixDisk> journal_disk;
  std::unique_ptr<state::SqliteStore> store;
  std::unique_ptr<Source> source;
  std::unique_ptr<Targets> targets;
  std::vector<move::TableSpec> tables;
  std::unique_ptr<move::Move> move;
};

constexpr const char* kConfigRow = "config";

// What `finish --state DIR` needs to find the target again, as the same identity; nothing secret.
std::string config_row(const MoveConfig& config, const std::vector<move::TableSpec>& tables) {
  json::array names;
  for (const move::TableSpec& table : tables) names.push_back({{"source", table.source}, {"target", table.target}});
  return json::serialize(json::object{{"source", config.source.whole()},
                                      {"target", config.target.whole()},
                                      {"guarded", config.dynamodb_target.guarded},
                                      {"late_ms", config.dynamodb_target.late.value_or(base::Millis(-1)).count()},
                                      {"tables", std::move(names)}});
}

Result<> read_config_row(const state::Rows& rows, MoveConfig& config) {
  const auto row = rows.find(kConfigRow);
  if (row == rows.end())
    return fail(ErrorKind::Usage, "nothing was begun in this state folder; there is nothing to finish");
  Result<json::value> value = base::parse_json(row->second);
  if (!value) return fail(value.error());
  try {
    Result<Url> source = parse_url(std::string(value->at("source").as_string()));
    Result<Url> target = parse_url(std::string(value->at("target").as_string()));
    if (!source || !target) return fail(ErrorKind::Corrupt, "state: the config row holds no URL");
    config.source = std::move(*source);
    config.target = std::move(*target);
    // States of earlier versions had no such targets.
    if (const json::value* guarded = value->as_object().if_contains("guarded")) {
      config.dynamodb_target.guarded = guarded->as_bool();
      const base::Millis late(value->at("late_ms").as_int64());
      if (!config.dynamodb_target.late && late >= base::Millis(0)) config.dynamodb_target.late = late;
    }
    config.tables.clear();
    for (const json::value& each : value->at("tables").as_array()) {
      move::TableSpec table;
      table.source = std::string(each.at("source").as_string());
      table.target = std::string(each.at("target").as_string());
      config.tables.push_back(std::move(table));
    }
  } catch (const std::exception&) {
    return fail(ErrorKind::Corrupt, "state: the config row is damaged");
  }
  return {};
}

Task<Result<>> open_state(Context& context, Stage& stage) {
  Result<std::unique_ptr<state::RunLock>> lock = state::RunLock::take(context.state_dir);
  if (!lock) co_return fail(lock.error());
  stage.lock = std::move(*lock);
  Result<std::unique_ptr<state::PosixDisk>> disk = state::PosixDisk::open(context.state_dir + "/verify");
  if (!disk) co_return fail(disk.error());
  stage.disk = std::move(*disk);
  disk = state::PosixDisk::open(context.state_dir + "/journal");
  if (!disk) co_return fail(disk.error());
  stage.journal_disk = std::move(*disk);
  Result<std::unique_ptr<state::SqliteStore>> store =
      co_await state::SqliteStore::open(context.state_worker, context.state_dir + "/state.db");
  if (!store) co_return fail(store.error());
  stage.store = std::move(*store);
  co_return Result<>();
}

Task<Result<>> set_stage(Context& context, Stage& stage, base::Rng& rng, move::Job job) {
  if (Result<> opened = co_await open_state(context, stage); !opened) co_return opened;
  if (job == move::Job::Finish) {
    Result<state::Rows> rows = co_await stage.store->read(kConfigRow);
    if (!rows) co_return fail(rows.error());
    if (Result<> read = read_config_row(*rows, context.config); !read) co_return read;
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
  co_return Result<>();
}

}  // namespace

Task<Ending> run_move(Context context, move::Job job) {
  Stage stage;
  Ending ending;
  ending.tables = context.config.tables.size();
  base::Rng rng(random_seed());
  if (Result<> set = co_await set_stage(context, stage, rng, job); !set) {
    ending.result = set;
    co_return ending;
  }
  ending.tables = stage.tables.size();
  if (job != move::Job::Finish) {
    std::vector<state::Put> puts{{kConfigRow, config_row(context.config, stage.tables)}};
    ending.result = co_await stage.store->commit(std::move(puts), {});
    if (!ending.result) co_return ending;
  }
  move::Seams seams{context.clock, context.log,         stage.source->dynamodb(), stage.source->streams(), *stage.store,
                    *stage.disk,   *stage.journal_disk, context.state_worker,     context.reporter};
  Targets& targets = *stage.targets;
  stage.move = std::make_unique<move::Move>(
      job == move::Job::Finish ? std::string() : urls_of(context, *stage.source, *stage.targets), random_run_id(),
      stage.tables, options_of(context, stage.source->is_aws()), seams,
      [&targets](const move::TableSpec& table) { return targets.make(table); }, rng.fork());
  if (job == move::Job::Copy && context.command.name == "copy") {
    context.reporter.notice(
        "",
        "copy captures nothing: what is written to the table meanwhile may be missed; `run` moves a "
        "table that is written to");
  }
  base::TaskGroup group(context.executor);
  group.start(context.reporter.tick(*stage.move));
  group.start(stop_by_signal(context));
  group.start(serve_control(context, *stage.move));
  if (job == move::Job::Run && !context.config.admin_listen.empty()) group.start(serve_admin(context, *stage.move));
  ending.result = co_await group.run_beside(stage.move->run(job));
  context.reporter.progress(*stage.move);
  ending.results = stage.move->results();
  // A complete file needs no memory of how it came to be; the next scan of the same name begins anew.
  if (ending.result && context.command.name == "scan" && context.command.state_dir.empty()) {
    stage.move.reset();
    stage.targets.reset();
    stage.store.reset();
    stage.disk.reset();
    stage.journal_disk.reset();
    stage.lock.reset();
    std::error_code left_behind;
    std::filesystem::remove_all(context.state_dir, left_behind);
    if (left_behind)
      context.log.warn("scan.state_stays", {{"folder", context.state_dir}, {"why", left_behind.message()}});
  }
  co_return ending;
}

}  // namespace moveout::app
