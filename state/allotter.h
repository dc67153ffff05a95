// VersionAllotter: versions for level-triggered writes, never given twice and always above every earlier owner's.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/task.h"
#include "item/version.h"
#include "state/store.h"

namespace moveout::state {

// t = base + 16·counter, base = max(now µs, highest t ever allotted) + 16, stored when the owner epoch is taken
// (docs/consistency.md §2). Highest is known durably because values are taken in reserved blocks: a block's end is
// committed, on the condition that the owner epoch is still ours, before its first value is given out.
class VersionAllotter {
 public:
  // prefix: the table's place in the store, for instance "table/orders/". owner_row/owner_value: the row that must
  // still hold this owner's epoch for a block to be reserved.
  VersionAllotter(Store& store, base::Clock& clock, std::string prefix, std::uint32_t era, Expect owner);
  // RunLocked when the owner epoch has moved.
  base::Task<base::Result<item::Version>> next();

 private:
  Store& store_;
  base::Clock& clock_;
  std::string prefix_;
  std::uint32_t era_;
  Expect owner_;
  std::int64_t next_ = 0;
  std::int64_t reserved_end_ = 0;
};

}  // namespace moveout::state
