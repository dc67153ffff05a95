#include "item/hash.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <string>

#include "item/json.h"

namespace moveout::item {
namespace {

constexpr std::size_t kBufferKept = 64 << 10;

}  // namespace

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
  // A buffer a thread: a verification hashes every item of both sides.
  thread_local std::string text;
  text.clear();
  append_json(text, item);
  const Hash128 hash = hash_of(text, seed);
  if (text.capacity() > kBufferKept) text = {};
  return hash;
}

}  // namespace moveout::item
