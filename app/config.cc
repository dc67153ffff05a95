#include "app/config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <set>
#include <sstream>

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;

namespace {

// Walks one mapping of the file: every key is asked for by name, and what was never asked for is an error with its
// line. The first error is kept; later calls answer defaults.
class Reader {
 public:
  // settings: what --set has put into the nodes; an error in one names it instead of the file.
  Reader(std::string file, std::string path, const YAML::Node& node, const std::vector<std::string>& settings,
         std::optional<base::Error>* error)
      : file_(std::move(file)), path_(std::move(path)), node_(node), settings_(&settings), error_(error) {
    if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) wrong(node_, path_, "a mapping is expected here");
  }
  ~Reader() = default;

  bool has(const std::string& key) {
    known_.insert(key);
    return node_.IsMap() && node_[key].IsDefined() && !node_[key].IsNull();
  }
  std::string text(const std::string& key, std::string otherwise = {}) {
    if (!has(key)) return otherwise;
    if (!node_[key].IsScalar()) return wrong(node_[key], name(key), "a text is expected here"), otherwise;
    return node_[key].Scalar();
  }
  std::string required(const std::string& key) {
    std::string value = text(key);
    if (value.empty()) wrong(node_, name(key), "is missing");
    return value;
  }
  bool flag(const std::string& key, bool otherwise) {
    if (!has(key)) return otherwise;
    bool value = otherwise;
    if (!YAML::convert<bool>::decode(node_[key], value)) wrong(node_[key], name(key), "true or false is expected here");
    return value;
  }
  double number(const std::string& key, double otherwise) {
    if (!has(key)) return otherwise;
    double value = otherwise;
    if (!YAML::convert<double>::decode(node_[key], value) || !(value >= 0)) {
      wrong(node_[key], name(key), "a number of at least 0 is expected here");
      return otherwise;
    }
    return value;
  }
  // "auto" → 0.
  int count_or_auto(const std::string& key) {
    if (text(key, "auto") == "auto") return 0;
    const double value = number(key, 0);
    if (value < 1 || value > 1e6 || value != static_cast<int>(value)) {
      wrong(node_[key], name(key), "auto or a whole number from 1 to 1000000 is expected here");
      return 0;
    }
    return static_cast<int>(value);
  }
  std::string one_of(const std::string& key, std::string otherwise, const std::set<std::string>& now,
                     const std::set<std::string>& later = {}) {
    const std::string value = text(key, otherwise);
    if (now.contains(value)) return value;
    if (later.contains(value)) {
      wrong(node_[key], name(key), "\"" + value + "\" is not served by this version");
    } else {
      std::string list;
      for (const std::string& each : now) list += (list.empty() ? "" : " | ") + each;
      wrong(node_[key], name(key), "\"" + value + "\" is none of " + list);
    }
    return otherwise;
  }
  Reader inner(const std::string& key) {
    return Reader(file_, name(key), has(key) ? node_[key] : YAML::Node(), *settings_, error_);
  }
  std::vector<Reader> list(const std::string& key) {
    std::vector<Reader> all;
    if (!has(key)) return all;
    if (!node_[key].IsSequence()) return wrong(node_[key], name(key), "a list is expected here"), all;
    for (std::size_t i = 0; i < node_[key].size(); ++i) {
      all.emplace_back(file_, fmt::format("{}.{}", name(key), i), node_[key][i], *settings_, error_);
    }
    return all;
  }
  void refuse(const std::string& key, std::string_view why) {
    if (has(key)) wrong(node_[key], name(key), why);
  }
  void refuse_value(const std::string& key, std::string_view why) { wrong(node_[key], name(key), why); }
  void may_have(std::initializer_list<const char*> keys) { known_.insert(keys.begin(), keys.end()); }
  // Once every key was asked for, or named by may_have().
  void no_others() {
    if (!node_.IsMap()) return;
    std::set<std::string> seen;
    for (const auto& pair : node_) {
      const std::string key = pair.first.IsScalar() ? pair.first.Scalar() : "?";
      if (!seen.insert(key).second) wrong(pair.first, name(key), "stands twice");
      if (!known_.contains(key)) wrong(pair.first, name(key), "unknown key");
    }
  }

