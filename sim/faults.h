// Faults: which ones are live in a run, how often each strikes, and how often each struck in which phase.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/rng.h"

namespace moveout::sim {

// The rows of docs/proof.md's matrix are made of these.
enum class Fault : std::uint8_t {
  Kill,               // kill −9 at an I/O boundary
  PowerLoss,          // the same, and what was not synced is gone
  LostRequest,        // never arrives; the caller times out
  LostAnswer,         // acted on; the caller times out
  LateRequest,        // acted on up to L after the caller gave up
  Duplicate,          // acted on twice, the second time up to L later
  Refused,            // connection refused
  SlowAnswer,         // many seconds
  Garbled,            // the body does not match its crc
  Malformed,          // the body matches its crc and is not what it should be
  Throttle,           // by the source
  ServerError,        // 500, 503
  PartialBatch,       // UnprocessedItems, UnprocessedKeys; a target's batch that succeeds in part
  TargetDown,         // the target fails for up to an hour
  TargetLate,         // a write of the target lands after its caller gave up on it
  DiskFull,           // of the target or the state
  TornWrite,          // part of a write survived the loss of power
  BitFlip,            // in the state, at rest
  FailedSync,         // fsync answers an error
  Zombie,             // a paused process goes on beside its successor
  TwoCoordinators,    // two processes start at once
  ClockOff,           // the process's clock is off by up to 5 s
  ClockStep,          // … and jumps while it runs
  ServerClocks,       // shards' nodes disagree about the time
  ShardRoll,          // a shard closes and one child opens
  ShardSplit,         // … two children
  ChildHidden,        // a child is not described for minutes
  ChildrenOneByOne,   // one of two is described later
  OpenParent,         // a closed shard is described as open beside its child
  MissingShard,       // a shard is left out of a listing for less than a minute
  ShortListing,       // pages of a few shards
  Trim,               // records leave the stream unread
  ExpiredIterator,    // before its 15 minutes
  EmptyPage,          // of a shard that has records
  ShortPage,          // fewer records than there are
  StaleRead,          // an eventually consistent read
  StreamOff,          // someone switches the stream off (and on)
  TableRemade,        // someone drops the table and makes it again
  TtlDelete,          // TTL deletes, extensions and re-insertions
  Hostile,            // items at every limit
  CredentialsExpire,  // in the middle of a batch
  Denied,             // a right is taken away
  Tamper,             // a stranger writes to the target before it is verified
  BadRecord,          // one record of a page cannot be read, this once
  VerifyKill,         // kill −9 of `moveout verify` at an I/O boundary
  Count_
};
inline constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::Count_);
std::string_view name_of(Fault fault);

// The matrix's columns that exist so far.
enum class Phase : std::uint8_t { Start, Backfill, Replay, Verify, Count_ };
inline constexpr std::size_t kPhases = static_cast<std::size_t>(Phase::Count_);
std::string_view name_of(Phase phase);

struct Tally {
  std::array<std::array<std::uint64_t, kPhases>, kFaults> struck{};
  std::uint64_t of(Fault fault, Phase phase) const {
    return struck[static_cast<std::size_t>(fault)][static_cast<std::size_t>(phase)];
  }
  Tally& operator+=(const Tally& other);
};

// Each site has its own numbers, so that one more draw of a fault does not shift all the others.
class Faults {
 public:
  explicit Faults(base::Rng rng);
  // From now on it strikes once in `one_in` chances; 0: never.
  void set(Fault fault, std::uint64_t one_in) { one_in_[index(fault)] = one_in; }
  bool live(Fault fault) const { return !calm_ && one_in_[index(fault)] != 0; }
  bool strikes(Fault fault);
  // One that was scripted, not drawn.
  void count(Fault fault) { ++tally_.struck[index(fault)][static_cast<std::size_t>(phase_)]; }
  base::Rng& rng(Fault fault) { return rngs_[index(fault)]; }
  // Nothing strikes any more: the world must come to rest.
  void calm() { calm_ = true; }
  bool is_calm() const { return calm_; }
  void enter(Phase phase) { phase_ = phase; }
  Phase phase() const { return phase_; }
  const Tally& tally() const { return tally_; }

 private:
  static std::size_t index(Fault fault) { return static_cast<std::size_t>(fault); }
  std::array<std::uint64_t, kFaults> one_in_{};
  std::vector<base::Rng> rngs_;
  Phase phase_ = Phase::Start;
  Tally tally_;
  bool calm_ = false;
};

}  // namespace moveout::sim
