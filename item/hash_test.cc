#include "item/hash.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/rng.h"
#include "item/gen.h"
#include "item/json.h"

namespace moveout::item {
namespace {

const KeySchema kSchema{{"pk", KeyType::S}, {}};

TEST_CASE("equal items hash equal however they were written, others do not, and the seed matters") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    const Item a = random_item(rng, kSchema);
    const Item b = random_item(rng, kSchema);
    const Item again = parse_item(random_json(rng, a)).value();
    RC_ASSERT(canonical_hash(again, 7) == canonical_hash(a, 7));
    RC_ASSERT((canonical_hash(a, 7) == canonical_hash(b, 7)) == (a == b));
    RC_ASSERT(!(canonical_hash(a, 7) == canonical_hash(a, 8)));
  }));
}

TEST_CASE("sums carry, wrap at 2^128 and can be taken back") {
  Hash128 sum{0, UINT64_MAX};
  sum += Hash128{0, 1};
  CHECK(sum == Hash128{1, 0});
  sum -= Hash128{0, 1};
  CHECK(sum == Hash128{0, UINT64_MAX});
  sum = Hash128{UINT64_MAX, UINT64_MAX};
  sum += Hash128{0, 2};
  CHECK(sum == Hash128{0, 1});
  sum -= Hash128{0, 2};
  CHECK(sum == Hash128{UINT64_MAX, UINT64_MAX});
  CHECK(rc::check([](std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    using Wide = unsigned __int128;
    const auto wide = [](std::uint64_t high, std::uint64_t low) { return Wide{high} << 64 | low; };
    const Hash128 x{a, b};
    const Hash128 y{c, d};
    Hash128 both = x;
    both += y;
    RC_ASSERT(wide(both.high, both.low) == Wide(wide(a, b) + wide(c, d)));
    both -= y;
    RC_ASSERT(both == x);
  }));
}

TEST_CASE("the sum of a set does not depend on its order and sees a pair of equal additions") {
  const Hash128 a = hash_of("a", 1);
  const Hash128 b = hash_of("b", 1);
  Hash128 ab = a;
  ab += b;
  Hash128 ba = b;
  ba += a;
  CHECK(ab == ba);
  Hash128 abb = ab;
  abb += b;
  abb += b;
  CHECK_FALSE(abb == ab);
}

// XXH3-128 of the empty text with seed 0, from the algorithm's own test vectors.
TEST_CASE("the hash is XXH3-128") { CHECK(hash_of("", 0) == Hash128{0x99AA06D3014798D8ULL, 0x6001C324468D497FULL}); }

}  // namespace
}  // namespace moveout::item
