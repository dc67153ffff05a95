// Environment: what credentials and endpoints are read from, given from outside so that tests and the simulator decide.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/task.h"
#include "base/worker.h"

namespace moveout::aws {

struct Environment {
  std::map<std::string, std::string> vars;
  // contract: the whole file. NotFound when it does not exist.
  std::function<base::Result<std::string>(const std::string& path)> read_file;
  // contract: the file holds this text, whole or as before, readable by this user only. An error, which quotes none of
  // it, otherwise.
  std::function<base::Result<>(const std::string& path, const std::string& text)> write_file;
  // contract: runs a program (looked up in PATH) without a shell and returns what it wrote to stdout; its stderr goes
  // nowhere. An error, which quotes no output, when it cannot be started, fails, or takes longer.
  std::function<base::Task<base::Result<std::string>>(std::vector<std::string> argv, base::Millis time_limit)> run;

  // Empty when not set: AWS SDKs take an empty variable for an absent one.
  std::string get(const std::string& name) const;
  // "true" in any case.
  bool flag(const std::string& name) const;
};

// The process's own: variables as they are now, files, programs run on `worker`, which outlives every call.
Environment system_environment(base::Worker& worker, base::Clock& clock);

// Blocking. At most 64 KB of output; past `time_limit` the program and its children are killed.
base::Result<std::string> run_program(const std::vector<std::string>& argv, base::Millis time_limit,
                                      const base::Clock& clock);

// A command line cut as a POSIX shell cuts it: blanks, quotes, backslashes; nothing is expanded. Usage for an open
// quote and for an empty line.
base::Result<std::vector<std::string>> split_command(std::string_view line);

}  // namespace moveout::aws
