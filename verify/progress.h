// Progress: how far a verification has come, kept so that a crash costs minutes and not the whole of it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "verify/spill.h"
#include "verify/verifier.h"

namespace moveout::verify {

enum class Phase : std::uint8_t {
  Source = 1,   // the source is being enumerated into the spill
  Target = 2,   // the target is
  Compare = 3,  // bucket by bucket; keys that differ go to the list of candidates
  Settle = 4    // candidates are settled
};

struct Progress {
  std::string identity;       // table, key, buckets: a progress of another identity is not ours to continue
  std::int64_t saved_us = 0;  // when it was written
  std::uint64_t seed = 0;
  std::uint64_t segments = 0;
  Phase phase = Phase::Source;

  std::vector<bool> segments_done;
  std::map<std::uint64_t, std::string> segments_open;  // begun: text of the last key
  std::string target_cursor;
  std::array<std::vector<std::uint64_t>, 2> spill_sizes;  // durable bytes of each file
  std::array<std::vector<BucketSum>, 2> sums;
  std::uint64_t files_compared = 0;
  std::uint64_t candidates_size = 0;  // durable bytes of the list
  std::uint64_t settled_size = 0;     // of these settled
  item::Hash128 candidates_sum;       // of the hashes of all candidates
  item::Hash128 settled_sum;          // of those settled: equal in the end, or the list is not what was written

  std::array<std::uint64_t, 2> items{};
  std::uint64_t source_bytes = 0;
  std::uint64_t candidates = 0;
  std::uint64_t compared = 0;
  Report report;
};

std::string encode(const Progress& progress, std::uint64_t sequence);
// Corrupt for anything but what encode() wrote, whole.
base::Result<Progress> decode(std::string_view bytes, std::uint64_t* sequence);

// Two files in turn: while one is written the other one is whole. Blocking.
class ProgressFile {
 public:
  ProgressFile(base::Disk& disk, std::string name) : disk_(disk), name_(std::move(name)) {}
  // The newest whole one, or nothing. Damage falls back to the one before, which is as good: spills only grow.
  base::Result<std::optional<Progress>> load();
  // Durable when it returns. Everything it speaks of has been synced before.
  base::Result<> save(const Progress& progress);
  // Durably nothing.
  base::Result<> clear();

 private:
  std::string file(std::uint64_t sequence) const { return name_ + ".progress." + std::to_string(sequence % 2); }
  base::Disk& disk_;
  std::string name_;
  std::uint64_t sequence_ = 0;
};

}  // namespace moveout::verify
