// MoveConfig: what one move is told to do, from move.yaml or from --from and --to (docs/move-yaml.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/url.h"
#include "base/clock.h"
#include "base/error.h"
#include "move/seams.h"

namespace moveout::app {

// What a DynamoDB API is told as a target (docs/dynamodb-target.md).
struct DynamoDbTarget {
  bool guarded = false;              // mode m3; auto and m4: without a guard
  std::optional<base::Millis> late;  // nothing: by the endpoint
  bool defer_indexes = false;        // indexes: after_backfill
};

// Exports as the way to back-fill (docs/exports.md).
struct ExportSettings {
  std::string bucket, prefix;
  std::string arn;  // one that stands already
  std::string format = "DYNAMODB_JSON";
  base::Millis margin{300000};  // capture is open so long before the export's time
  bool enable_pitr = false;
};

struct MoveConfig {
  std::string name;
  Url source;  // without a table
  Url target;
  DynamoDbTarget dynamodb_target;
  double max_writes = 0;
  std::vector<move::TableSpec> tables;  // names may be globs until they are expanded against the source
  bool backfill_by_export = false;
  ExportSettings exports;
  bool enable_stream = true;
  replay::TtlDeletes ttl_deletes = replay::TtlDeletes::Apply;
  std::optional<base::Millis> tip_wait;  // nothing: auto
  std::int64_t memory_mb = 256;
  std::string admin_listen = "127.0.0.1:0";  // empty: off
  std::string state_dir;                     // empty: .moveout/<name>
};

// Reads move.yaml. Unknown keys, wrong types and missing ones are Usage errors that name file and line.
// settings: "--set a.b.0.c=value", applied first.
base::Result<MoveConfig> read_move_yaml(const std::string& path, const std::vector<std::string>& settings);
base::Result<MoveConfig> parse_move_yaml(const std::string& text, const std::string& path,
                                         const std::vector<std::string>& settings);
// One table and the defaults. The move is named for the source's table.
base::Result<MoveConfig> config_of_urls(std::string_view from, std::string_view to,
                                        const std::vector<std::string>& settings);

// A load: of what `from` names, which is not contacted. The move is named for the file; its one table has the target's
// name alone, empty where neither `to` nor `table` says it.
base::Result<MoveConfig> config_of_load(std::string_view from, std::string_view to, const std::string& table,
                                        const std::vector<std::string>& settings);

// The address and port of admin.listen; nothing for what is none.
std::optional<std::pair<std::string, std::uint16_t>> listen_address(const std::string& listen);
// "10s", "5m", "1h", "250ms". Usage otherwise.
base::Result<base::Millis> parse_duration(std::string_view text);
// * and ? match; everything else is literal.
bool glob_matches(std::string_view pattern, std::string_view name);
inline bool is_glob(std::string_view name) { return name.find_first_of("*?") != std::string_view::npos; }

}  // namespace moveout::app
