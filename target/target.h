// Target: where moved items land. One implementation per folder beside this file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/permit.h"
#include "base/task.h"
#include "item/batch.h"
#include "item/key.h"
#include "item/value.h"
#include "item/version.h"

namespace moveout::aws {
struct TableShape;
}

namespace moveout::target {

enum class Outcome : std::uint8_t {
  Applied,    // durable, and newer than what was there
  Stale,      // something newer (or equal) stands there already; nothing was changed
  Throttled,  // certainly not applied
  Unknown,    // may still land, until late_max()
  Refused     // can never be applied: see the reason
};

struct Outcomes {
  std::vector<Outcome> each;                             // one an item, in order
  std::vector<std::pair<std::size_t, std::string>> why;  // reasons of the Refused ones, by index; never item data
  // OrderedOnly: until when the last of the Unknown ones may land: its signing + late_max(). Unset without Unknown.
  base::Steady until{};

  std::size_t count(Outcome outcome) const;
  static Outcomes all(Outcome outcome, std::size_t size) { return {std::vector<Outcome>(size, outcome), {}, {}}; }
};

// PerWrite: versions decide, so order, duplicates and late requests are harmless. OrderedOnly: the order of sending
// decides: the caller sends a key's next write only when the one before had a definite outcome or can no longer land
// (docs/consistency.md, M4), and writes whose order is open (the back-fill's among themselves) may race.
enum class Guard { PerWrite, OrderedOnly };

// A named position, kept with the data or beside it. The value is opaque here.
struct Checkpoint {
  std::string name;   // "segment/17", "shard/shardId-000…"
  std::string value;  // empty: forget this name
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};
using Checkpoints = std::vector<Checkpoint>;

// What a run knows of the table it moves when it opens the target.
struct Layout {
  std::string table;  // the target table's name
  item::KeySchema key;
  std::string
      columns_json;  // schema::Columns as text, chosen when the table is made; a target without columns ignores it
  std::shared_ptr<const aws::TableShape> shape = {};  // of the source, where makes_like_source(); null = not known
  std::string identity = {};  // Opened::identity of the first open, as the state keeps it; empty: none was kept
};

enum class Mode {
  Run,  // changes replay beside the back-fill: the key is enforced from the first row
  Copy  // the back-fill alone, into an empty target: may append and build the key at seal()
};

// One item as it stands in the target.
struct Stored {
  item::Item item;
  item::Version version;  // of the guard; for a row no guard knows the first era's back-fill's, (0, Backfill, its t)
};

struct StoredPage {
  std::vector<std::pair<item::Key, Stored>> items;
  std::string next;  // cursor for the next page; empty = done
};

struct Opened {
  bool created = false;      // the table was made now
  Checkpoints checkpoints;   // what this run has committed in the target before; empty where the state is the authority
  std::string columns_json;  // the columns the table has
  bool sealed = false;       // seal() has been done
  // Which table it is, where the state is the authority (not commits_checkpoints()): kept there in the run id's place.
  std::string identity = {};
};

class CheckpointSink;  // target/writer.h

// How far a finish() is.
inline constexpr const char* kFinishName = "finish";

// Single executor; blocking work goes to a Worker. Every call may fail with DiskFull, RunLocked (another owner took
// over: stop at once), TargetChanged, Unavailable.
class Target {
 public:
  virtual ~Target() = default;

  // contract: makes or adopts the target for this run and takes ownership: from now on no apply of an earlier owner
  // (lower `owner`) succeeds. Idempotent. Usage: not empty and not ours, or not a target at all. TargetChanged:
  // `resuming` and the run's marks are not there.
  virtual base::Task<base::Result<Opened>> open(std::string run_id, std::int64_t owner, Layout layout, Mode mode,
                                                bool resuming) = 0;

