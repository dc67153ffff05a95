// What a move stands on: everything comes by reference, and the simulator hands in its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aws/dynamodb.h"
#include "aws/streams.h"
#include "backfill/file_source.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/worker.h"
#include "replay/replayer.h"
#include "state/store.h"
#include "target/target.h"

namespace moveout::move {

enum class Phase { Capture, Backfill, Replay, Verify, InSync, Finish };
std::string_view name_of(Phase phase);  // "capture", "backfill", …

// The progress of one table, as `progress` events, the terminal line and /metrics show it.
struct Snapshot {
  Phase phase = Phase::Capture;
  std::uint64_t items = 0;        // acknowledged by the target (back-fill), or compared (verify)
  std::uint64_t bytes = 0;        // of DynamoDB JSON
  std::uint64_t total_items = 0;  // as the source estimates it
  std::int64_t lag_ms = 0;
  double consumed_rcu = 0;
  int segments_done = 0;
  int segments = 0;
  std::uint64_t changes_applied = 0;
  std::uint64_t changes_stale = 0;
  std::uint64_t shards_open = 0;
  std::uint64_t changed_keys = 0;  // waiting to be compared again
  std::uint64_t quarantined = 0;
  bool paused = false;
};

struct TableResult {
  std::string table;
  Phase phase = Phase::Capture;  // reached
  std::uint64_t items = 0;       // run: keys found equal at the last comparison; copy: items acknowledged
  std::uint64_t bytes = 0;
  double consumed_rcu = 0;
  std::uint64_t missing = 0, extra = 0, different = 0, hot = 0;
  std::uint64_t expired = 0;  // found on one side only, and expired: no differences
  std::uint64_t quarantined = 0;
};

// What a move tells the world. Called on the executor; must not block.
class Events {
 public:
  virtual ~Events() = default;
  virtual void phase(const std::string& table, Phase phase) = 0;
  virtual void in_sync(const TableResult& result) = 0;
  virtual void table_result(const TableResult& result) = 0;
  // Said once, before anything is switched on or when a user should know: plain words.
  virtual void notice(const std::string& table, const std::string& text) = 0;
};

// Where a run's back-fill has its items from in place of scans: an export that was made while capture was open.
class Files {
 public:
  virtual ~Files() = default;
  // contract: changes are captured since `captured_from`. Returns when the files can be read, which may take hours; the
  // source is not begun, and lives as long as this. In every process of a run the same files: what was asked for is
  // kept before it is waited for.
  virtual base::Task<base::Result<backfill::FileSource*>> ready(base::Instant captured_from) = 0;
  // contract: the files' content may be off by so much from the instant they say.
  virtual base::Millis margin() const = 0;
};

struct TableSpec {
  std::string source;  // the source table's name
  std::string target;  // the target table's name
  bool infer_columns = true;
  double max_rcu = 0;      // 0 = no ceiling
  int segments = 0;        // 0 = by size
  Files* files = nullptr;  // null: the table is scanned
};

struct Options {
  bool until_in_sync = false;
  bool finish_when_copied = false;  // copy: nothing of moveout's own stays in the target
  bool new_backfill = false;
  bool accept_quarantine = false;
  bool enable_stream = true;
  replay::TtlDeletes ttl_deletes = replay::TtlDeletes::Apply;
  base::Millis tip_wait{30000};
  int tip_pages = 5;
  int workers = 8;  // segments under way at once
  // Beside its checkpoints the run writes how far it is, this often, for a `verify` beside it; 0: not at all.
  base::Millis note_applied_every{0};
  bool short_pages_tell = false;  // see capture::Config; not on AWS
  // Only the simulator and tests shorten these.
  base::Millis margin{300000};
  base::Millis history_parent_wait{60000};
  base::Millis discover_every{10000};
  // A difference at the tip is final only after this long: DescribeStream may hide a child shard for minutes, and what
  // lies in it is not applied although every shard that shows is at its tip.
  base::Millis difference_wait{600000};
  // A record unapplied for longer ends *in sync* (product.md).
  base::Millis lag_ends_sync{5000};
  std::uint64_t journal_segment_bytes = 64 << 20;
};

struct Seams {
  base::Clock& clock;
  base::Log& log;
  aws::DynamoDb& source;
  aws::Streams& streams;
  state::Store& store;
  base::Disk& disk;          // verify's working files
  base::Disk& journal_disk;  // captured changes that wait
  base::Disk& quarantine;    // quarantine-<table>.jsonl
  base::Worker& worker;      // for the disks
  Events& events;
};

}  // namespace moveout::move
