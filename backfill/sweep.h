// Sweep: ends an era after the first: keys that only an older era put into the target, and the source no longer has.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "aws/dynamodb.h"
#include "base/log.h"
#include "base/task.h"
#include "item/version.h"
#include "target/writer.h"

namespace moveout::backfill {

// For each live key of the target whose version is of an older era than `backfill.era`: a strong read of the source;
// when absent, a tombstone at (era, 0, backfill.t + 16), above the back-fill and below every change.
// A key that is present is left alone: if its last write came before capture opened, the back-fill has it (or set it
// aside in quarantine); if after, its change is on the way in band 2. A write from here could only be older than that.
// Run it after the back-fill's last acknowledgement. Idempotent; restarts from the beginning. Returns how many were
// removed.
base::Task<base::Result<std::uint64_t>> sweep(aws::DynamoDb& source, std::string table, item::KeySchema key,
                                              target::Writer& writer, item::Version backfill, base::Log& log);

// Which of `keys` (at most 100) the source has, by a strong read; encoded.
base::Task<base::Result<std::set<std::string>>> present(aws::DynamoDb& source, std::string table,
                                                        item::KeySchema schema, std::vector<item::Key> keys);

}  // namespace moveout::backfill