 private:
  std::string name(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
  void wrong(const YAML::Node& where, const std::string& what, std::string_view why) {
    if (error_->has_value()) return;
    const int line = where.IsDefined() ? where.Mark().line + 1 : 0;
    std::string place = line > 0 ? fmt::format("{}:{}", file_, line) : file_;
    for (const std::string& setting : *settings_) {
      const std::string key = setting.substr(0, setting.find('='));
      if (what == key || what.starts_with(key + ".") || key.starts_with(what + ".")) place = "--set " + setting;
    }
    *error_ = base::Error{ErrorKind::Usage, fmt::format("{}: {}: {}", place, what.empty() ? "the file" : what, why)};
  }

  std::string file_;
  std::string path_;
  YAML::Node node_;
  const std::vector<std::string>* settings_;
  std::optional<base::Error>* error_;
  std::set<std::string> known_;
};

// --set a.b.0.c=value
Result<> apply_setting(YAML::Node root, const std::string& setting) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(ErrorKind::Usage, "--set " + setting + ": expected key.key=value");
  }
  YAML::Node node;
  node.reset(root);
  std::istringstream parts(setting.substr(0, equals));
  for (std::string part; std::getline(parts, part, '.');) {
    if (part.empty()) return fail(ErrorKind::Usage, "--set " + setting + ": empty key");
    if (node.IsSequence()) {
      std::size_t index = 0;
      const auto [end, ec] = std::from_chars(part.data(), part.data() + part.size(), index);
      if (ec != std::errc() || end != part.data() + part.size() || index >= node.size()) {
        return fail(ErrorKind::Usage, "--set " + setting + ": there is no element " + part);
      }
      node.reset(node[index]);
    } else {
      if (node.IsScalar()) return fail(ErrorKind::Usage, "--set " + setting + ": " + part + " is inside a plain value");
      node.reset(node[part]);
    }
  }
  // A plain value is taken as it is: `sqlite:` is no mapping here.
  const std::string value = setting.substr(equals + 1);
  try {
    if (value.find_first_of("[{\"'") == 0 || value == "null" || value == "~") {
      node = YAML::Load(value);
    } else {
      node = value;
    }
  } catch (const YAML::Exception& e) {
    return fail(ErrorKind::Usage, "--set " + setting + ": " + e.what());
  }
  return {};
}

void read_identity(Reader identity, Url& url) {
  for (const char* key : {"profile", "role_arn", "external_id", "session_name"}) {
    if (const std::string value = identity.text(key); !value.empty()) url.options[key] = value;
  }
  if (url.option("role_arn").empty()) {
    for (const char* key : {"external_id", "session_name"}) identity.refuse(key, "goes with role_arn");
  }
  for (const char* key : {"username", "password_file"}) {
    identity.refuse(key, "DynamoDB knows profile and role_arn (with external_id and session_name)");
  }
  identity.no_others();
}

void read_source(Reader source, MoveConfig& config, double& max_rcu, int& segments, std::optional<base::Error>& error) {
  const std::string text = source.required("url");
  if (error) return;
  Result<Url> url = parse_url(text);
  if (!url) return source.refuse_value("url", url.error().what);
  config.source = std::move(*url);
  if (config.source.scheme != Scheme::DynamoDb) source.refuse_value("url", "a source is dynamodb://REGION");
  if (!config.source.table.empty()) source.refuse_value("url", "the tables are named under `tables`, not here");
  read_identity(source.inner("identity"), config.source);
  max_rcu = source.number("max_rcu", 0);
  segments = source.count_or_auto("segments");
  source.no_others();
}

