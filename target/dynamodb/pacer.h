// Pacer: how many requests may be under way, found by their latency, and how fast capacity may be spent, found by
// throttles.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/rate.h"

namespace moveout::target::dynamodb {

struct PacerOptions {
  double ceiling = 0;  // write units a second; 0 = none
  int under_way_min = 4;
  int under_way_max = 64;
  std::size_t bytes_max = std::size_t{8} << 20;  // of the requests under way, beyond the first
};

// Pure: the caller passes the time and does the waiting. Single executor.
// The number under way: requests that queue at the server (or here) only wait, so it grows while an answer takes about
// as long as the quickest ones do, and shrinks when the excess says that more than a few of them queue.
class Pacer {
 public:
  explicit Pacer(PacerOptions options) : options_(options), rate_(options.ceiling), limit_(options.under_way_min) {}

  bool may_add(std::size_t bytes) const;
  bool too_many() const { return under_way_ > limit_; }
  int limit() const { return limit_; }
  int under_way() const { return under_way_; }

  // One more sender, who has one request at a time under way.
  void joined() { ++under_way_; }
  void left() { --under_way_; }

  // The instant from which a request may be sent; not after `now` = send it.
  base::Steady ready_at(base::Steady now) { return rate_.ready_at(now); }
  // Before a request is sent, and after its answer. `units` were asked for; `refused` of them were throttled.
  double begin(std::size_t bytes, base::Steady now);
  void end(double reserved, std::size_t bytes, double units, double refused, base::Micros took, base::Steady now);
  double units_a_second(base::Steady now) { return rate_.allowed(now); }

 private:
  void learn_latency(base::Micros took, base::Steady now);
  void learn_refusals(double units, double refused, base::Steady now);

  PacerOptions options_;
  base::Rate rate_;
  int limit_;
  int under_way_ = 0;
  std::size_t bytes_ = 0;
  // Latency: the quickest of this window and of the one before, and the mean of one round.
  base::Steady window_begin_{};
  base::Micros quickest_{0}, quickest_before_{0};
  base::Micros round_sum_{0};
  int round_count_ = 0;
  bool growing_ = true;  // doubling, until requests queue for the first time
  // Refusals since `counted_since_`.
  base::Steady counted_since_{};
  int answers_ = 0;
  double asked_ = 0, refused_ = 0;
};

}  // namespace moveout::target::dynamodb
