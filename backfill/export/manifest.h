// Manifest: what manifest-summary.json and manifest-files.json of an export say. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace moveout::backfill {

enum class ExportFormat { DynamoDbJson, Ion };

struct ExportSummary {
  std::string arn, table_arn, table;
  std::string bucket, prefix;  // where the export was written
  std::string files_key;       // of manifest-files.json
  ExportFormat format = ExportFormat::DynamoDbJson;
  bool incremental = false;
  base::Instant time{};        // full: of the content, roughly (docs/consistency.md §2)
  base::Instant from{}, to{};  // incremental: inclusive, exclusive
  bool old_images = false;     // incremental
  std::uint64_t items = 0;
};

struct ExportFile {
  std::string key;
  std::uint64_t items = 0;
  std::string md5;  // base64, of the file as it lies there
};

// Corrupt: says which member is missing or cannot be so. Never quotes more than a name.
base::Result<ExportSummary> parse_export_summary(std::string_view text);
// One line a file. Corrupt also for a key that does not lie under <prefix>/AWSDynamoDB/, one that stands twice, and
// where the counts do not sum up to the summary's. In the order of keys.
base::Result<std::vector<ExportFile>> parse_export_files(std::string_view text, const ExportSummary& summary);

// The part of a key from "AWSDynamoDB/" on; nothing unless the key is <prefix>/AWSDynamoDB/… and a plain path.
std::optional<std::string_view> below_prefix(std::string_view key, std::string_view prefix);

// A full export that a chain begins with: its time, and by how much its content may be off from it.
struct ChainStart {
  base::Instant time{};
  base::Micros margin{};
};

// Whether windows follow each other without a hole, oldest first: from inclusive, to exclusive, the first one not after
// the start. Usage: names the hole, the overlap, or the other table.
base::Result<> check_chain(const std::vector<ExportSummary>& windows, std::optional<ChainStart> start);

}  // namespace moveout::backfill
