#include "base/signal.h"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace moveout::base {

namespace asio = boost::asio;
using boost::system::error_code;
using Handler = asio::any_completion_handler<void(error_code)>;

struct Signal::State {
  struct Waiter {
    std::uint64_t id;
    Handler handler;
  };
  Executor executor;
  std::list<Waiter> waiting;
  std::uint64_t id_next = 1;

  void complete(Handler handler, error_code ec) { asio::post(executor, asio::append(std::move(handler), ec)); }
  void cancel(std::uint64_t id) {
    for (auto it = waiting.begin(); it != waiting.end(); ++it) {
      if (it->id != id) continue;
      Handler handler = std::move(it->handler);
      waiting.erase(it);
      complete(std::move(handler), asio::error::operation_aborted);
      return;
    }
  }
};

Signal::Signal(Executor executor) : state_(std::make_shared<State>()) { state_->executor = std::move(executor); }

// A waiter's frame holds the state that holds the waiter: let go of both.
Signal::~Signal() {
  std::list<State::Waiter> abandoned;
  abandoned.swap(state_->waiting);
}

void Signal::notify_all() {
  std::list<State::Waiter> woken;
  woken.swap(state_->waiting);
  for (State::Waiter& waiter : woken) state_->complete(std::move(waiter.handler), error_code());
}

Task<> Signal::wait() {
  std::shared_ptr<State> state = state_;
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void(error_code)>(
      [state](auto handler) {
        const std::uint64_t id = state->id_next++;
        // The type-erased handler takes the coroutine's slot over and offers one of its own: erase first, then assign.
        Handler erased(std::move(handler));
        auto slot = asio::get_associated_cancellation_slot(erased);
        if (slot.is_connected()) {
          slot.assign([weak = std::weak_ptr<State>(state), id](asio::cancellation_type) {
            if (auto live = weak.lock()) live->cancel(id);
          });
        }
        state->waiting.push_back({id, std::move(erased)});
      },
      asio::use_awaitable);
}

}  // namespace moveout::base
