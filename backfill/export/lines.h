// Lines: the records of an export's data files in DynamoDB JSON → versioned writes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "item/batch.h"
#include "item/key.h"
#include "item/version.h"

namespace moveout::backfill {

// A line holds at most two images of 400 KB, which escapes may make six times as long, and the keys.
inline constexpr std::size_t kExportLineBytesMax = std::size_t{8} << 20;

struct RecordRules {
  item::KeySchema key;
  item::Version version;  // of a full export's items; an incremental one takes its era
  bool incremental = false;
  bool old_images = false;
};

struct LinesRead {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;  // of their DynamoDB JSON
};

// Whole lines, each ended by a line feed, in `text`, whose buffer has item::Batch's padding; images stay where they
// are. `first`: the number of the first item, from 1, for messages. Corrupt: which item, and what was expected. An item
// that nobody understands but for its key is marked in the batch.
base::Result<LinesRead> read_lines(const item::Buffer& text, const RecordRules& rules, std::uint64_t first,
                                   item::Batch& batch);

// The key's names and types by an incremental record's Keys, in the order they stand there.
base::Result<item::KeySchema> key_of_record(std::string_view line);

}  // namespace moveout::backfill
