// Compare: which keys differ between the two sides' spills, in bounded memory.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/task.h"
#include "base/worker.h"
#include "verify/spill.h"

namespace moveout::verify {

struct Compared {
  std::uint64_t matched = 0;     // keys with one equal record on each side
  std::uint64_t candidates = 0;  // all others
  item::Hash128 sum;             // of the candidates' hashes, to know them again
  Compared& operator+=(const Compared& other);
};
item::Hash128 candidate_hash(std::string_view key, std::uint64_t seed);

// Works on files; holds at most about `memory` bytes of records at once. A pair of files that is larger is cut into 64
// pairs by hash of the key, and those again.
class Comparer {
 public:
  Comparer(base::Disk& disk, base::Worker& worker, std::uint64_t seed, std::size_t memory, std::string candidates)
      : disk_(disk), worker_(worker), seed_(seed), memory_(memory), candidates_(std::move(candidates)) {}

  struct Files {
    std::string source;
    std::uint64_t source_size = 0;
    std::string target;
    std::uint64_t target_size = 0;
  };
  // Appends the keys that differ, of the buckets marked in `differs`, to the candidates file (not synced). `estimate`:
  // bytes of the records in those buckets. Corrupt when the files do not hold what the sums say.
  base::Task<base::Result<Compared>> compare(Files files, const std::vector<bool>& differs,
                                             const std::array<std::vector<BucketSum>, 2>& sums, std::uint64_t estimate);

 private:
  struct Loaded;
  base::Task<base::Result<Compared>> compare_level(Files files, const std::vector<bool>& differs,
                                                   std::uint64_t estimate, int level);
  base::Task<base::Result<Compared>> in_memory(Files files, const std::vector<bool>& differs);
  base::Task<base::Result<Compared>> in_parts(Files files, const std::vector<bool>& differs, int level);
  base::Task<base::Result<std::vector<std::uint64_t>>> cut(std::string name, std::uint64_t size,
                                                           const std::vector<bool>& differs, int level);
  base::Task<base::Result<>> load(std::string name, std::uint64_t size, const std::vector<bool>& differs, Side side,
                                  Loaded& loaded);
  base::Result<Compared> merge(Loaded& source, Loaded& target);

  base::Disk& disk_;
  base::Worker& worker_;
  std::uint64_t seed_;
  std::size_t memory_;
  std::string candidates_;
  std::array<std::vector<BucketSum>, 2> seen_;  // of what was loaded
};

}  // namespace moveout::verify
