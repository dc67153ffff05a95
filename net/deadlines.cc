#include "net/deadlines.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace moveout::net {

struct Deadlines::State : std::enable_shared_from_this<State> {
  State(const base::Executor& executor, Expired e) : timer(executor), expired(std::move(e)) {}
  boost::asio::steady_timer timer;
  Expired expired;
  std::set<Watched*> watched;
  TimePoint armed = TimePoint::max();
  bool stopped = false;

  void arm(TimePoint at) {
    armed = at;
    timer.expires_at(at);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
      if (ec) return;
      if (const auto self = weak.lock(); self && !self->stopped) self->sweep();
    });
  }

  void sweep() {
    const std::shared_ptr<State> self = shared_from_this();
    const TimePoint now = std::chrono::steady_clock::now();
    armed = TimePoint::max();
    std::vector<Watched*> late;
    TimePoint next = TimePoint::max();
    for (Watched* one : watched) {
      if (one->deadline <= now) {
        late.push_back(one);
      } else {
        next = std::min(next, one->deadline);
      }
    }
    for (Watched* one : late) {
      if (!watched.contains(one)) continue;  // removed by a call before
      one->deadline = TimePoint::max();
      expired(*one);
    }
    if (next < armed && !stopped) arm(next);
  }
};

Deadlines::Deadlines(base::Executor executor, Expired expired)
    : state_(std::make_shared<State>(std::move(executor), std::move(expired))) {}

Deadlines::~Deadlines() { stop(); }

void Deadlines::add(Watched& watched) { state_->watched.insert(&watched); }

void Deadlines::remove(Watched& watched) { state_->watched.erase(&watched); }

void Deadlines::set(Watched& watched, TimePoint deadline) {
  watched.deadline = deadline;
  if (deadline < state_->armed && !state_->stopped) state_->arm(deadline);
}

void Deadlines::stop() {
  state_->stopped = true;
  state_->timer.cancel();
}

}  // namespace moveout::net
