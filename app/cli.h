// The command line: words and flags to a Command. Wrong ones are Usage errors, never exits from within.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace moveout::app {

// What `export …` is told beside --from and --to.
struct ExportFlags {
  std::string arn;  // --export
  std::string time, since, until;
  std::string view = "NEW_AND_OLD_IMAGES";
  std::string format = "DYNAMODB_JSON";
  std::string sse, kms_key, bucket_owner, client_token;
  bool enable_pitr = false;
  bool wait = false;
};

struct Command {
  std::string name;  // run copy scan load verify status pause resume finish export-… config-check version help
  std::string from, to;
  std::string move_yaml;
  std::string state_dir;
  std::string format;      // scan: aws | lines | empty = by suffix
  std::string help;        // with name "help": the text
  ExportFlags exports;     // run too: arn
  std::string backfill;    // run: scan | export | empty = as configured
  std::string table, key;  // load
  bool chain = false;      // load
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
