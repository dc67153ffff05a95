#include "base/rate.h"

#include <algorithm>
#include <cmath>

namespace moveout::base {
namespace {

constexpr double kBurstSeconds = 0.25;           // what an idle quarter of a second saves up
constexpr Micros kDecreaseOnce{1'000'000};       // workers throttled together are one sign
constexpr double kDecrease = 0.5;                // multiplicative
constexpr double kIncreasePerSecond = 1.0 / 60;  // additive: from the half back to the whole in half a minute
constexpr double kFloor = 1;                     // a unit a second: slower would look like a stop
constexpr Micros kWindow{1'000'000};

double seconds(Micros time) { return static_cast<double>(time.count()) / 1e6; }

}  // namespace

Rate::Rate(double ceiling) : ceiling_(std::max(0.0, ceiling)), allowed_(ceiling_) {}

void Rate::set_ceiling(double ceiling, Steady now) {
  refill(now);
  ceiling_ = std::max(0.0, ceiling);
  // A rate learnt from throttles stays learnt; without one the ceiling is the rate.
  if (!was_throttled_) {
    allowed_ = ceiling_;
    tokens_ = std::min(tokens_, allowed_ * kBurstSeconds);
  } else if (ceiling_ > 0) {
    allowed_ = std::min(allowed_, ceiling_);
  }
}

void Rate::refill(Steady now) {
  if (!started_) {
    started_ = true;
    refilled_ = window_begin_ = now;
    return;
  }
  const double passed = seconds(now - refilled_);
  if (passed <= 0) return;
  refilled_ = now;
  if (allowed_ <= 0) {
    tokens_ = 0;
    return;
  }
  if (was_throttled_) {
    allowed_ += step_ * passed;
    if (ceiling_ > 0) allowed_ = std::min(allowed_, ceiling_);
  }
  tokens_ = std::min(tokens_ + allowed_ * passed, allowed_ * kBurstSeconds);
}

Steady Rate::ready_at(Steady now) {
  refill(now);
  if (allowed_ <= 0 || tokens_ >= 0) return now;
  return now + Micros(static_cast<std::int64_t>(std::ceil(-tokens_ / allowed_ * 1e6)));
}

double Rate::reserve(Steady now) {
  refill(now);
  tokens_ -= expected_;
  return expected_;
}

void Rate::settle(double reserved, double spent, Steady now) {
  refill(now);
  tokens_ += reserved - spent;
  expected_ = expected_ * 0.75 + spent * 0.25;
  measure(spent, now);
}

void Rate::give_back(double reserved) { tokens_ += reserved; }

void Rate::measure(double spent, Steady now) {
  const Micros open = now - window_begin_;
  if (open >= kWindow) {
    measured_ = window_spent_ / seconds(open);
    window_spent_ = 0;
    window_begin_ = now;
  }
  window_spent_ += spent;
}

void Rate::throttled(Steady now) {
  refill(now);
  if (was_throttled_ && now - throttled_ < kDecreaseOnce) return;
  double before = allowed_;
  if (before <= 0) {
    // No rate was known: what went through lately is the best measure of what the server bears.
    const double open = std::max(seconds(now - window_begin_), seconds(kWindow) / 10);
    before = std::max(measured_, window_spent_ / open);
  }
  if (!was_throttled_) step_ = 0;
  was_throttled_ = true;
  throttled_ = now;
  allowed_ = std::max(kFloor, before * kDecrease);
  step_ = std::max({step_ / 2, before * kIncreasePerSecond, kFloor});
  tokens_ = std::min(tokens_, 0.0);
}

double Rate::allowed(Steady now) {
  refill(now);
  return allowed_;
}

int page_limit(double allowed, double units_per_item) {
  constexpr double kPageUnits = 256;  // 1 MB read strongly, at 4 KB a unit
  if (allowed <= 0 || allowed >= kPageUnits) return 0;
  if (units_per_item <= 0) units_per_item = 1;
  return static_cast<int>(std::clamp(allowed / units_per_item, 1.0, 100'000.0));
}

}  // namespace moveout::base
