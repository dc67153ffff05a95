// RetryTokens: what keeps retries from becoming the load (standard retry mode of the AWS SDKs: 500 tokens a client).
#pragma once

#include <algorithm>

namespace moveout::aws {

class RetryTokens {
 public:
  static constexpr int kCapacity = 500;
  static constexpr int kRetry = 14;    // after no answer, a 5xx, a damaged page
  static constexpr int kThrottle = 5;  // after a throttle
  static constexpr int kSuccess = 1;   // given back by a success that needed no retry

  // False, and nothing taken, when there are not so many.
  bool take(int cost) {
    if (left_ < cost) return false;
    left_ -= cost;
    return true;
  }
  // A success: `spent` is what its latest retry took, 0 when it had none.
  void refund(int spent) { left_ = std::min(kCapacity, left_ + std::max(spent, kSuccess)); }
  int left() const { return left_; }

 private:
  int left_ = kCapacity;
};

}  // namespace moveout::aws
