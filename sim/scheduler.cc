#include "sim/scheduler.h"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace moveout::sim {

namespace asio = boost::asio;
using boost::system::error_code;
using Handler = asio::any_completion_handler<void(error_code)>;

namespace {
constexpr std::uint64_t kHandlersAnInstantMax = 1'000'000;
}

// Those who wait for a time, by the order of asking. The timer holds only the number, so a cancelled sleep leaves a
// timer that finds nobody.
struct Scheduler::Sleepers {
  base::Executor executor;
  std::map<std::uint64_t, Handler> waiting;
  std::uint64_t next = 1;

  void wake(std::uint64_t id, error_code ec) {
    auto it = waiting.find(id);
    if (it == waiting.end()) return;
    Handler handler = std::move(it->second);
    waiting.erase(it);
    asio::post(executor, asio::append(std::move(handler), ec));
  }
};

Scheduler::Scheduler() : context_(1), work_(context_.get_executor()), sleepers_(std::make_shared<Sleepers>()) {
  sleepers_->executor = context_.get_executor();
}

Scheduler::~Scheduler() {
  timers_.clear();
  std::map<std::uint64_t, Handler> abandoned;
  abandoned.swap(sleepers_->waiting);
}

void Scheduler::call_at(Micros when, std::move_only_function<void()> action) {
  timers_.emplace(std::pair(std::max(when, now_), ++sequence_), std::move(action));
}

Task<> Scheduler::sleep_until(Micros when) {
  std::shared_ptr<Sleepers> sleepers = sleepers_;
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void(error_code)>(
      [this, sleepers, when](auto handler) {
        const std::uint64_t id = sleepers->next++;
        // As in base/signal.cc: the type-erased handler takes the coroutine's slot over and offers one of its own.
        Handler erased(std::move(handler));
        auto slot = asio::get_associated_cancellation_slot(erased);
        if (slot.is_connected()) {
          slot.assign([weak = std::weak_ptr<Sleepers>(sleepers), id](asio::cancellation_type) {
            if (auto live = weak.lock()) live->wake(id, asio::error::operation_aborted);
          });
        }
        sleepers->waiting.emplace(id, std::move(erased));
        call_at(when, [weak = std::weak_ptr<Sleepers>(sleepers), id] {
          if (auto live = weak.lock()) live->wake(id, error_code());
        });
      },
      asio::use_awaitable);
}

bool Scheduler::run_ready() {
  std::uint64_t ran = 0;
  while (context_.poll_one() != 0) {
    if (++ran > kHandlersAnInstantMax) return false;
  }
  handlers_ += ran;
  return true;
}

Scheduler::End Scheduler::run_until(const std::function<bool()>& done, Micros limit) {
  std::uint64_t actions_now = 0;
  for (;;) {
    if (!run_ready()) return End::Livelock;
    if (done()) return End::Done;
    if (timers_.empty()) return End::Idle;
    auto next = timers_.begin();
    if (next->first.first > limit) return End::TimeUp;
    actions_now = next->first.first == now_ ? actions_now + 1 : 0;
    if (actions_now > kHandlersAnInstantMax) return End::Livelock;
    now_ = next->first.first;
    auto action = std::move(next->second);
    timers_.erase(next);
    action();
  }
}

}  // namespace moveout::sim
