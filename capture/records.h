// One GetRecords page → versioned changes and the shard's next checkpoint. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "aws/streams.h"
#include "base/error.h"
#include "capture/shard_state.h"
#include "item/change.h"

namespace moveout::capture {

struct RecordRules {
  item::KeySchema key;
  std::uint32_t era = 0;
  base::Instant covered_from{};  // records created before it are folded, then left out
  bool level_triggered = false;  // changes are Touched: the key alone
};

struct Folded {
  std::vector<item::Change> changes;
  ShardState next;  // sequence number and prev after the page's last record
};

// `reopened`: the first page after an iterator was opened; records at or below the checkpoint, which a server may send
// again then, are left out before the fold. Of a record whose image alone cannot be understood the change says so
// (unreadable). Corrupt names the sequence number of one whose key cannot, SchemaChanged one whose key is of another
// schema: the page is neither dropped nor taken in part.
base::Result<Folded> fold_page(const RecordRules& rules, const ShardState& at, const aws::RecordsPage& page,
                               bool reopened);

}  // namespace moveout::capture
