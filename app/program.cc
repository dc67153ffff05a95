#include "app/program.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>

#include "app/cli.h"
#include "app/config.h"
#include "app/context.h"
#include "item/hash.h"
#include "net/thread_worker.h"

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// What a shell may have left wrong. Descriptors 0 to 2 that are closed would be given to the next file that is opened,
// and what is printed would land in it. A closed pipe or a file at its limit is an error of a write, not the process's
// end. Whether stdout was open.
bool put_process_in_order() {
  bool stdout_open = true;
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1) continue;
    if (descriptor == STDOUT_FILENO) stdout_open = false;
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY) == -1) std::abort();
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  return stdout_open;
}

bool wants_json(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json") return true;
  }
  return false;
}

bool to_stdout(const Command& command) { return command.to == "-" || command.to == "file:-"; }

// What a file is written as: as it is told, else by its name.
std::string format_of(const Command& command, const Url& target) {
  if (!command.format.empty()) return command.format;
  if (!target.option("format").empty()) return target.option("format");
  std::string_view path = target.path;
  for (std::string_view packed : {".gz", ".zst"}) {
    if (path.ends_with(packed)) path.remove_suffix(packed.size());
  }
  return path.ends_with(".json") ? "aws" : "lines";
}

// The move a command speaks of; an empty one for commands that name a state only.
Result<MoveConfig> config_of(Command& command) {
  if (!command.move_yaml.empty()) return read_move_yaml(command.move_yaml, command.settings);
  if (command.from.empty() || command.name.starts_with("export-")) return MoveConfig();
  if (command.name == "load") return config_of_load(command.from, command.to, command.table, command.settings);
  if (command.name == "scan") {
    // What `columns` would choose is of no use to a file.
    command.settings.push_back("tables.0.columns=none");
  }
  Result<MoveConfig> config = config_of_urls(command.from, command.to, command.settings);
  if (config && command.name == "scan" && config->target.scheme != Scheme::File) {
    return fail(ErrorKind::Usage, "scan: --to is a file, or - for stdout; use `copy` for a database");
  }
  if (config && command.name == "scan") config->target.options["format"] = format_of(command, config->target);
  return config;
}

std::string default_state_dir(const Command& command, const MoveConfig& config) {
  if (!command.state_dir.empty()) return command.state_dir;
  std::string name = config.name;
  // Several scans of one table into several files are several jobs.
  if (command.name == "scan") {
    name = "scan-" + (config.target.path == "-" ? name + "-" + std::to_string(::getpid())
                                                : std::filesystem::path(config.target.path).filename().string());
  }
  // A folder's name has at most 255 bytes.
  if (name.size() > 200) name = name.substr(0, 180) + fmt::format("-{:016x}", item::hash_of(name, 0).high);
  return ".moveout/" + name;
}

int check_config(const MoveConfig& config, Reporter& reporter) {
  base::json::array tables;
  std::string text = "move " + config.name + ": " + config.source.identity() + " -> " + config.target.identity() + "\n";
  for (const move::TableSpec& table : config.tables) {
    tables.push_back({{"name", table.source}, {"to", table.target}});
    text += "  " + table.source + (table.target.empty() ? "" : " -> " + table.target) + "\n";
  }
  reporter.emit({{"event", "config"}, {"move", config.name}, {"tables", tables}});
  reporter.say(text + "the file is well-formed; nothing was contacted");
  reporter.result(config.tables.size(), {});
  return 0;
}

Task<Ending> dispatch(Context context) {
  const std::string name = context.command.name;
  if (name == "run") return run_move(std::move(context), move::Job::Run);
  if (name == "copy" || name == "scan") return run_move(std::move(context), move::Job::Copy);
  if (name == "finish") return run_move(std::move(context), move::Job::Finish);
  if (name == "load") return run_load(std::move(context));
  if (name == "verify") return run_verify(std::move(context));
  if (name == "status") return run_status(std::move(context));
  if (name.starts_with("export-")) return run_export(std::move(context));
  return run_talk(std::move(context), name);
}

Task<Result<>> keep(Task<Ending> task, Ending& ending) {
  ending = co_await std::move(task);
  co_return Result<>();
}

std::string way_on(const Command& command, const base::Error& error, const std::string& state_dir) {
  if (error.kind == ErrorKind::Quarantine) return error.what + " (the state folder is " + state_dir + ")";
  if (error.kind != ErrorKind::Stopped || command.name == "status") return error.what;
  if (to_stdout(command)) return error.what + "; what went to stdout is not whole, the same command begins anew";
  return error.what + "; the same command goes on from here";
}

int run_command(Command& command, const Output& output) {
  net::SystemClock clock;
  StderrLog log(command.log_level);
  Reporter reporter(output, clock, log, command.name);
  std::string state_dir;
  const auto ended = [&](const base::Error& error, const Ending& ending) {
    reporter.error({error.kind, way_on(command, error, state_dir)});
    reporter.result(ending.tables, ending.results, ending.more);
    return base::exit_code_of(error.kind);
  };
  Result<MoveConfig> config = config_of(command);
  if (!config) return ended(config.error(), {});
  if (command.name == "config-check") return check_config(*config, reporter);
  state_dir = default_state_dir(command, *config);
  net::Runtime runtime;
  net::ThreadWorker state_worker("state");
  net::ThreadWorker target_worker("target");
  Ending ending;
  Context context{command, *config, state_dir, clock, log, reporter, runtime.executor(), state_worker, target_worker};
  Result<> ran = runtime.run(keep(dispatch(std::move(context)), ending));
  if (!ran) return ended(ran.error(), ending);
  if (!ending.result) return ended(ending.result.error(), ending);
  reporter.result(ending.tables, ending.results, ending.more);
  return 0;
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  const bool stdout_open = put_process_in_order();
  Output output;
  output.style = wants_json(argc, argv) ? Style::Json : Style::Plain;
  Result<Command> command = parse_command_line(argc, argv);
  if (command && to_stdout(*command)) output.stream = stderr;
  if (command && to_stdout(*command) && !stdout_open) {
    command = fail(ErrorKind::Usage, command->name + ": --to -: stdout is closed, so there is nowhere to write");
  }
  if (output.style == Style::Plain && ::isatty(::fileno(output.stream)) == 1) output.style = Style::Terminal;
  if (!command) {
    net::SystemClock clock;
    StderrLog log(base::LogLevel::Info);
    Reporter reporter(output, clock, log, argc > 1 ? argv[1] : "");
    reporter.error(command.error());
    reporter.result(0, {});
    return base::exit_code_of(command.error().kind);
  }
  if (command->name == "help") {
    std::fputs(command->help.c_str(), stdout);
    return 0;
  }
  if (command->name == "version") {
    std::printf("moveout %s\nsources: dynamodb, file; targets: sqlite, dynamodb, file\n", kVersion);
    return 0;
  }
  return run_command(*command, output);
}

}  // namespace moveout::app
