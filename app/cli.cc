#include "app/cli.h"

#include <CLI/CLI.hpp>

#include <charconv>
#include <map>

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;

namespace {

// Flags whose other values belong to later versions: said so, instead of "unknown".
struct Later {
  std::string retain = "local";
  std::string file;
};

void add_common(CLI::App& app, Command& command) {
  app.add_option("--state", command.state_dir, "Folder that remembers the move (default .moveout/<move name>)");
  app.add_option("--max-rcu", command.max_rcu, "Ceiling of read capacity units a second on the source (0: none)")
      ->check([](const std::string& text) {
        double value = -1;
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool good = ec == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 1e9;
        return good ? std::string() : "a number of at least 0 is expected, not \"" + text + "\"";
      });
  app.add_option("--set", command.settings, "key.key=value: overrides a setting of move.yaml")->take_all();
  app.add_flag("--json", command.json, "One JSON object a line on stdout");
  app.add_option_function<std::string>(
         "--log-level",
         [&command](const std::string& word) {
           command.log_level = word == "debug"   ? base::LogLevel::Debug
                               : word == "warn"  ? base::LogLevel::Warn
                               : word == "error" ? base::LogLevel::Error
                                                 : base::LogLevel::Info;
         },
         "debug | info | warn | error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  app.add_flag("!--no-enable-stream", command.enable_stream, "Refuse to switch a stream on when the table has none");
}

void add_sides(CLI::App& app, Command& command, const char* to) {
  app.add_option("--from", command.from, "dynamodb://REGION/TABLE");
  app.add_option("--to", command.to, to);
}

CLI::App* add(CLI::App& app, Command& command, const std::string& name, const char* words) {
  CLI::App* sub = app.add_subcommand(name, words);
  sub->callback([&command, name] { command.name = name; });
  add_common(*sub, command);
  return sub;
}

void add_export(CLI::App& app, Command& command) {
  CLI::App* exports = app.add_subcommand("export", "Exports to S3: request | wait | list | fetch");
  exports->require_subcommand(1);
  ExportFlags& flags = command.exports;
  const auto add_one = [&](const std::string& word, const char* words) {
    CLI::App* sub = exports->add_subcommand(word, words);
    sub->callback([&command, word] { command.name = "export-" + word; });
    add_common(*sub, command);
    sub->add_option("--from", command.from, "dynamodb://REGION/TABLE")->required();
    return sub;
  };
  CLI::App* request = add_one("request", "Asks DynamoDB for an export, full or of a window");
  request->add_option("--to", command.to, "s3://BUCKET/PREFIX")->required();
  request->add_option("--time", flags.time, "full: of that time (default: now), for instance 2026-11-25T10:00:00Z");
  request->add_option("--since", flags.since, "incremental: changes from that time (inclusive)");
  request->add_option("--until", flags.until, "incremental: up to that time (exclusive; default: now)");
  request->add_option("--view", flags.view, "incremental: images")
      ->check(CLI::IsMember({"NEW_IMAGE", "NEW_AND_OLD_IMAGES"}));
  request->add_option("--format", flags.format, "of the files")->check(CLI::IsMember({"DYNAMODB_JSON", "ION"}));
  request->add_option("--sse", flags.sse, "encryption of the files")->check(CLI::IsMember({"AES256", "KMS"}));
  request->add_option("--kms-key", flags.kms_key, "with --sse KMS: its id or ARN");
  request->add_option("--bucket-owner", flags.bucket_owner, "the account of a bucket that is another's");
  request->add_option("--client-token", flags.client_token, "the same token again is the same export");
  request->add_flag("--enable-pitr", flags.enable_pitr, "Switch point-in-time recovery on where it is off (it costs)");
  request->add_flag("--wait", flags.wait, "Until it is complete");
  CLI::App* wait = add_one("wait", "Until an export is complete, or failed");
  wait->add_option("--export", flags.arn, "its ARN (default: the table's latest)");
  add_one("list", "The exports of a table, of the last 90 days");
  CLI::App* fetch = add_one("fetch", "Copies an export to a folder, every MD5 verified");
  fetch->add_option("--to", command.to, "DIR")->required();
  fetch->add_option("--export", flags.arn, "its ARN (default: the table's latest that is complete)");
}

Result<> check(const Command& command, const Later& later) {
  const auto usage = [](std::string what) { return fail(ErrorKind::Usage, std::move(what)); };
  const bool sides = !command.from.empty() || !command.to.empty();
  const bool moves = command.name == "run" || command.name == "copy" || command.name == "verify";
  if (moves && sides == !command.move_yaml.empty()) {
    return usage(command.name + ": give either --from URL --to URL or a MOVE.yaml");
  }
  if ((moves || command.name == "scan") && sides && (command.from.empty() || command.to.empty())) {
    return usage(command.name + ": --from and --to belong together");
  }
  if (command.name == "load" && (command.from.empty() || command.to.empty())) {
    return usage("load: --from FILE --to URL are needed");
  }
  if (command.name == "scan" && !sides) return usage("scan: --from URL --to FILE are needed");
  const bool talks =
      command.name == "status" || command.name == "pause" || command.name == "resume" || command.name == "finish";
  if (talks && command.state_dir.empty() && command.move_yaml.empty()) {
    return usage(command.name + ": give --state DIR or a MOVE.yaml");
  }
  if (command.backfill == "file" || command.backfill == "none" || !later.file.empty()) {
    return usage("--backfill " + (command.backfill.empty() ? "file" : command.backfill) +
                 ": this version back-fills by scan or export");
  }
  if (command.name == "run" && command.backfill == "scan" && !command.exports.arn.empty()) {
    return usage("--export goes with --backfill export");
  }
  if (later.retain != "local") {
    return usage("--retain " + later.retain +
                 ": this version replays changes as they are read and keeps none elsewhere: only local");
  }
  return {};
}

}  // namespace

Result<Command> parse_command_line(int argc, const char* const* argv) {
  Command command;
  Later later;
  CLI::App app("moveout: moves live DynamoDB tables to another database, consistently and without downtime", "moveout");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("moveout ") + kVersion);
  std::string until;

