// DynamoDbTarget: a table of any DynamoDB API (docs/dynamodb-target.md), with a version attribute on every item (M3) or
// with nothing of moveout's in it (M4).
#pragma once

#include <memory>
#include <optional>

#include "aws/client.h"
#include "base/clock.h"
#include "base/log.h"
#include "target/target.h"

namespace moveout::target::dynamodb {

enum class Way {
  Guarded,   // M3: a version decides each write; guard() == PerWrite
  Unguarded  // M4: guard() == OrderedOnly
};

struct Options {
  Way way = Way::Unguarded;
  // L of docs/consistency.md §3. Unguarded needs it at once, Guarded for finish().
  std::optional<base::Millis> late_max;
  double max_writes = 0;       // write capacity units a second; 0 = no ceiling
  bool defer_indexes = false;  // global indexes are made by seal()
  bool as_it_stands = false;   // readers see the version attribute and tombstones as any items, whatever the way
};

// L where it is known by itself: 11 min on AWS, 2 s on this machine.
std::optional<base::Millis> late_max_of(const http::Endpoint& endpoint);

// `calls` retries; `writes` does so only where the way is Guarded (asserted). Both outlive the target.
std::unique_ptr<Target> make_target(aws::Client& calls, aws::Client& writes, base::Clock& clock, base::Log& log,
                                    Options options);

}  // namespace moveout::target::dynamodb
