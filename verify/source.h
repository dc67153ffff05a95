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

// One item now.
struct Image {
  item::Hash128 hash;
  std::optional<std::int64_t> expires_at;  // where learn_ttl() found that the table has a TTL
};

using Images = std::vector<std::optional<Image>>;

// Single executor; many reads may be under way at once. Throttles slow it down and are not errors.
class Source {
 public:
  Source(const Config& config, aws::DynamoDb& db, base::Clock& clock, base::Rng rng, base::Log& log)
      : config_(config), db_(db), clock_(clock), rng_(rng), log_(log), rate_(config.max_rcu) {}

  base::Task<base::Result<aws::ItemsPage>> scan(std::uint64_t segment, std::uint64_t segments, std::string start_key);
  // Each key's item now, nothing for absent ones; in the order of the keys, which are sorted and distinct.
  base::Task<base::Result<Images>> images(std::vector<item::Key> keys, std::uint64_t seed);
  // Asks for the table's TTL attribute, unless that was done lately. Without an answer nothing expires: then more is
  // called a difference, not less.
  base::Task<> learn_ttl();
  const std::string& ttl_attribute() const { return ttl_attribute_; }
  // What the target should hold for this text of an item.
  base::Result<item::Hash128> hash_of(std::string_view item_json, std::uint64_t seed) const;

  item::Hash128 hash_of(const item::Item& item, std::uint64_t seed) const;

  // How many keys to read at once, so that what comes back stays within a few MB.
  std::size_t group() const;
  double consumed_rcu() const { return consumed_rcu_; }

 private:
  base::Task<double> turn();
  void spent(double reserved, aws::ItemsPage& page);
  void throttled();
  base::Task<base::Result<Images>> read_group(std::vector<item::Key> keys, std::uint64_t seed);
  base::Task<base::Result<>> read_groups(const std::vector<item::Key>& keys, std::uint64_t seed, std::size_t& next,
                                         Images& out);
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
  std::string ttl_attribute_;
  std::optional<base::Steady> ttl_learned_;
};

}  // namespace moveout::verify
