#include "base/task_group.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <list>
#include <optional>

#include "base/signal.h"

namespace moveout::base {

namespace asio = boost::asio;

struct TaskGroup::State {
  explicit State(Executor e) : executor(e), changed(e) {}
  Executor executor;
  Signal changed;
  std::list<asio::cancellation_signal> running;
  std::optional<Error> first_error;
  bool stopping = false;
  bool main_ended = false;

  void cancel_all() {
    stopping = true;
    // emit() may complete nothing synchronously (every wait resumes by a post), so the list is stable here.
    for (asio::cancellation_signal& signal : running) signal.emit(asio::cancellation_type::terminal);
  }
};

TaskGroup::TaskGroup(Executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

TaskGroup::~TaskGroup() = default;

std::size_t TaskGroup::size() const { return state_->running.size(); }

bool TaskGroup::failed() const { return state_->first_error.has_value(); }

namespace {
// co_spawn runs a coroutine at once up to its first wait; and one that is cancelled before that wait throws out of the
// executor. This is the first wait of each.
Task<Result<>> after_post(Task<Result<>> task) {
  co_await asio::post(asio::use_awaitable);
  co_return co_await std::move(task);
}
}  // namespace

void TaskGroup::start(Task<Result<>> task) {
  std::shared_ptr<State> state = state_;
  state->running.emplace_back();
  auto slot = std::prev(state->running.end());
  asio::co_spawn(state->executor, after_post(std::move(task)),
                 asio::bind_cancellation_slot(slot->slot(), [state, slot](std::exception_ptr thrown, Result<> result) {
                   state->running.erase(slot);
                   if (thrown) {
                     try {
                       std::rethrow_exception(thrown);
                     } catch (const boost::system::system_error& e) {
                       if (e.code() != asio::error::operation_aborted) throw;
                     }
                   } else if (!result && !state->first_error) {
                     state->first_error = result.error();
                   }
                   state->changed.notify_all();
                 }));
  if (state->stopping) slot->emit(asio::cancellation_type::terminal);
}

Task<Result<>> TaskGroup::wait_until(Until until) {
  std::shared_ptr<State> state = state_;
  std::exception_ptr cancelled;
  try {
    while (!state->running.empty()) {
      const bool over =
          (until != Until::AllEnded && state->first_error) || (until == Until::MainEnded && state->main_ended);
      if (over && !state->stopping) state->cancel_all();
      co_await state->changed.wait();
    }
  } catch (const boost::system::system_error&) {
    cancelled = std::current_exception();
  }
  if (cancelled) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    state->cancel_all();
    while (!state->running.empty()) co_await state->changed.wait();
    std::rethrow_exception(cancelled);
  }
  if (state->first_error) co_return fail(*state->first_error);
  co_return Result<>();
}

Task<Result<>> TaskGroup::wait() { return wait_until(Until::AllEnded); }

Task<Result<>> TaskGroup::wait_or_stop() { return wait_until(Until::FirstError); }

namespace {
Task<Result<>> mark_end(Task<Result<>> main, std::function<void()> ended) {
  Result<> result = co_await std::move(main);
  ended();
  co_return result;
}
}  // namespace

Task<Result<>> TaskGroup::run_beside(Task<Result<>> main) {
  std::shared_ptr<State> state = state_;
  start(mark_end(std::move(main), [state] { state->main_ended = true; }));
  return wait_until(Until::MainEnded);
}

Task<> TaskGroup::stop() {
  std::shared_ptr<State> state = state_;
  if (!state->stopping) state->cancel_all();
  while (!state->running.empty()) co_await state->changed.wait();
}

}  // namespace moveout::base
