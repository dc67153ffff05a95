#include "item/hash.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <string>

#include "item/json.h"

namespace moveout::item {

Hash128& Hash128::operator+=(const Hash128& other) {
  low += other.low;
  high += other.high + (low < other.low ? 1 : 0);
  return *this;
}

Hash128& Hash128::operator-=(const Hash128& other) {
  high -= other.high + (low < other.low ? 1 : 0);
  low -= other.low;
  return *this;
}

Hash128 hash_of(std::string_view bytes, std::uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return Hash128{hash.high64, hash.low64};
}

Hash128 canonical_hash(const Item& item, std::uint64_t seed) {
  std::string text;
  text.reserve(512);
  append_json(text, item);
  return hash_of(text, seed);
}

}  // namespace moveout::item