void read_target(Reader target, MoveConfig& config, std::optional<base::Error>& error) {
  const std::string text = target.required("url");
  if (error) return;
  Result<Url> url = parse_url(text);
  if (!url) return target.refuse_value("url", url.error().what);
  config.target = std::move(*url);
  if (config.target.scheme == Scheme::DynamoDb) {
    if (!config.target.table.empty()) {
      target.refuse_value("url", "the tables are named under `tables` (`to`), not here");
    }
    read_identity(target.inner("identity"), config.target);
    const std::string mode = target.one_of("mode", "auto", {"auto", "m3", "m4", "M3", "M4"}, {"M1", "M2", "m1", "m2"});
    config.dynamodb_target.guarded = mode == "m3" || mode == "M3";
    config.dynamodb_target.defer_indexes =
        target.one_of("indexes", "with_table", {"with_table", "after_backfill"}) == "after_backfill";
  } else {
    target.refuse("identity", "sqlite: and file: targets have no identity");
    target.refuse("indexes", "sqlite: and file: targets have none");
    target.one_of("mode", "auto", {"auto"}, {"M1", "M2", "M3", "M4", "m1", "m2", "m3", "m4"});
  }
  config.max_writes = target.number("max_writes", 0);
  if (const std::string late = target.text("late"); !late.empty()) {
    Result<base::Millis> duration = parse_duration(late);
    if (!duration) target.refuse_value("late", duration.error().what);
    if (duration) config.dynamodb_target.late = *duration;
  }
  target.no_others();
}

void read_capture(Reader capture, MoveConfig& config, std::optional<base::Error>& error) {
  capture.one_of("from", "streams", {"streams"}, {"kinesis", "lambda"});
  if (capture.text("retain", "local") != "local") {
    capture.refuse_value("retain",
                         "this version replays changes as they are read and keeps none elsewhere: only local");
  }
  config.enable_stream = capture.flag("enable_stream", true);
  const std::string ttl = capture.one_of("ttl_deletes", "apply", {"apply", "skip", "count"});
  config.ttl_deletes = ttl == "skip"    ? replay::TtlDeletes::Skip
                       : ttl == "count" ? replay::TtlDeletes::Count
                                        : replay::TtlDeletes::Apply;
  const std::string wait = capture.text("tip_wait", "auto");
  if (wait != "auto") {
    Result<base::Millis> duration = parse_duration(wait);
    if (!duration) capture.refuse_value("tip_wait", duration.error().what);
    if (duration) config.tip_wait = *duration;
  }
  capture.no_others();
  if (error) return;
}

void read_exports(Reader exports, ExportSettings& settings) {
  settings.bucket = exports.text("bucket");
  settings.prefix = exports.text("prefix");
  settings.arn = exports.text("arn");
  settings.format = exports.one_of("format", "DYNAMODB_JSON", {"DYNAMODB_JSON", "ION"});
  settings.enable_pitr = exports.flag("enable_pitr", false);
  Result<base::Millis> margin = parse_duration(exports.text("margin", "5m"));
  if (margin) settings.margin = *margin;
  if (!margin) exports.refuse_value("margin", margin.error().what);
  exports.no_others();
}

}  // namespace

Result<base::Millis> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60000 : unit == "h" ? 3600000 : 0;
  if (ec != std::errc() || factor == 0 || count < 0 || count > 1000000000) {
    return fail(ErrorKind::Usage, "\"" + std::string(text) + "\" is no duration; expected a number and ms, s, m or h");
  }
  return base::Millis(count * factor);
}