  // contract: the newest version wins, so applying twice, or late, changes nothing (guard() == PerWrite).
  // One outcome an item, in order. With commits_checkpoints(), the checkpoints are durable exactly when the data is,
  // and both together or neither (only when every outcome is Applied or Stale: while any write is refused or is to be
  // sent again they stay back); otherwise they must be empty. An Error speaks for the whole batch: nothing was
  // applied, or (Unavailable) everything is Unknown; where a batch goes out in several requests, any other Error leaves
  // it as a crash would.
  // OrderedOnly: the keys of a batch are all different. Each write is in one request, signed at the moment of sending
  // after apply() was called, and never sent again by the target once it may have arrived; what is ambiguous is an
  // Unknown (never an Unavailable), with `until`. No request of a call is under way when it returns.
  virtual base::Task<base::Result<Outcomes>> apply(item::Batch batch, Checkpoints checkpoints) = 0;

  // contract: the key of the table that stands under this name now; nothing where none does, or where it has no key of
  // its own. Before open(); nothing is made.
  virtual base::Task<base::Result<std::optional<item::KeySchema>>> key_of_table(std::string) {
    co_return std::optional<item::KeySchema>();
  }

  // contract: opens for reading only: nothing is made, no ownership is taken, no mark is needed. For `verify` beside a
  // run. NotFound when the table is not there.
  virtual base::Task<base::Result<Opened>> open_reader(Layout layout) = 0;

  // contract: the value that stands now under a checkpoint's name; nothing when there is none, or where the target does
  // not commit them. After open() or open_reader(): a reader sees what the run has committed since.
  virtual base::Task<base::Result<std::optional<std::string>>> checkpoint(std::string) {
    co_return std::optional<std::string>();
  }

  // contract: what stands there now, one entry a key, in order; nothing for absent or deleted keys; for deleted keys
  // the tombstone's version in `version_of`. Read your own writes.
  virtual base::Task<base::Result<std::vector<std::optional<Stored>>>> read(std::vector<item::Key> keys) = 0;
  // contract: the version that stands for each key, tombstones included; nothing = neither row nor guard (OrderedOnly:
  // always nothing, and read() and scan() say Version{}).
  virtual base::Task<base::Result<std::vector<std::optional<item::Version>>>> versions(std::vector<item::Key> keys) = 0;
  // contract: pages over every live row once; rows that change during the scan appear in some state of that time.
  // `cursor` empty = from the start. At most `limit` rows a page.
  virtual base::Task<base::Result<StoredPage>> scan(std::string cursor, std::size_t limit) = 0;

  // contract: how many live rows there are; nothing where only a scan could tell.
  virtual base::Task<base::Result<std::optional<std::uint64_t>>> live_rows() = 0;

  // contract: after the last back-fill batch: what was deferred is built (unique index, merge). Idempotent, resumable.
  virtual base::Task<base::Result<>> seal() = 0;
  // contract: before finish(), where that may take long: `known` is what an earlier finish() of this run has committed
  // under kFinishName (empty: none has), and this one commits there how far it is. The caller lets nothing write to the
  // target any more once such a row stands. `sink` outlives the target.
  virtual void finish_from(std::string, CheckpointSink&) {}
  // contract: removes everything moveout added for itself; user rows stay. Idempotent. After open() or open_reader().
  virtual base::Task<base::Result<>> finish() = 0;

  // contract: why this write can never be held here (too large, a text it cannot store), or nothing. Pure.
  virtual std::optional<std::string> refusal(const item::Write& write) const = 0;

  // contract: from now on a write is signed only while `permit` says so at that moment; otherwise it is Throttled.
  // Outlives the target. Nothing to do where guard() == PerWrite.
  virtual void sign_with(const base::Permit&) {}

  // contract: whether open() wants Layout::shape.
  virtual bool makes_like_source() const { return false; }
  virtual Guard guard() const = 0;
  // contract: L of docs/consistency.md §3, the longest time after which a request may land, from its signing. Nothing
  // to wait for (0) where guard() == PerWrite.
  virtual base::Millis late_max() const { return base::Millis(0); }
  virtual bool commits_checkpoints() const = 0;
};

}  // namespace moveout::target
