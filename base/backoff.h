// Backoff: how long to wait before the next try. Full jitter, so that those throttled together do not return together.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/rng.h"

namespace moveout::base {

struct BackoffPolicy {
  Millis base{25};    // 25 ms for DynamoDB, 1 s when throttled (AWS standard retry mode)
  Millis cap{20000};  // no single wait is longer
};

class Backoff {
 public:
  Backoff(BackoffPolicy policy, Rng& rng) : policy_(policy), rng_(rng) {}
  // rand(0,1) · min(base · 2^(n−1), cap) for the n-th call, in µs.
  Micros next() {
    const std::int64_t ceiling =
        std::min<std::int64_t>(Micros(policy_.base).count() << std::min(n_, 20), Micros(policy_.cap).count());
    ++n_;
    return Micros(static_cast<std::int64_t>(rng_.unit() * static_cast<double>(ceiling)));
  }
  int tries() const { return n_; }
  void reset() { n_ = 0; }

 private:
  BackoffPolicy policy_;
  Rng& rng_;
  int n_ = 0;
};

}  // namespace moveout::base
