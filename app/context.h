// Context: what every command gets from main.
#pragma once

#include <string>

#include "app/cli.h"
#include "app/config.h"
#include "app/reporter.h"
#include "app/stderr_log.h"
#include "base/worker.h"
#include "move/move.h"
#include "net/runtime.h"
#include "net/system_clock.h"

namespace moveout::app {

struct Context {
  const Command& command;
  MoveConfig config;
  std::string state_dir;
  net::SystemClock& clock;
  StderrLog& log;
  Reporter& reporter;
  base::Executor executor;
  base::Worker& state_worker;
  base::Worker& target_worker;
};

// What a command ends with: the closing event's figures, and the error if there was one.
struct Ending {
  base::Result<> result;
  std::size_t tables = 0;
  std::vector<move::TableResult> results;
  base::json::object more;  // further members of the closing event
};

base::Task<Ending> run_move(Context context, move::Job job);  // run, copy, scan, finish
base::Task<Ending> run_load(Context context);
base::Task<Ending> run_verify(Context context);
base::Task<Ending> run_status(Context context);
base::Task<Ending> run_export(Context context);  // request, wait, list, fetch
// word: "pause" or "resume".
base::Task<Ending> run_talk(Context context, std::string word);

}  // namespace moveout::app
