// Verifier: both sides compared, live or idle (docs/consistency.md §5). Shares neither enumeration nor apply with the
// mover.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aws/dynamodb.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/task.h"
#include "base/worker.h"
#include "target/target.h"
#include "verify/set_aside.h"

namespace moveout::verify {

// How far what is applied has come.
class Watermark {
 public:
  virtual ~Watermark() = default;
  // contract: returns true once every source change made before `instant` has been applied to the target (a shard's own
  // records past it, or at tip for it); false when that cannot be told within `patience`: the key goes to the hot list.
  virtual base::Task<bool> passed(base::Steady instant, base::Millis patience) = 0;
  // contract: false when passed() is a mere wait and tells nothing.
  virtual bool knows() const { return true; }
  // contract: grows whenever a change of the key is captured, before it is applied; now and then with another key's.
  // For targets that keep no versions.
  virtual std::uint64_t records_of(const item::Key&) const { return 0; }
};

// Without a run: nothing is known of what is applied, so a difference is looked at again after a wait.
class FixedWait final : public Watermark {
 public:
  FixedWait(base::Clock& clock, base::Millis wait) : clock_(clock), wait_(wait) {}
  base::Task<bool> passed(base::Steady instant, base::Millis patience) override;
  bool knows() const override { return false; }

 private:
  base::Clock& clock_;
  base::Millis wait_;
};

struct Difference {
  enum class Kind { Missing, Extra, Different } kind;
  item::Key key;
};

struct Report {
  std::uint64_t matched = 0;  // keys found equal
  std::uint64_t missing = 0;  // in the source, not in the target
  std::uint64_t extra = 0;    // in the target, not in the source
  std::uint64_t different = 0;
  std::uint64_t hot = 0;          // changed too often to be compared
  std::uint64_t expired = 0;      // on one side only, and expired by the source table's TTL: no difference
  std::uint64_t quarantined = 0;  // in the source only, and set aside by the run: no difference
  double consumed_rcu = 0;
  std::vector<Difference> first;    // at most 1,000 of them
  std::vector<item::Key> hot_keys;  // at most 1,000 of them
  bool clean() const { return missing == 0 && extra == 0 && different == 0; }
};

struct Glance {
  std::vector<item::Key> others;
  double consumed_rcu = 0;
};

// Makes of a source item what the mapping makes of it, so that both sides compare.
using Normalise = std::function<item::Item(const item::Item&)>;

struct Config {
  std::string table;
  item::KeySchema key;
  int segments = 0;  // of the source scan, 0 = chosen by size
  int workers = 8;
  double max_rcu = 0;
  std::uint64_t seed = 0;  // of the hash; kept with the progress
  int buckets = 4096;      // partitions of the key space; also spill files are grouped by it
  int compare_tries = 5;   // before a key is hot
  base::Millis patience{60000};
  std::string sides;                     // what the two sides are: progress that was made with others is not continued
  std::string name = "verify";           // its files on the disk are called "<name>.…"
  SetAside* set_aside = nullptr;         // null: nothing is known to be set aside
  Normalise normalise;                   // of source items; empty = they stand in the target as they are
  base::Millis checkpoint_every{10000};  // of progress; 0 = after every page
  std::size_t memory = 8 << 20;          // bytes of hashes and keys compared at once
};

struct VerifyProgress {
  std::uint64_t source_items = 0;
  std::uint64_t target_items = 0;
  std::uint64_t compared = 0;  // candidates settled
  std::uint64_t candidates = 0;
  double consumed_rcu = 0;
};

// Single executor. Resumable: its progress lies on the disk; a torn tail is cut off. Memory is bounded: hashes are
// spilled by bucket and compared bucket by bucket.
class Verifier {
 public:
  Verifier(Config config, aws::DynamoDb& source, target::Target& target, Watermark& watermark, base::Disk& disk,
           base::Worker& worker, base::Clock& clock, base::Rng rng, base::Log& log);
  ~Verifier();
  // The whole table, both sides; then every key that differs is settled: R1, wait, T, R2, wait, T. After an error or a
  // crash the next run() goes on where the progress on the disk stands; a run that ended leaves nothing behind.
  // `matched` counts the keys that both sides have.
  base::Task<base::Result<Report>> run();
  // After a run() that was cut off or failed: what it has done since its progress was last kept is kept too. Nothing to
  // do where the run() ended, or what it read is damaged.
  base::Task<base::Result<>> keep();
  // These keys alone, settled in the same way. `matched` counts those equal (absent on both sides counts as equal).
  base::Task<base::Result<Report>> compare(std::vector<item::Key> keys);
  // One look at these keys, without any wait: those that are not equal now. Nothing follows for them.
  base::Task<base::Result<Glance>> glance(std::vector<item::Key> keys);
  VerifyProgress progress() const;
  // What an unfinished run() has found up to now.
  Report so_far() const;
  // Gives up what an unfinished run() has left on the disk: the next one starts anew.
  base::Task<base::Result<>> forget();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moveout::verify
