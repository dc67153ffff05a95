#include "app/stage.h"

#include <fcntl.h>
#include <unistd.h>

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;
namespace json = base::json;

namespace {

constexpr const char* kConfigRow = "config";

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

// A file of items that the state knows nothing of: its writer died before it could tell the state, and will write it
// anew.
Task<Result<>> drop_stale_quarantine(Stage& stage) {
  Result<state::Rows> rows = co_await stage.store->read("quarantine/");
  if (!rows) co_return fail(rows.error());
  Result<std::vector<std::string>> files = stage.quarantine->list();
  if (!files) co_return fail(files.error());
  for (const std::string& file : *files) {
    if (!rows->empty() || !file.starts_with("quarantine-")) continue;
    if (Result<> gone = stage.quarantine->remove(file); !gone) co_return gone;
  }
  co_return Result<>();
}

}  // namespace

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
  Result<std::unique_ptr<state::PosixDisk>> quarantine = state::PosixDisk::open(context.state_dir);
  if (!quarantine) co_return fail(quarantine.error());
  stage.quarantine = std::move(*quarantine);
  // Made closed to others before anything is written; what SQLite puts beside it takes its mode.
  const std::string path = context.state_dir + "/state.db";
  if (const int made = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); made >= 0) ::close(made);
  Result<std::unique_ptr<state::SqliteStore>> store = co_await state::SqliteStore::open(context.state_worker, path);
  if (!store) co_return fail(store.error());
  stage.store = std::move(*store);
  co_return co_await drop_stale_quarantine(stage);
}

Task<Result<>> keep_config(const MoveConfig& config, Stage& stage) {
  std::vector<state::Put> puts{{kConfigRow, config_row(config, stage.tables)}};
  return stage.store->commit(std::move(puts), {});
}

Task<Result<>> read_config(MoveConfig& config, Stage& stage) {
  Result<state::Rows> rows = co_await stage.store->read(kConfigRow);
  if (!rows) co_return fail(rows.error());
  co_return read_config_row(*rows, config);
}

}  // namespace moveout::app
