// The command line: words and flags to a Command. Wrong ones are Usage errors, never exits from within.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace moveout::app {

struct Command {
  std::string name;  // run copy scan verify status pause resume finish config-check version help
  std::string from, to;
  std::string move_yaml;
  std::string state_dir;
  std::string format;  // scan: aws | lines | empty = by suffix
  std::string help;    // with name "help": the text
  std::vector<std::string> settings;
  double max_rcu = -1;  // -1: as configured
  bool until_in_sync = false;
  bool json = false;
  bool enable_stream = true;
  bool new_backfill = false;
  bool accept_quarantine = false;
  base::LogLevel log_level = base::LogLevel::Info;
};

inline constexpr const char* kVersion = "0.1.0";

base::Result<Command> parse_command_line(int argc, const char* const* argv);

}  // namespace moveout::app
