// status, pause, resume: talk to a move.
#include <filesystem>

#include "app/context.h"
#include "app/listeners.h"
#include "app/pages.h"
#include "state/run_lock.h"
#include "state/sqlite_store.h"

namespace moveout::app {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

Task<Result<json::object>> look(Context& context) {
  if (!std::filesystem::exists(context.state_dir + "/state.db")) {
    co_return fail(ErrorKind::Usage, context.state_dir + ": no move has begun in this state folder");
  }
  Result<int> holder = state::RunLock::holder(context.state_dir);
  if (!holder) co_return fail(holder.error());
  if (*holder != 0) {
    Result<json::object> answer = co_await ask_control(context.state_dir, "status");
    if (answer || answer.error().kind != ErrorKind::NotFound) co_return answer;
  }
  Result<std::unique_ptr<state::SqliteStore>> store =
      co_await state::SqliteStore::open(context.state_worker, context.state_dir + "/state.db");
  if (!store) co_return fail(store.error());
  Result<json::object> status = co_await status_of(**store);
  if (status) (*status)["running"] = *holder != 0;
  co_return status;
}

}  // namespace

Task<Ending> run_status(Context context) {
  Ending ending;
  Result<json::object> status = co_await look(context);
  if (!status) {
    ending.result = fail(status.error());
    co_return ending;
  }
  ending.tables = status->at("tables").as_array().size();
  for (const json::value& each : status->at("tables").as_array()) {
    const json::object& table = each.as_object();
    move::TableResult& result = ending.results.emplace_back();
    result.table = table.at("table").as_string();
    for (int phase = 0; phase <= static_cast<int>(move::Phase::Finish); ++phase) {
      if (table.at("phase").as_string() == move::name_of(static_cast<move::Phase>(phase)))
        result.phase = static_cast<move::Phase>(phase);
    }
  }
  json::object event = *status;
  event["event"] = "status";
  context.reporter.emit(std::move(event));
  context.reporter.say(status_text(*status));
  co_return ending;
}

Task<Ending> run_talk(Context context, std::string word) {
  Ending ending;
  Result<json::object> answer = co_await ask_control(context.state_dir, word);
  if (!answer) {
    ending.result = answer.error().kind == ErrorKind::NotFound
                        ? fail(ErrorKind::Usage, context.state_dir + ": no process is running this move")
                        : fail(answer.error());
    co_return ending;
  }
  context.reporter.say(word == "pause"
                           ? "paused: the back-fill asks for no more pages; changes are still captured and applied"
                           : "resumed");
  co_return ending;
}

}  // namespace moveout::app
