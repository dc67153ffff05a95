// ScanBackfill: the whole table by parallel scan, in many small shuffled segments, resumable page by page.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "aws/dynamodb.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/task.h"
#include "item/version.h"
#include "target/writer.h"

namespace moveout::backfill {

struct ScanConfig {
  std::string table;
  item::KeySchema key;
  item::Version version;  // of every item: (era, Backfill, T0)
  int segments = 0;       // of this run, fixed when it began; a resumed run keeps its own
  int workers = 8;        // segments under way at once
  double max_rcu = 0;     // ceiling in RCU/s, 0 = none
  bool consistent = true;
  std::string
      checkpoint_prefix;  // put before the names it commits ("e0/"); the names it is constructed with come without
};

struct ScanProgress {
  std::uint64_t items = 0;  // acknowledged by the target, over all resumes
  std::uint64_t bytes = 0;  // of DynamoDB JSON
  double consumed_rcu = 0;  // over all resumes
  int segments_done = 0;
  int segments = 0;
};

// How many segments a table of this size is cut into (auto; both figures may be six hours old): small enough that one
// hot partition does not take all the load. 16 to 20,000: their checkpoints are held in memory when a run resumes.
int segments_for(std::int64_t size_bytes, std::int64_t item_count);

// Single executor. Checkpoint names: "segment/<n>"; the value holds the last key, items, bytes, RCU, done.
// The checkpoint of a page moves in the same write as the page (or after it): I4.
class ScanBackfill {
 public:
  ScanBackfill(ScanConfig config, aws::DynamoDb& source, target::Writer& writer, base::Clock& clock, base::Rng rng,
               base::Log& log, std::map<std::string, std::string> checkpoints);
  ~ScanBackfill();
  // Returns when every segment is done and acknowledged. Throttles slow it down (AIMD under max_rcu) and are not
  // errors.
  base::Task<base::Result<>> run();
  ScanProgress progress() const;
  // A new ceiling while running; 0 = none.
  void set_max_rcu(double max_rcu);
  // Paused: pages under way are finished, no new one is asked for.
  void pause(bool on);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moveout::backfill
