#include "target/dynamodb/pacer.h"

#include <algorithm>

namespace moveout::target::dynamodb {
namespace {

// The quickest answer is forgotten after two windows: servers and networks change.
constexpr base::Micros kWindow{10'000'000};
// So many requests may queue at the server; more than the upper bound are too many (TCP Vegas' alpha and beta).
constexpr double kQueueMin = 3;
constexpr double kQueueMax = 8;
// Below this share of refused units a table takes what it can and says no to a burst; above it the rate is too high.
constexpr double kRefusedShare = 0.3;
constexpr base::Micros kCountFor{500'000};
constexpr int kAnswersMin = 8;

}  // namespace

bool Pacer::may_add(std::size_t bytes) const {
  return under_way_ < limit_ && (bytes_ == 0 || bytes_ + bytes <= options_.bytes_max);
}

double Pacer::begin(std::size_t bytes, base::Steady now) {
  bytes_ += bytes;
  return rate_.reserve(now);
}

void Pacer::end(double reserved, std::size_t bytes, double units, double refused, base::Micros took, base::Steady now) {
  bytes_ -= bytes;
  rate_.settle(reserved, units - refused, now);
  learn_refusals(units, refused, now);
  learn_latency(took, now);
}

void Pacer::learn_refusals(double units, double refused, base::Steady now) {
  asked_ += units;
  refused_ += refused;
  if (++answers_ < kAnswersMin || now - counted_since_ < kCountFor) return;
  if (refused_ > asked_ * kRefusedShare) rate_.throttled(now);
  counted_since_ = now;
  answers_ = 0;
  asked_ = refused_ = 0;
}

void Pacer::learn_latency(base::Micros took, base::Steady now) {
  took = std::max(took, base::Micros(1));
  if (quickest_ == base::Micros(0) || took < quickest_) quickest_ = took;
  if (now - window_begin_ > kWindow) {
    window_begin_ = now;
    quickest_before_ = quickest_;
    quickest_ = took;
  }
  round_sum_ += took;
  if (++round_count_ < limit_) return;
  const double mean = static_cast<double>(round_sum_.count()) / round_count_;
  round_sum_ = base::Micros(0);
  round_count_ = 0;
  const base::Micros best = quickest_before_ == base::Micros(0) ? quickest_ : std::min(quickest_, quickest_before_);
  const double queued = limit_ * (1 - static_cast<double>(best.count()) / mean);
  if (queued < kQueueMin) {
    limit_ += growing_ ? limit_ : std::max(1, limit_ / 8);
  } else {
    growing_ = false;
    if (queued > kQueueMax) limit_ -= std::max(1, limit_ / 8);
  }
  limit_ = std::clamp(limit_, options_.under_way_min, options_.under_way_max);
}

}  // namespace moveout::target::dynamodb
