// Canonical hash: equal items, and only those, hash equal (but for a chance of 2^-128).
#pragma once

#include <cstdint>
#include <string_view>

#include "item/value.h"

namespace moveout::item {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
  // Sum modulo 2^128: the hash of a multiset (sum, not XOR: a pair of equal mistakes must not cancel out).
  Hash128& operator+=(const Hash128& other);
  Hash128& operator-=(const Hash128& other);
};

// XXH3-128 over the canonical JSON (item/json.h), seeded so that no hostile item can be made to collide in advance.
Hash128 hash_of(std::string_view bytes, std::uint64_t seed);
Hash128 canonical_hash(const Item& item, std::uint64_t seed);

}  // namespace moveout::item
