// The fold: a stream record's version from its place in the shard lineage (docs/consistency.md §2).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace moveout::capture {

// t = max(prev + 16, created in µs), rounded up to a multiple of 16. Creation times are floored to a second (DynamoDB
// Local: a minute), so two changes of one key tie; the fold gives the later one the higher t. It is a pure function of
// the lineage: whoever reads the same records after the same `prev` derives the same versions, so a redelivery or a
// zombie does no harm. The slots between two values are left for repairs.
// prev: the value of the record before, the parent shard's last one, or 0 where there is neither.
std::int64_t fold(std::int64_t prev, base::Instant created);

// Sequence numbers are decimal integers of up to 40 digits, comparable inside one shard only.
bool is_sequence(std::string_view text);
// a < b as integers: "99" < "100".
bool sequence_less(std::string_view a, std::string_view b);

}  // namespace moveout::capture
