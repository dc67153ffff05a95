// Columns: what a target table makes of an item's attributes (product.md, "What an item becomes").
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "item/key.h"
#include "item/value.h"

namespace moveout::schema {

struct Column {
  std::string attribute;            // its name in the item and in the target: they are the same
  item::Type type = item::Type::S;  // S, N, B or Bool
  bool key = false;
  friend bool operator==(const Column&, const Column&) = default;
};

// Key columns first (partition, sort), then attributes; every other attribute lives in the overflow column
// `attributes`.
struct Columns {
  std::vector<Column> columns;
  friend bool operator==(const Columns&, const Columns&) = default;
};

std::string to_text(const Columns& columns);  // JSON, for state and targets
base::Result<Columns> from_text(std::string_view text);

enum class Dialect { Sqlite };

// Infers columns from sampled items: attributes seen in ≥ 10 % of them, at most 64 beside the keys, the most frequent
// scalar type (S, N, B, BOOL) each; none where that is not a scalar. Names the dialect cannot hold, or that collide,
// stay in the overflow.
class Sampler {
 public:
  explicit Sampler(item::KeySchema key) : key_(std::move(key)) {}
  // One item's JSON text. Corrupt as item::for_each_attribute.
  base::Result<> see(std::string_view item_json);
  std::uint64_t seen() const { return seen_; }
  Columns columns(Dialect dialect) const;

 private:
  item::KeySchema key_;
  std::uint64_t seen_ = 0;
  std::map<std::string, std::map<item::Type, std::uint64_t>> counts_;
};

// `columns: none`: the keys and the overflow.
Columns keys_only(const item::KeySchema& key);

// Usage when a key cannot stand in the target (its name collides with moveout's own or with the other key), naming
// `to`/rename.
base::Result<> check_keys(const item::KeySchema& key, Dialect dialect);
// Usage when the target cannot hold a table of that name.
base::Result<> check_table_name(std::string_view table, Dialect dialect);

}  // namespace moveout::schema
