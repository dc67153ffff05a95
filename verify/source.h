// Source: the verifier's own way to read the source: strong, paced, and hashed at once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "aws/dynamodb.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rate.h"
#include "base/rng.h"
#include "base/task.h"
#include "item/hash.h"
#include "verify/verifier.h"

namespace moveout::verify {

// Single executor; many reads may be under way at once. Throttles slow it down and are not errors.
class Source {
 public:
  Source(const Config& config, aws::DynamoDb& db, base::Clock& clock, base::Rng rng, base::Log& log)
      : config_(config), db_(db), clock_(clock), rng_(rng), log_(log), rate_(config.max_rcu) {}

  base::Task<base::Result<aws::ItemsPage>> scan(std::uint64_t segment, std::uint64_t segments, std::string start_key);
  // The hash of each key's item now, nothing for absent ones; in the order of the keys, which are sorted and distinct.
  base::Task<base::Result<std::vector<std::optional<item::Hash128>>>> hashes(std::vector<item::Key> keys,
                                                                             std::uint64_t seed);
  // What the target should hold for this text of an item.
  base::Result<item::Hash128> hash_of(std::string_view item_json, std::uint64_t seed) const;

  // How many keys to read at once, so that what comes back stays within a few MB.
  std::size_t group() const;
  double consumed_rcu() const { return consumed_rcu_; }

 private:
  base::Task<double> turn();
  void spent(double reserved, aws::ItemsPage& page);
  void throttled();
  base::Task<base::Result<std::vector<std::optional<item::Hash128>>>> hash_group(std::vector<item::Key> keys,
                                                                                 std::uint64_t seed);
  base::Task<base::Result<>> hash_groups(const std::vector<item::Key>& keys, std::uint64_t seed, std::size_t& next,
                                         std::vector<std::optional<item::Hash128>>& out);
  base::Task<base::Result<aws::ItemsPage>> get(const std::vector<item::Key>& keys);

  const Config& config_;
  aws::DynamoDb& db_;
  base::Clock& clock_;
  base::Rng rng_;
  base::Log& log_;
  base::Rate rate_;
  double consumed_rcu_ = 0;
  double items_seen_ = 0;
  double bytes_seen_ = 0;
};

}  // namespace moveout::verify
