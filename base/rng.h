// Rng: the only source of chance. A seed gives the same numbers everywhere.
#pragma once

#include <cstdint>
#include <utility>

namespace moveout::base {

// xoshiro256** seeded by splitmix64 (Blackman, Vigna 2018). Not for secrets.
class Rng {
 public:
  explicit Rng(std::uint64_t seed);
  std::uint64_t next();
  // Uniform in [0, bound); 0 for bound 0.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [0, 1).
  double unit();
  // True once in `one_in` on average; never for 0.
  bool chance(std::uint64_t one_in) { return one_in != 0 && below(one_in) == 0; }
  // A generator of its own, so that a new user of chance does not shift everyone else's numbers.
  Rng fork() { return Rng(next()); }

  template <class Container>
  void shuffle(Container& container) {
    for (std::size_t i = container.size(); i > 1; --i) std::swap(container[i - 1], container[below(i)]);
  }

 private:
  std::uint64_t state_[4];
};

}  // namespace moveout::base