  CLI::App* run = add(app, command, "run", "The whole move: capture, back-fill, replay, verify, in sync, following");
  add_sides(*run, command, "sqlite:FILE");
  run->add_option("move_yaml", command.move_yaml, "MOVE.yaml");
  run->add_option("--until", until, "in-sync: exit once in sync")->check(CLI::IsMember({"in-sync"}));
  run->add_option("--backfill", command.backfill, "scan | export (no read capacity for the copy; docs/exports.md)")
      ->check(CLI::IsMember({"scan", "export", "file", "none"}));
  run->add_option("--retain", later.retain, "local");
  run->add_option("--export", command.exports.arn, "An export that stands already: its ARN, s3://…, or a folder");
  run->add_option("--file", later.file, "(a later version)");
  run->add_flag("--new-backfill", command.new_backfill, "Copy the table again, as a new era");
  run->add_flag("--accept-quarantine", command.accept_quarantine, "In sync in spite of items the target cannot hold");

  CLI::App* copy = add(app, command, "copy", "The back-fill alone, for a table nobody writes to: nothing is captured");
  add_sides(*copy, command, "sqlite:FILE");
  copy->add_option("move_yaml", command.move_yaml, "MOVE.yaml");
  copy->add_flag("--accept-quarantine", command.accept_quarantine, "Done in spite of items the target cannot hold");

  CLI::App* scan = add(app, command, "scan", "Table to a file: as the AWS CLI writes it, or JSON lines");
  add_sides(*scan, command,
            "FILE.json[.gz|.zst] (as `aws dynamodb scan`), FILE.jsonl[.gz|.zst] (lines), or - for stdout");
  scan->add_option("--format", command.format, "aws | lines (default: by the name's end; lines for -)")
      ->check(CLI::IsMember({"aws", "lines"}));
  scan->add_flag("--accept-quarantine", command.accept_quarantine, "Done in spite of items that cannot be understood");

  CLI::App* load =
      add(app, command, "load", "Files of items into a target: what the AWS CLI wrote, JSON lines, an export");
  load->add_option("--from", command.from,
                   "FILE[.gz|.zst], - for standard input, or an export: DIR, s3://BUCKET/PREFIX, its ARN");
  load->add_option("--to", command.to, "sqlite:FILE[?table=NAME] or dynamodb://REGION/TABLE");
  load->add_option("--table", command.table, "The target table's name, where --to does not say it");
  load->add_option("--key", command.key, "NAME:S|N|B[,NAME:S|N|B]: the key, where the target has no such table yet");
  load->add_flag("--chain", command.chain, "A full export and its windows, or windows alone, in their order");
  load->add_flag("--accept-quarantine", command.accept_quarantine, "Done in spite of items the target cannot hold");

  CLI::App* verify = add(app, command, "verify", "Both sides compared, item by item");
  add_sides(*verify, command, "sqlite:FILE");
  verify->add_option("move_yaml", command.move_yaml, "MOVE.yaml");

  for (const auto& [name, words] : std::map<std::string, const char*>{
           {"status", "What a move is doing, or where it stopped"},
           {"pause", "The running back-fill asks for no more pages (changes are still captured)"},
           {"resume", "Ends a pause"},
           {"finish", "Removes what moveout added to the target"}}) {
    add(app, command, name, words)->add_option("move_yaml", command.move_yaml, "MOVE.yaml");
  }
  add_export(app, command);
  CLI::App* config = app.add_subcommand("config", "Looks at a move.yaml");
  config->require_subcommand(1);
  CLI::App* config_check = config->add_subcommand("check", "Says what a move.yaml would do, or what is wrong with it");
  add_common(*config_check, command);
  config_check->add_option("move_yaml", command.move_yaml, "MOVE.yaml")->required();
  config_check->callback([&command] { command.name = "config-check"; });
  CLI::App* version = app.add_subcommand("version", "The version and what it was built with");
  version->add_flag("--json", command.json, "(no difference)");
  version->callback([&command] { command.name = "version"; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    command.name = "help";
    command.help = app.help();
    for (const CLI::App* sub : app.get_subcommands()) {
      command.help = sub->help();
      for (const CLI::App* word : sub->get_subcommands()) command.help = word->help();
    }
    return command;
  } catch (const CLI::CallForVersion&) {
    command.name = "version";
    return command;
  } catch (const CLI::ParseError& e) {
    const bool unknown = argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty();
    const std::string which = unknown ? "unknown command \"" + std::string(argv[1]) + "\"" : std::string(e.what());
    return fail(ErrorKind::Usage, which + " (moveout --help)");
  }
  command.until_in_sync = until == "in-sync";
  if (Result<> checked = check(command, later); !checked) return fail(checked.error());
  return command;
}

}  // namespace moveout::app
