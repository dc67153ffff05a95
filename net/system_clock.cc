#include "net/system_clock.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace moveout::net {

base::Instant SystemClock::now() const {
  return std::chrono::time_point_cast<base::Micros>(std::chrono::system_clock::now());
}

base::Steady SystemClock::steady() const {
  return std::chrono::time_point_cast<base::Micros>(std::chrono::steady_clock::now());
}

base::Task<> SystemClock::sleep_until(base::Steady until) {
  boost::asio::steady_timer timer(co_await base::this_executor);
  // "For ever" must not overflow the timer's nanoseconds.
  timer.expires_at(std::min(until, steady() + std::chrono::days(365)));
  co_await timer.async_wait(boost::asio::use_awaitable);
}

}  // namespace moveout::net
