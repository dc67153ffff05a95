// Stream: one stream of one simulated table: shards with lineage, records, what DescribeStream shows of them, trimming.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "sim/faults.h"
#include "sim/sim_clock.h"

namespace moveout::sim {

using Text = std::shared_ptr<const std::string>;  // null: absent

// Wider than any 64-bit integer: as decimals they have 21 digits and more.
using Sequence = unsigned __int128;
std::string to_string(Sequence sequence);

enum class View : std::uint8_t { NewAndOldImages, NewImage, OldImage, KeysOnly };
std::string_view name_of(View view);

struct StreamRecord {
  Sequence sequence;
  Micros written;          // true time
  Micros visible;          // readers see it from then on
  std::int64_t created_s;  // ApproximateCreationDateTime, by the node's clock, floored
  std::string_view event;  // INSERT, MODIFY, REMOVE
  Text keys, new_image, old_image;
  bool ttl = false;
};

struct StreamShard {
  std::string id;
  std::string parent;
  std::uint64_t low = 0, high = 0;  // hashes of partition keys, inclusive
  Sequence start = 0;
  Sequence next = 0;
  std::vector<StreamRecord> records;
  std::size_t trimmed = 0;  // records before this index are gone
  Micros clock_offset{0};
  Micros opened{0};
  std::optional<Micros> closed;
  Micros described{0};      // shown by DescribeStream from then on
  Micros end_described{0};  // … as closed
  Micros missing_from{0}, missing_to{0};
  std::optional<Micros> empty_since;  // its pages are empty since then although it has records
};

struct StreamOptions {
  Micros retention{std::chrono::hours(24)};
  int shards = 1;
  Micros visible_after_max{200'000};
  Micros child_hidden_max{180'000'000};
  bool ids_in_order = true;
  bool sequences_grow = false;  // every shard's sequence numbers gain a digit soon
  // For how long pages may be empty although there are records: less than what proves a tip.
  Micros empty_max{600'000};
};

class Stream {
 public:
  Stream(Scheduler& scheduler, Faults& faults, base::Rng rng, StreamOptions options, std::string arn, std::string label,
         std::string table, View view);

  // `hash` of the partition key chooses the shard. Nothing when the stream is off.
  void append(std::uint64_t hash, std::string_view event, Text keys, Text new_image, Text old_image, bool ttl);
  // Closes a shard that is open and opens its one child, or two.
  void roll(std::size_t open_index, bool split);
  void roll_all();
  std::size_t open_shards() const;
  // No more records; open shards close. Those that are there stay until they are trimmed.
  void switch_off();
  bool on() const { return on_; }
  // Forgets what is older than the retention.
  void trim();

  const std::string& arn() const { return arn_; }
  const std::string& label() const { return label_; }
  const std::string& table() const { return table_; }
  View view() const { return view_; }
  const std::vector<std::unique_ptr<StreamShard>>& shards() const { return shards_; }
  StreamShard* shard(std::string_view id);
  Micros off_at() const { return off_at_; }
  const StreamOptions& options() const { return options_; }

 private:
  StreamShard& open_shard(std::string parent, std::uint64_t low, std::uint64_t high, Sequence after);

  Scheduler& scheduler_;
  Faults& faults_;
  base::Rng rng_;
  StreamOptions options_;
  std::string arn_, label_, table_;
  View view_;
  bool on_ = true;
  Micros off_at_{0};
  std::vector<std::unique_ptr<StreamShard>> shards_;
  std::uint64_t shard_number_ = 0;
};

}  // namespace moveout::sim
