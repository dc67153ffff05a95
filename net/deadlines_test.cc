#include "net/deadlines.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

using namespace moveout;
using namespace moveout::net;
using std::chrono::milliseconds;

namespace {

struct One : Deadlines::Watched {
  int expired = 0;
};

TimePoint in(int ms) { return std::chrono::steady_clock::now() + milliseconds(ms); }

}  // namespace

TEST_CASE("each of many expires once, in its order, not before its time") {
  boost::asio::io_context io;
  std::vector<One> ones(5);
  std::vector<long> order;
  Deadlines deadlines(io.get_executor(), [&](Deadlines::Watched& late) {
    auto& one = static_cast<One&>(late);
    ++one.expired;
    order.push_back(&one - ones.data());
  });
  for (One& one : ones) deadlines.add(one);
  const auto begun = std::chrono::steady_clock::now();
  deadlines.set(ones[0], in(60));
  deadlines.set(ones[1], in(10));  // earlier than the one that stands
  deadlines.set(ones[2], in(30));
  deadlines.set(ones[3], in(20));
  deadlines.set(ones[3], TimePoint::max());  // thought better of
  io.run();
  CHECK(order == std::vector<long>{1, 2, 0});
  CHECK(std::chrono::steady_clock::now() - begun >= milliseconds(60));
  CHECK(ones[4].expired == 0);
}

TEST_CASE("one that expires may take others with it, and what is removed or stopped never expires") {
  boost::asio::io_context io;
  auto first = std::make_unique<One>();
  auto second = std::make_unique<One>();
  auto third = std::make_unique<One>();
  int calls = 0;
  Deadlines* all = nullptr;
  Deadlines deadlines(io.get_executor(), [&](Deadlines::Watched&) {
    ++calls;
    // Whichever of the two comes first takes both away; memory checkers see a use after it.
    all->remove(*first);
    all->remove(*second);
    first = std::make_unique<One>();
    second = std::make_unique<One>();
  });
  all = &deadlines;
  for (One* one : {first.get(), second.get(), third.get()}) deadlines.add(*one);
  const TimePoint soon = in(5);
  deadlines.set(*first, soon);
  deadlines.set(*second, soon);
  deadlines.set(*third, in(20));
  deadlines.remove(*third);
  io.run();
  CHECK(calls == 1);

  deadlines.add(*third);
  deadlines.set(*third, in(5));
  deadlines.stop();
  io.restart();
  io.run();
  CHECK(calls == 1);
}
