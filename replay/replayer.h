// Replayer: changes → target, in the guard's terms, until each has a definite outcome.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "aws/dynamodb.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/task.h"
#include "item/change.h"
#include "state/allotter.h"
#include "target/writer.h"

namespace moveout::replay {

struct Counters {
  std::uint64_t applied = 0;
  std::uint64_t stale = 0;
  std::uint64_t refused = 0;
  std::uint64_t ttl_deletes = 0;
};

// move.yaml capture.ttl_deletes: what becomes of deletes by the TTL reaper. Apply and Count apply them; Skip leaves
// expired items standing and says so. All count them.
enum class TtlDeletes { Apply, Skip, Count };

// Told of every key before its change is sent to the target: verify compares it again.
class KeyObserver {
 public:
  virtual ~KeyObserver() = default;
  // contract: durable before it returns when verify depends on it. An error stops the replay.
  virtual base::Task<base::Result<>> changing(std::vector<item::Key> keys) = 0;
};

struct Config {
  std::string table;  // the source table, for level-triggered reads
  item::KeySchema key;
  TtlDeletes ttl_deletes = TtlDeletes::Apply;
};

// Single executor. Level-triggered changes (Touched) are: allot a version, read the source strongly, write (consistency
// §2).
class Replayer {
 public:
  Replayer(Config config, target::Writer& writer, aws::DynamoDb& source, state::VersionAllotter* allotter,
           base::Clock& clock, base::Log& log, KeyObserver& observer);
  // Applies the changes of one page, then commits its checkpoints (docs/consistency.md I4). Safe to call for several
  // shards at once. Idempotent.
  base::Task<base::Result<>> apply(std::vector<item::Change> changes, target::Checkpoints checkpoints);
  const Counters& counters() const { return counters_; }

 private:
  std::vector<item::Change> wanted(std::vector<item::Change> changes);
  base::Task<base::Result<>> reread(std::vector<item::Key> keys, target::Checkpoints checkpoints);
  base::Task<base::Result<>> allot(std::vector<item::Version>& versions);
  base::Task<base::Result<>> write(item::Batch batch, target::Checkpoints checkpoints);

  Config config_;
  target::Writer& writer_;
  aws::DynamoDb& source_;
  state::VersionAllotter* allotter_;
  base::Log& log_;
  KeyObserver& observer_;
  Counters counters_;
};

}  // namespace moveout::replay
