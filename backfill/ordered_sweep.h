// OrderedSweep: ends an era after the first in a target that keeps no versions: keys that the source no longer has.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "aws/dynamodb.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "state/signing_lease.h"
#include "target/target.h"

namespace moveout::backfill {

// Nothing tells here which keys are an older era's, so every key of the target is looked for in the source. Run it when
// no request of the back-fill, nor any earlier one, can land any more, and before changes are replayed: a key that
// comes back meanwhile waits in the journal and is written afterwards. Each delete comes to a definite end: after an
// ambiguous answer it waits until the request can no longer land, reads the source again and deletes again.
class OrderedSweep {
 public:
  OrderedSweep(aws::DynamoDb& source, std::string table, item::KeySchema key, target::Target& target,
               state::SigningLease& lease, base::Clock& clock, base::Rng rng, base::Log& log);
  // How many keys were removed. Idempotent; restarts from the beginning. EndpointDown: no definite answer for minutes.
  base::Task<base::Result<std::uint64_t>> run();

 private:
  base::Task<base::Result<>> remove_absent(std::vector<item::Key> keys);
  base::Task<base::Result<>> remove(std::vector<std::string> gone);
  base::Task<base::Result<>> settle_doubts();

  aws::DynamoDb& source_;
  std::string table_;
  item::KeySchema key_;
  target::Target& target_;
  state::SigningLease& lease_;
  base::Clock& clock_;
  base::Rng rng_;
  base::Log& log_;
  std::uint64_t removed_ = 0;
  std::set<std::string> doubts_;              // deletes that may have landed or may not
  base::Steady until_ = base::Steady::min();  // when they no longer land
};

}  // namespace moveout::backfill
