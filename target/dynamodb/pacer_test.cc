#include "target/dynamodb/pacer.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace moveout;
using base::Micros;
using target::dynamodb::Pacer;

namespace {

// A server that answers in `latency`, and works on `capacity` requests at once.
int limit_after(Micros latency, int capacity, int rounds = 400) {
  Pacer pacer({});
  base::Steady now{};
  for (int round = 0; round < rounds; ++round) {
    const int sent = pacer.limit();
    const double queues = std::max(1.0, static_cast<double>(sent) / capacity);
    const Micros took(static_cast<std::int64_t>(static_cast<double>(latency.count()) * queues));
    now += took;
    for (int i = 0; i < sent; ++i) pacer.end(pacer.begin(1, now), 1, 1, 0, took, now);
  }
  return pacer.limit();
}

}  // namespace

TEST_CASE("a server that answers late but many at once is asked many at once") {
  CHECK(limit_after(Micros(5000), 1000) == 64);
  CHECK(limit_after(Micros(50000), 40) >= 40);
}

TEST_CASE("requests that only queue are not piled up") {
  CHECK(limit_after(Micros(5000), 1) <= 16);
  CHECK(limit_after(Micros(100), 2) <= 16);
}

TEST_CASE("large requests are few at once, but one always goes") {
  Pacer pacer({.under_way_min = 8, .bytes_max = 1000});
  const base::Steady now{};
  CHECK(pacer.may_add(5000));
  const double reserved = pacer.begin(5000, now);
  CHECK(!pacer.may_add(1));
  pacer.end(reserved, 5000, 1, 0, Micros(1), now);
  CHECK(pacer.may_add(1));
}

TEST_CASE("a table that refuses most of what it is asked slows the writer, a few refusals do not") {
  base::Steady now = base::Steady{} + std::chrono::seconds(10);
  Pacer calm({}), pressed({});
  for (int i = 0; i < 1000; ++i) {
    now += Micros(1000);
    calm.end(calm.begin(1, now), 1, 25, i % 10 == 0 ? 25 : 0, Micros(1000), now);
    pressed.end(pressed.begin(1, now), 1, 25, i % 4 != 0 ? 25 : 0, Micros(1000), now);
  }
  CHECK(calm.units_a_second(now) == 0);  // as fast as it goes
  CHECK(pressed.units_a_second(now) > 0);
  CHECK(pressed.units_a_second(now) < 10'000);
}
