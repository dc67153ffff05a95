// Rate: how fast capacity units may be spent: a token bucket under a ceiling, and AIMD when the server throttles.
#pragma once

#include "base/clock.h"

namespace moveout::base {

// Pure: the caller passes the time and does the waiting. Not for two executors at once.
// A request is admitted at ready_at(), reserves what it is expected to cost, and is settled with what it did cost; so
// many workers together stay under the rate, and over any time no more than one request beyond it is spent.
class Rate {
 public:
  // ceiling: units a second, 0 = none (then only throttles slow it down).
  explicit Rate(double ceiling = 0);
  void set_ceiling(double ceiling, Steady now);
  double ceiling() const { return ceiling_; }

  // The instant from which one more request may be sent; not after `now` = send it.
  Steady ready_at(Steady now);
  // Takes what the next request is expected to cost; returned to settle() or give_back().
  double reserve(Steady now);
  void settle(double reserved, double spent, Steady now);
  // The request spent nothing (it failed).
  void give_back(double reserved);
  // The server said no: the rate is halved, once for all who hear it within a second.
  void throttled(Steady now);

  // Units a second allowed now; 0 = as fast as it goes.
  double allowed(Steady now);

 private:
  void refill(Steady now);
  void measure(double spent, Steady now);

  double ceiling_;
  double allowed_;           // 0 = no limit is known
  double step_ = 0;          // added each second after a throttle
  double tokens_ = 0;        // may be negative: what was admitted is paid for afterwards
  double expected_ = 1;      // cost of a request, a moving mean
  double measured_ = 0;      // units a second, over the last window
  double window_spent_ = 0;  // in the window under way
  Steady window_begin_{};
  Steady refilled_{};
  Steady throttled_{};
  bool started_ = false;
  bool was_throttled_ = false;
};

// How many items a page may hold so that it costs no more than a second of what is allowed; 0 = no limit needed (a page
// of the server's own size fits, at most 256 units) or none is set. units_per_item 0 = not known yet: one each.
int page_limit(double allowed, double units_per_item);

}  // namespace moveout::base
