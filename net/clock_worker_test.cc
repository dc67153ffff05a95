#include <doctest/doctest.h>
#include <pthread.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <thread>

#include "base/task_group.h"
#include "net/runtime.h"
#include "net/system_clock.h"
#include "net/thread_worker.h"

using namespace moveout;
using namespace moveout::net;
namespace asio = boost::asio;

namespace {

base::Task<base::Result<>> sleep_until(base::Clock& clock, base::Steady until, base::Steady& woke) {
  co_await clock.sleep_until(until);
  woke = clock.steady();
  co_return base::Result<>();
}

base::Task<base::Result<>> note(ThreadWorker& worker, int number, std::vector<int>& order,
                                std::vector<std::thread::id>& resumed) {
  const int told = co_await worker.call([&] {
    order.push_back(number);  // one at a time: no lock
    return number;
  });
  CHECK(told == number);
  resumed.push_back(std::this_thread::get_id());
  co_return base::Result<>();
}

base::Task<base::Result<>> hold(ThreadWorker& worker, std::promise<void>& begun, std::future<void>& release,
                                std::atomic<bool>& ran, std::string& after) {
  co_await worker.run([&] {
    begun.set_value();
    release.wait();
    ran = true;
  });
  after = "resumed";
  asio::steady_timer timer(co_await base::this_executor, std::chrono::hours(1));
  co_await timer.async_wait(asio::use_awaitable);
  after = "went on";
  co_return base::Result<>();
}

base::Task<base::Result<>> mark(ThreadWorker& worker, std::atomic<bool>& ran) {
  co_await worker.run([&] { ran = true; });
  co_return base::Result<>();
}

}  // namespace

TEST_CASE("a sleep ends not before its time, and at once when it is past") {
  Runtime runtime;
  SystemClock clock;
  for (const int ms : {0, 1, 30, -1000}) {
    const base::Steady until = clock.steady() + base::Millis(ms);
    base::Steady woke;
    REQUIRE(runtime.run(sleep_until(clock, until, woke)));
    CHECK(woke >= until);
    CHECK(woke < std::max(until, clock.steady()) + base::Millis(1000));
  }
  const auto wall = std::chrono::system_clock::now();
  CHECK(clock.now() <= wall + std::chrono::seconds(1));
  CHECK(clock.now() >= wall - std::chrono::seconds(1));
}

TEST_CASE("a sleep is cancelled through its group") {
  Runtime runtime;
  SystemClock clock;
  base::Steady woke;
  REQUIRE(runtime.run([](SystemClock& c, base::Steady& w) -> base::Task<base::Result<>> {
    base::TaskGroup group(co_await base::this_executor);
    group.start(sleep_until(c, c.steady() + std::chrono::hours(1), w));
    group.start(sleep_until(c, base::Steady::max(), w));
    co_await c.sleep_for(base::Millis(5));
    CHECK(group.size() == 2);
    co_await group.stop();
    CHECK(group.size() == 0);
    co_return base::Result<>();
  }(clock, woke)));
  CHECK(woke == base::Steady());
}

TEST_CASE("work runs on the worker's thread in the order of the calls, and callers go on on their own") {
  ThreadWorker worker("test-worker");
  // The executor outlives the worker's jobs but not the worker here, so it stands in an inner scope.
  std::vector<int> order;
  std::vector<std::thread::id> resumed;
  {
    Runtime runtime;
    REQUIRE(runtime.run(
        [](ThreadWorker& w, std::vector<int>& o, std::vector<std::thread::id>& r) -> base::Task<base::Result<>> {
          base::TaskGroup group(co_await base::this_executor);
          for (int i = 0; i < 200; ++i) group.start(note(w, i, o, r));
          const bool elsewhere = co_await w.call([here = std::this_thread::get_id()] {
            char name[16] = {};
            pthread_getname_np(pthread_self(), name, sizeof(name));
            return std::this_thread::get_id() != here && std::string(name) == "test-worker";
          });
          CHECK(elsewhere);
          co_return co_await group.wait();
        }(worker, order, resumed)));
  }
  REQUIRE(order.size() == 200);
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(resumed == std::vector<std::thread::id>(200, std::this_thread::get_id()));
}

TEST_CASE("a cancelled caller waits for work that has begun; work that has not begun never runs") {
  Runtime runtime;
  ThreadWorker worker("test-worker");
  std::promise<void> begun, release;
  std::future<void> released = release.get_future();
  std::atomic<bool> first_ran = false, second_ran = false;
  std::string after;
  REQUIRE(runtime.run([](ThreadWorker& w, std::promise<void>& b, std::promise<void>& go, std::future<void>& wait,
                         std::atomic<bool>& first, std::atomic<bool>& second,
                         std::string& a) -> base::Task<base::Result<>> {
    base::TaskGroup running(co_await base::this_executor);
    base::TaskGroup queued(co_await base::this_executor);
    running.start(hold(w, b, wait, first, a));
    asio::steady_timer timer(co_await base::this_executor, std::chrono::milliseconds(1));
    co_await timer.async_wait(asio::use_awaitable);
    b.get_future().wait();
    queued.start(mark(w, second));
    timer.expires_after(std::chrono::milliseconds(1));
    co_await timer.async_wait(asio::use_awaitable);
    co_await queued.stop();  // returns while the first work still runs
    CHECK_FALSE(first);
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      go.set_value();
    });
    co_await running.stop();
    CHECK(first);  // stop() has waited for it
    later.join();
    co_await w.run([] {});  // whatever was queued has had its turn
    co_return base::Result<>();
  }(worker, begun, release, released, first_ran, second_ran, after)));
  CHECK_FALSE(second_ran);
  CHECK(after == "resumed");
}

TEST_CASE("an executor runs on while work of its callers is with the worker") {
  asio::io_context io;
  ThreadWorker worker("test-worker");
  bool resumed = false;
  asio::co_spawn(
      io,
      [](ThreadWorker& w, bool& r) -> base::Task<> {
        co_await w.run([] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); });
        r = true;
      }(worker, resumed),
      [](std::exception_ptr thrown) { CHECK_FALSE(thrown); });
  io.run();
  CHECK(resumed);
}

TEST_CASE("destroying a worker waits for the work that has begun and drops the rest") {
  asio::io_context io;
  std::atomic<int> ran = 0;
  std::promise<void> begun;
  int unwound = 0;
  {
    ThreadWorker worker("test-worker");
    const auto call = [](ThreadWorker& w, std::atomic<int>& n, std::promise<void>* b) -> base::Task<> {
      co_await w.run([&n, b] {
        if (b != nullptr) b->set_value();
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        ++n;
      });
    };
    for (int i = 0; i < 3; ++i) {
      asio::co_spawn(io, call(worker, ran, i == 0 ? &begun : nullptr),
                     [&](std::exception_ptr thrown) { unwound += thrown ? 1 : 0; });
    }
    io.poll();
    begun.get_future().wait();
  }
  CHECK(ran == 1);
  io.run();
  CHECK(unwound == 2);
}
