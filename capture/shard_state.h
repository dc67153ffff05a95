// What is kept of a shard, and of a lineage's start: the values of the checkpoints "shard/…".
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace moveout::capture {

inline constexpr std::string_view kShardPrefix = "shard/";
// The name of the lineage's start row. No shard id begins with '@'.
inline constexpr std::string_view kStartRow = "shard/@start";

// One row a shard, "shard/<id>": {"seq":"…","prev":N,"finished":b,"parent":"…","newest":µs,"seen":µs}.
// seq and prev belong together: a fold that goes on at seq from another prev gives other versions.
// Rows of finished shards stay for the whole run: a child that is listed late inherits from them.
struct ShardState {
  std::string seq;         // the last record delivered; empty: none yet
  std::int64_t prev = 0;   // the fold's last value, inherited from the parent before the first record
  bool finished = false;   // read to its end, all of it delivered
  std::string parent;      // empty: none
  base::Instant newest{};  // creation time of the last record delivered
  // Every record of this shard created before this instant has been delivered, as far as a tip can tell. Inherited from
  // the parent, whose records are older. Tells what a trim can have taken.
  base::Instant seen{};

  std::string encode() const;
  static base::Result<ShardState> decode(std::string_view text);  // Corrupt: nothing is guessed
  friend bool operator==(const ShardState&, const ShardState&) = default;
};

// Written once, when the first discovery is over: {"history":["…"],"closed":["…"]}.
struct StartRow {
  std::set<std::string> history;  // parents absent then: trimmed before this era began
  std::set<std::string> closed;   // shards closed already then: all they hold is older than the era's first discovery

  std::string encode() const;
  static base::Result<StartRow> decode(std::string_view text);
  friend bool operator==(const StartRow&, const StartRow&) = default;
};

}  // namespace moveout::capture
