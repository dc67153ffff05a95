#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

#include "base/rate.h"
#include "base/rng.h"

using namespace moveout::base;

namespace {

Steady at_ms(std::int64_t ms) { return Steady(Millis(ms)); }

// Spends pages of `cost` as soon as they are admitted, from `now` on for `span`; answers what was spent.
double spend(Rate& rate, Steady& now, Micros span, double cost) {
  double spent = 0;
  const Steady end = now + span;
  while (now < end) {
    const Steady ready = rate.ready_at(now);
    if (ready > now) {
      now = ready;
      continue;
    }
    rate.settle(rate.reserve(now), cost, now);
    spent += cost;
    now += Micros(200);
  }
  return spent;
}

}  // namespace

TEST_CASE("without a ceiling and without throttles nothing waits") {
  Rate rate(0);
  Steady now = at_ms(1000);
  for (int i = 0; i < 1000; ++i) {
    CHECK(rate.ready_at(now) == now);
    rate.settle(rate.reserve(now), 256, now);
  }
}

TEST_CASE("a ceiling is kept to within one request over any length of time") {
  rc::check([] {
    const double ceiling = *rc::gen::inRange(1, 5000);
    const double cost = *rc::gen::inRange(1, 300);
    const auto span_ms = *rc::gen::inRange(1000, 60000);
    Rate rate(ceiling);
    Steady now = at_ms(5);
    const double spent = spend(rate, now, Millis(span_ms), cost);
    const double lasted = static_cast<double>((now - at_ms(5)).count()) / 1e6;
    RC_ASSERT(spent <= ceiling * lasted + cost + 1);
    // And it is used: what is allowed and possible is spent.
    const double possible = std::min(ceiling * lasted, cost / 0.0002 * lasted);
    RC_ASSERT(spent >= possible * 0.9 - cost - 1);
  });
}

TEST_CASE("idle time does not save up more than a quarter of a second") {
  Rate rate(100);
  Steady now = at_ms(0);
  rate.ready_at(now);
  now = at_ms(3'600'000);
  double burst = 0;
  while (rate.ready_at(now) == now) {
    rate.settle(rate.reserve(now), 1, now);
    burst += 1;
  }
  CHECK(burst <= 27);
}

TEST_CASE("a throttle halves the rate once, however many hear it, and it grows back to the ceiling") {
  Rate rate(1000);
  Steady now = at_ms(0);
  spend(rate, now, Millis(3000), 10);
  for (int worker = 0; worker < 8; ++worker) rate.throttled(now);
  CHECK(rate.allowed(now) == doctest::Approx(500).epsilon(0.01));
  now += Millis(1500);
  const double grown = rate.allowed(now);
  CHECK(grown > 500);
  CHECK(grown < 600);
  now += Millis(60000);
  CHECK(rate.allowed(now) == doctest::Approx(1000));
}

TEST_CASE("without a ceiling a throttle sets the rate to half of what went through") {
  Rate rate(0);
  Steady now = at_ms(0);
  // 100 units every 100 ms: 1,000 a second.
  for (int i = 0; i < 50; ++i) {
    rate.settle(rate.reserve(now), 100, now);
    now += Millis(100);
  }
  rate.throttled(now);
  CHECK(rate.allowed(now) == doctest::Approx(500).epsilon(0.15));
  Steady later = now;
  const double spent = spend(rate, later, Millis(1000), 50);
  CHECK(spent <= 650);
}

TEST_CASE("throttles without end leave a unit a second, not a stop") {
  Rate rate(1000);
  Steady now = at_ms(0);
  for (int i = 0; i < 1000; ++i) {
    rate.throttled(now);
    now += Millis(1000);
  }
  CHECK(rate.allowed(now) >= 1);
  CHECK(rate.ready_at(now) - now <= Micros(2'000'000));
}

TEST_CASE("a new ceiling holds from then on, both ways") {
  Rate rate(10);
  Steady now = at_ms(0);
  spend(rate, now, Millis(5000), 1);
  rate.set_ceiling(1000, now);
  CHECK(spend(rate, now, Millis(2000), 1) > 1500);
  rate.set_ceiling(10, now);
  CHECK(spend(rate, now, Millis(2000), 1) < 35);
  rate.set_ceiling(0, now);
  CHECK(rate.ready_at(now) == now);
}

TEST_CASE("pages are kept small only where a whole one would be more than a second's worth") {
  CHECK(page_limit(0, 0.1) == 0);
  CHECK(page_limit(300, 0.1) == 0);
  CHECK(page_limit(25, 0.05) == 500);
  CHECK(page_limit(25, 0) == 25);
  CHECK(page_limit(0.5, 100) == 1);
}
