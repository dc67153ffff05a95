// Ion: the records of an export's data files in Amazon Ion text → versioned writes. Pure. As much of the format as
// exports use: structs, lists, strings, decimals, blobs, booleans, null, and the annotations of sets.
#pragma once

#include <cstdint>
#include <string_view>

#include "backfill/export/lines.h"
#include "base/error.h"
#include "item/batch.h"

namespace moveout::backfill {

// As read_lines; images are made anew, in DynamoDB JSON, since nothing else goes through unparsed.
base::Result<LinesRead> read_ion_lines(std::string_view text, const RecordRules& rules, std::uint64_t first,
                                       item::Batch& batch);
base::Result<item::KeySchema> key_of_ion_record(std::string_view line);

}  // namespace moveout::backfill
