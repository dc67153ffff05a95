// load: a file of items, or whatever load_files.cc knows, into a target.
#include "app/listeners.h"
#include "app/load_files.h"
#include "app/stage.h"
#include "base/task_group.h"
#include "move/load.h"

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

Result<item::KeyAttribute> key_attribute(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::string_view type = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (colon == 0 || type.size() != 1 || std::string_view("SNB").find(type) == std::string_view::npos) {
    return fail(ErrorKind::Usage, "--key " + std::string(text) + ": expected NAME:S, NAME:N or NAME:B");
  }
  return item::KeyAttribute{std::string(text.substr(0, colon)), static_cast<item::KeyType>(type[0])};
}

// "pk:S" or "pk:S,sk:N"; nothing for an empty text.
Result<std::optional<item::KeySchema>> key_of(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const std::size_t comma = text.find(',');
  Result<item::KeyAttribute> partition = key_attribute(text.substr(0, comma));
  if (!partition) return fail(partition.error());
  item::KeySchema key{std::move(*partition), std::nullopt};
  if (comma != std::string_view::npos) {
    Result<item::KeyAttribute> sort = key_attribute(text.substr(comma + 1));
    if (!sort) return fail(sort.error());
    if (sort->name == key.partition.name) return fail(ErrorKind::Usage, "--key: two attributes of one name");
    key.sort = std::move(*sort);
  }
  return key;
}

std::string load_urls(const Context& context, const Targets& targets, const std::string& table) {
  const MoveConfig& config = context.config;
  std::string text = config.source.identity() + " -> " + config.target.identity();
  if (config.target.scheme != Scheme::DynamoDb) text += "?table=" + table;
  if (!targets.place().empty()) text += " at " + targets.place();
  if (config.dynamodb_target.guarded) text += " (m3)";
  return text;
}

Task<Result<>> connect_targets(Context& context, Stage& stage, base::Rng& rng) {
  Result<std::unique_ptr<Targets>> targets =
      Targets::connect(context.config, context.target_worker, context.executor, context.clock, rng.fork(), context.log);
  if (!targets) co_return fail(targets.error());
  stage.targets = std::move(*targets);
  co_return Result<>();
}

Task<Result<>> load(Context& context, Stage& stage, LoadFiles& files, base::Rng& rng, Ending& ending) {
  Result<std::optional<item::KeySchema>> key = key_of(context.command.key);
  if (!key) co_return fail(key.error());
  Result<LoadFiles> opened = co_await LoadFiles::open(context, rng);
  if (!opened) co_return fail(opened.error());
  files = std::move(*opened);
  Result<backfill::FilesKnown> known = co_await files.begin();
  if (!known) co_return fail(known.error());
  move::TableSpec& table = context.config.tables[0];
  if (table.target.empty()) table.target = known->table;
  if (table.target.empty()) {
    co_return fail(ErrorKind::Usage,
                   "load: into which table? Nothing names it: give --table NAME, or ?table=NAME in the target's URL");
  }
  table.source = table.target;
  if (Result<> fits = check_target_name(context.config.target.scheme, table.target); !fits) co_return fits;
  if (Result<> state = co_await open_state(context, stage); !state) co_return state;
  if (Result<> connected = co_await connect_targets(context, stage, rng); !connected) co_return connected;
  stage.tables = {table};
  ending.tables = 1;
  if (Result<> kept = co_await keep_config(context.config, stage); !kept) co_return kept;

  move::LoadSpec spec{table.target, std::move(*key), table.infer_columns, files.at_once,
                      context.command.accept_quarantine};
  if (context.config.target.scheme == Scheme::DynamoDb) spec.infer_columns = false;
  move::LoadSeams seams{context.clock,     context.log,          *stage.store,
                        *stage.quarantine, context.state_worker, context.reporter};
  auto owned = std::make_unique<move::Load>(load_urls(context, *stage.targets, table.target), random_run_id(),
                                            std::move(spec), seams, files.source.get(), std::move(*known),
                                            stage.targets->make(table), rng.fork());
  move::Load& work = *owned;
  stage.work = std::move(owned);
  base::TaskGroup group(context.executor);
  group.start(context.reporter.tick(work));
  group.start(serve_control(context, work));
  co_return co_await group.run_beside(work.run(move::LoadJob::Load));
}

}  // namespace

Task<Result<>> finish_load(Context& context, Stage& stage, base::Rng& rng) {
  if (context.config.tables.size() != 1) co_return fail(ErrorKind::Corrupt, "state: a load of one table was expected");
  const move::TableSpec& table = context.config.tables[0];
  if (Result<> connected = co_await connect_targets(context, stage, rng); !connected) co_return connected;
  move::LoadSeams seams{context.clock,     context.log,          *stage.store,
                        *stage.quarantine, context.state_worker, context.reporter};
  auto owned =
      std::make_unique<move::Load>("", random_run_id(), move::LoadSpec{table.target, {}, false, 1, false}, seams,
                                   nullptr, backfill::FilesKnown{}, stage.targets->make(table), rng.fork());
  move::Load& work = *owned;
  stage.work = std::move(owned);
  co_return co_await work.run(move::LoadJob::Finish);
}

Task<Ending> run_load(Context context) {
  LoadFiles files;
  auto stage = std::make_unique<Stage>();
  Ending ending;
  base::Rng rng(random_seed());
  base::TaskGroup group(context.executor);
  group.start(stop_by_signal(context));
  ending.result = co_await group.run_beside(load(context, *stage, files, rng, ending));
  if (stage->work) {
    context.reporter.progress(*stage->work);
    ending.results = stage->work->results();
  }
  co_return ending;
}

}  // namespace moveout::app
