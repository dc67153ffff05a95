// Deadlines: when each of many connections must be over, on one timer. Internal to net/.
#pragma once

#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <set>

#include "base/task.h"

namespace moveout::net {

using TimePoint = std::chrono::steady_clock::time_point;

// One executor. Setting a deadline later than another that stands costs no system call and no timer operation, which
// is what happens for almost every request.
class Deadlines {
 public:
  // What has one: a base of the object that is watched.
  struct Watched {
    TimePoint deadline = TimePoint::max();
  };
  // Called once for each that is late, from the executor; it may remove any, itself too.
  using Expired = std::function<void(Watched&)>;

  Deadlines(base::Executor executor, Expired expired);
  ~Deadlines();

  void add(Watched& watched);
  void remove(Watched& watched);
  // TimePoint::max() for none.
  void set(Watched& watched, TimePoint deadline);
  // Nothing expires from now on.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moveout::net