bool glob_matches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, back = 0;
  while (n < name.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*') {
      ++p, ++n;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      back = n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++back;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<MoveConfig> parse_move_yaml(const std::string& text, const std::string& path,
                                   const std::vector<std::string>& settings) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& e) {
    return fail(ErrorKind::Usage, fmt::format("{}:{}: not YAML: {}", path, e.mark.line + 1, e.msg));
  }
  for (const std::string& setting : settings) {
    if (Result<> applied = apply_setting(root, setting); !applied) return fail(applied.error());
  }
  std::optional<base::Error> error;
  MoveConfig config;
  Reader top(path, "", root, settings, &error);
  // First of all: a misspelt key is the reason why another one is missing.
  top.may_have({"move", "source", "target", "backfill", "export", "capture", "verify", "limits", "admin", "tables"});
  top.no_others();
  config.name = top.required("move");
  if (config.name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
          std::string::npos ||
      config.name.starts_with('.')) {
    top.refuse_value("move", "a move's name is made of letters, digits, _ . and -");
  }
  double max_rcu = 0;
  int segments = 0;
  read_source(top.inner("source"), config, max_rcu, segments, error);
  read_target(top.inner("target"), config, error);
  config.backfill_by_export = top.one_of("backfill", "scan", {"scan", "export"}, {"file", "none"}) == "export";
  read_exports(top.inner("export"), config.exports);
  read_capture(top.inner("capture"), config, error);
  Reader verify = top.inner("verify");
  if (!verify.flag("before_in_sync", true)) {
    verify.refuse_value("before_in_sync", "this version says in sync only after it has compared both sides");
  }
  verify.no_others();
  Reader limits = top.inner("limits");
  const double memory_mb = limits.number("memory_mb", 256);
  if (memory_mb < 64 || memory_mb > 1e6) limits.refuse_value("memory_mb", "64 to 1000000 is expected here");
  config.memory_mb = static_cast<std::int64_t>(memory_mb);
  if (limits.count_or_auto("threads") != 0) {
    limits.refuse_value("threads", "only auto: one thread for the network, one each for the state and the target");
  }
  limits.no_others();
  Reader admin = top.inner("admin");
  config.admin_listen = admin.text("listen", config.admin_listen);
  if (!config.admin_listen.empty() && !listen_address(config.admin_listen)) {
    admin.refuse_value("listen", "ADDRESS:PORT is expected here, or nothing for none");
  }
  admin.no_others();
  for (Reader& table : top.list("tables")) {
    move::TableSpec spec;
    spec.source = table.required("name");
    spec.target = table.text("to");
    if (Result<Url> fits = parse_url("dynamodb://r/" + spec.source); !spec.source.empty() && !fits) {
      table.refuse_value("name", "a table's name is made of a-z, A-Z, 0-9, _ . and -; or it is an ARN");
    }
    if (!spec.target.empty() && is_glob(spec.source)) table.refuse_value("to", "a glob cannot have one `to`");
    spec.infer_columns = table.one_of("columns", "inferred", {"inferred", "none"}) == "inferred";
    spec.max_rcu = table.number("max_rcu", max_rcu);
    spec.segments = segments;
    table.refuse("transform", "this version moves items as they are");
    table.no_others();
    if (spec.target.empty() && !is_glob(spec.source)) spec.target = spec.source;
    config.tables.push_back(std::move(spec));
  }
  if (!error && config.tables.empty()) top.refuse_value("tables", "no table is named");
  if (error) return fail(*error);
  return config;
}

// "127.0.0.1:9090", "[::1]:0"; ":9090" is refused: an address is said, never implied.
std::optional<std::pair<std::string, std::uint16_t>> listen_address(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  std::string address = listen.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  unsigned port = 65536;
  const char* const end = listen.data() + listen.size();
  const auto [at, ec] = std::from_chars(listen.data() + colon + 1, end, port);
  if (ec != std::errc() || at != end || port > 65535) return std::nullopt;
  return std::pair(std::move(address), static_cast<std::uint16_t>(port));
}

Result<MoveConfig> read_move_yaml(const std::string& path, const std::vector<std::string>& settings) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  std::error_code ignored;  // what cannot be asked cannot be read either
  if (!file || std::filesystem::is_directory(path, ignored)) {
    return fail(ErrorKind::Usage, path + ": cannot be read");
  }
  return parse_move_yaml(text.str(), path, settings);
}

