// VirtualClock: time that passes only when nothing else can happen. For unit tests on one io_context.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/signal.h"
#include "base/task.h"

namespace moveout::test {

class VirtualClock final : public base::Clock {
 public:
  base::Instant now() const override { return base::Instant(base::Micros(1'700'000'000'000'000) + passed_); }
  base::Steady steady() const override { return base::Steady(passed_); }
  base::Task<> sleep_until(base::Steady until) override {
    if (until <= steady()) co_return;
    auto signal = std::make_shared<base::Signal>(co_await base::this_executor);
    const auto at = waiting_.emplace(until, signal);
    struct Forget {
      VirtualClock& clock;
      std::multimap<base::Steady, std::shared_ptr<base::Signal>>::iterator at;
      ~Forget() { clock.waiting_.erase(at); }
    } forget{*this, at};
    while (steady() < until) co_await signal->wait();
  }
  // Goes on to the next instant that someone waits for; false when nobody does.
  bool advance() {
    for (const auto& [until, signal] : waiting_) {
      if (until <= steady()) continue;
      passed_ = until.time_since_epoch();
      break;
    }
    bool woken = false;
    for (const auto& [until, signal] : waiting_) {
      if (until > steady()) break;
      signal->notify_all();
      woken = true;
    }
    return woken;
  }
  void pass(base::Micros time) { passed_ += time; }

 private:
  base::Micros passed_{1'000'000};
  std::multimap<base::Steady, std::shared_ptr<base::Signal>> waiting_;
};

// Runs one task to its end; time passes when everyone waits. Nothing when it never ends.
template <class T>
std::optional<T> run_if_it_ends(boost::asio::io_context& io, VirtualClock& clock, base::Task<T> task) {
  std::optional<T> out;
  boost::asio::co_spawn(io, std::move(task), [&out](std::exception_ptr thrown, T value) {
    if (thrown) std::rethrow_exception(thrown);
    out.emplace(std::move(value));
  });
  do {
    io.restart();
    io.poll();
  } while (!out && clock.advance());
  return out;
}

template <class T>
T run(boost::asio::io_context& io, VirtualClock& clock, base::Task<T> task) {
  std::optional<T> out = run_if_it_ends(io, clock, std::move(task));
  MOVEOUT_ASSERT(out.has_value());
  return std::move(*out);
}

}  // namespace moveout::test
