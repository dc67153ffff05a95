// StreamCapture: a DynamoDB stream's shards in lineage order, folded into versioned changes (docs/consistency.md §2).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aws/dynamodb.h"
#include "aws/streams.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/task.h"
#include "item/change.h"

namespace moveout::capture {

// What one GetRecords page became. `checkpoint` is durable together with the changes or after them, never before.
struct CapturedPage {
  std::string shard;
  std::vector<item::Change>
      changes;                // those to be applied; records before the apply-from instant are folded, then left out
  std::uint64_t records = 0;  // in the page, applied or not
  std::pair<std::string, std::string> checkpoint;  // name "shard/<id>", value: see shard_state.h
  base::Instant newest{};                          // creation time of the newest record
};

// Where pages go: replay, or a journal.
class Sink {
 public:
  virtual ~Sink() = default;
  // contract: returns success when the page's changes and its checkpoint are durable. Called for one page of a shard at
  // a time, in order; for different shards at once. An error ends the capture.
  virtual base::Task<base::Result<>> deliver(CapturedPage page) = 0;
};

struct Config {
  std::string table;
  std::string stream_arn;
  item::KeySchema key;
  std::uint32_t era = 0;
  // The instant the era was opened (scan back-fill) or the exportTime: records created more than `margin` before it are
  // folded but not applied, and a trim there is no gap.
  base::Instant covered_until{};
  base::Millis margin{300000};
  bool level_triggered = false;  // KEYS_ONLY and OLD_IMAGE streams: changes are Touched
  base::Millis tip_wait{30000};  // 30 s on AWS, 1 s elsewhere
  int tip_pages = 5;             // 5 on AWS, 2 elsewhere
  // Where it is believed that a page which is far from full ends at the shard's present end, as an empty page does
  // (not on AWS): then such pages, for as long and as many as prove a tip, prove that a busy shard has passed an
  // instant.
  bool short_pages_tell = false;
  base::Millis poll_min{200};   // adaptive: from here, doubling on empty pages …
  base::Millis poll_max{1000};  // … to here; while in sync every open shard is polled at least once a second
  base::Millis discover_every{10000};
  base::Millis history_parent_wait{60000};  // an absent parent in two full listings this far apart is history
};

// The stream a table is captured by. `enabled_now`: it was switched on by this call.
struct OpenedStream {
  std::string arn;
  std::string view_type;
  bool enabled_now = false;
};

// Finds the table's stream, or switches one on (NEW_AND_OLD_IMAGES) when allowed, and waits until it is ENABLED.
// Usage when there is none and `may_enable` is false. An existing stream is reused, whatever its view.
base::Task<base::Result<OpenedStream>> open_stream(aws::DynamoDb& dynamodb, aws::Streams& streams, base::Clock& clock,
                                                   base::Log& log, std::string table, bool may_enable);

struct Progress {
  std::uint64_t records = 0;  // read in this process
  std::uint64_t shards_open = 0;
  std::uint64_t shards_done = 0;
  base::Millis lag{0};  // 0 at tip, else now − creation time of the oldest record not yet delivered
  // For how long a record that was read waits to be delivered, an open shard was not polled with success, or a finished
  // one's child was not listed: the longest.
  base::Millis behind{0};
};

// Single executor. Construct with the checkpoints that the target (or the state) holds: names "shard/…".
class StreamCapture {
 public:
  // table: when given, every discovery also asks whether the table is still there, with this stream and this key
  // (DynamoDB Local goes on describing the streams of tables that were dropped).
  StreamCapture(Config config, aws::Streams& streams, base::Clock& clock, base::Rng rng, base::Log& log, Sink& sink,
                std::map<std::string, std::string> checkpoints, aws::DynamoDb* table = nullptr);
  ~StreamCapture();
  // Follows the stream until cancelled. Errors: StreamGap (trimmed unread, parent missing, stream gone or another one),
  // what the sink or the client returned otherwise.
  base::Task<base::Result<>> run();
  // contract: true when every page of every open shard, for tip_wait and at least tip_pages of them, all requested
  // after `instant`, was empty, everything read was delivered, and a discovery begun after `instant` showed no unread
  // child.
  bool at_tip_since(base::Steady instant) const;
  // As at_tip_since, for shards that never rest: a record made after `instant` (5 s of clock skew allowed for) has been
  // delivered, and so has everything before it in that shard.
  bool passed_since(base::Steady instant) const;
  // passed_since() holds for every instant before this one; nothing when it holds for none.
  std::optional<base::Steady> passed_before() const;
  // Returns when passed_since(instant) holds; false when it does not come to hold within `patience`. Asks for a
  // discovery of its own.
  base::Task<bool> wait_for_pass(base::Steady instant, base::Millis patience);
  // Poll pacing for a hurry (a tip wanted now); true → poll_min everywhere.
  void hurry(bool on);
  Progress progress() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moveout::capture