Result<MoveConfig> config_of_urls(std::string_view from, std::string_view to,
                                  const std::vector<std::string>& settings) {
  Result<Url> source = parse_url(from);
  if (!source) return fail(source.error());
  Result<Url> target = parse_url(to);
  if (!target) return fail(target.error());
  if (source->scheme != Scheme::DynamoDb) {
    return fail(ErrorKind::Usage,
                "--from " + std::string(from) + ": the source of this command is dynamodb://REGION/TABLE");
  }
  if (source->table.empty()) {
    return fail(ErrorKind::Usage, "--from " + std::string(from) + ": no table; expected dynamodb://REGION/TABLE");
  }
  for (const std::string& setting : settings) {
    for (std::string_view key : {"source.url=", "target.url=", "tables.0.name=", "tables.0.to="}) {
      if (setting.starts_with(key)) {
        return fail(ErrorKind::Usage, "--set " + setting + ": --from and --to (?table=) say that");
      }
    }
  }
  // The same reader for --set as for a file: the defaults as YAML, then the settings.
  YAML::Node root;
  root["move"] = "m";
  root["source"]["url"] = "dynamodb://" + source->region;
  // The table's name stands beside it.
  Url bare = *target;
  if (bare.scheme == Scheme::DynamoDb) bare.table.clear();
  root["target"]["url"] = bare.scheme == Scheme::DynamoDb ? bare.whole() : std::string(to);
  root["tables"][0]["name"] = source->table;
  Result<MoveConfig> config = parse_move_yaml(YAML::Dump(root), "--set", settings);
  if (!config) return config;
  if (config->tables.size() != 1)
    return fail(ErrorKind::Usage, "--from and --to move one table; use a move.yaml for more");
  config->tables[0].source = source->table;
  // A table may be given by its ARN: the last part names the move, and the target table of a DynamoDB API.
  const std::string plain = source->table.substr(source->table.find_last_of(":/") + 1);
  if (config->name == "m") config->name = plain;
  const std::string& same = target->scheme == Scheme::DynamoDb ? plain : source->table;
  config->tables[0].target = target->table.empty() ? same : target->table;
  std::map<std::string, std::string> options = config->source.options;
  config->source = std::move(*source);
  for (auto& [key, value] : options) config->source.options.emplace(key, value);
  return config;
}

namespace {

// "/a/orders.json.gz" → "orders".
std::string stem_of(const Url& url) {
  if (url.path == "-") return "stdin";
  std::filesystem::path path(url.path);
  if (path.filename().empty()) path = path.parent_path();
  std::string name = path.filename().string();
  for (const std::string_view end : {".gz", ".zst", ".jsonl", ".json", ".ndjson"}) {
    if (name.size() > end.size() && name.ends_with(end)) name.resize(name.size() - end.size());
  }
  return name.empty() || name == "." || name == ".." ? "load" : name;
}

}  // namespace

Result<MoveConfig> config_of_load(std::string_view from, std::string_view to, const std::string& table,
                                  const std::vector<std::string>& settings) {
  Result<Url> source = parse_url(from);
  if (!source) return fail(source.error());
  if (source->scheme == Scheme::DynamoDb || source->scheme == Scheme::Sqlite) {
    return fail(ErrorKind::Usage, "load: --from is a file, or - for standard input; use `copy` or `run` for a table");
  }
  // Settings of the target are the same as with a table; a source that is none stands in.
  Result<MoveConfig> config = config_of_urls("dynamodb://none/load", to, settings);
  if (!config) return config;
  if (config->target.scheme != Scheme::DynamoDb && config->target.scheme != Scheme::Sqlite) {
    return fail(ErrorKind::Usage, "load: --to is a database: sqlite:FILE or dynamodb://REGION/TABLE");
  }
  const Result<Url> target = parse_url(to);
  if (!target) return fail(target.error());
  const std::string named = target->table;
  if (!table.empty() && !named.empty() && table != named) {
    return fail(ErrorKind::Usage, "load: --table " + table + ", but --to names table " + named);
  }
  config->name = stem_of(*source);
  config->source = std::move(*source);
  config->tables[0].source = config->tables[0].target = named.empty() ? table : named;
  return config;
}

}  // namespace moveout::app
