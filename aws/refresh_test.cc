// Keys that come, end and fail in the middle of calls, over days of a clock that the test moves.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <functional>
#include <map>

#include "aws/client.h"
#include "aws/credentials_world.h"
#include "aws/times.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;
using base::Millis;

namespace {

// A container's endpoint that takes its time, and a DynamoDB that takes no keys that have ended.
struct Server final : http::Transport {
  explicit Server(base::ManualClock& server_clock) : clock(server_clock) {}

  base::Task<base::Result<http::Response>> send(http::Request request) override {
    if (request.endpoint.host == "169.254.170.2") {
      ++asked;
      asking_max = std::max(asking_max, ++asking);
      co_await clock.sleep_for(takes);
      --asking;
      if (broken) co_return base::fail(ErrorKind::Unavailable, "broken");
      const std::string id = "KEYS" + std::to_string(++given);
      ends[id] = clock.now() + lives;
      co_return ScriptedTransport::response(200, metadata_answer(id, iso_time(ends[id])));
    }
    co_await clock.sleep_for(Millis(5));
    const std::string sign(request.headers.get("authorization"));
    const std::size_t begin = sign.find("Credential=") + 11;
    const auto found = ends.find(sign.substr(begin, sign.find('/', begin) - begin));
    const bool good = found != ends.end() && clock.now() < found->second && found->first != revoked;
    if (!good) ++refused;
    if (!good) co_return ScriptedTransport::response(400, ScriptedTransport::error_body("ExpiredTokenException", "no"));
    ++served;
    co_return ScriptedTransport::response(200, "{}");
  }

  base::ManualClock& clock;
  Millis takes{700};
  std::chrono::minutes lives{60};
  bool broken = false;
  std::string revoked;
  std::map<std::string, base::Instant> ends;
  int given = 0, asked = 0, asking = 0, asking_max = 0, served = 0, refused = 0;
};

struct Mover {
  explicit Mover(unsigned callers_count = 8) : callers(callers_count) {}

  static base::Task<base::Result<>> keep_calling(Mover& mover, base::Steady until) {
    while (mover.clock.steady() < until) {
      const base::Steady began = mover.clock.steady();
      const auto answer = co_await mover.client.call("Scan", "{}");
      if (!answer) {
        mover.error = answer.error();
        co_return base::Result<>();
      }
      mover.slowest = std::max(mover.slowest, mover.clock.steady() - began);
      co_await mover.clock.sleep_for(mover.pause);
    }
    co_return base::Result<>();
  }

  // All callers until then, or until each has ended with an error.
  void run_for(base::Micros duration, const std::function<void()>& each_step = {}) {
    base::TaskGroup group(io.get_executor());
    for (unsigned i = 0; i < callers; ++i) group.start(keep_calling(*this, clock.steady() + duration));
    do {
      io.restart();
      io.poll();
      if (each_step) each_step();
    } while (group.size() > 0 && clock.advance_to_next());
  }

  unsigned callers;
  boost::asio::io_context io;
  base::ManualClock clock{io.get_executor()};
  RecordingLog log;
  Server server{clock};
  CredentialsChain chain{{}, environment(), server, server, clock, log};
  Client client{ClientFixture::local(), server, chain, clock, base::Rng(5), log};
  Millis pause{2000};
  base::Micros slowest{0};
  std::optional<base::Error> error;

 private:
  static Environment environment() {
    Environment made;
    made.vars = {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"}, {"HOME", "/home/u"}};
    made.read_file = [](const std::string& path) -> base::Result<std::string> {
      return base::fail(ErrorKind::NotFound, path);
    };
    return made;
  }
};

}  // namespace

//   keys 1 ├──────────────────────────────────────┤
//   ask                                     ▲ (55 min)
//   keys 2                                   ├─────────────────…
TEST_CASE("a day of calls from eight sides: no call is refused, one asks, nobody waits longer than one answer") {
  Mover mover;
  mover.run_for(std::chrono::hours(24));
  CHECK(!mover.error.has_value());
  CHECK(mover.server.refused == 0);
  CHECK(mover.server.served > 100'000);
  CHECK(mover.server.asking_max == 1);
  // Every 55 minutes.
  CHECK(mover.server.given == 27);
  CHECK(mover.slowest < Millis(800));
}

TEST_CASE("while keys cannot be had the old ones serve; renewed before their end, no call has noticed") {
  Mover mover;
  mover.run_for(std::chrono::minutes(50));
  mover.server.broken = true;
  mover.run_for(std::chrono::minutes(9));
  CHECK(mover.server.refused == 0);
  CHECK(!mover.log.of("aws.credentials_refresh_failed").empty());
  // Once in half a minute, three tries each.
  CHECK(mover.server.asked < 40);
  mover.server.broken = false;
  mover.run_for(std::chrono::hours(2));
  CHECK(!mover.error.has_value());
  CHECK(mover.server.refused == 0);
}

TEST_CASE("keys that cannot be renewed end the calls with the places looked at, and not before their end") {
  Mover mover;
  mover.run_for(std::chrono::minutes(10));
  mover.server.broken = true;
  mover.run_for(std::chrono::hours(2));
  REQUIRE(mover.error.has_value());
  CHECK(mover.error->kind == ErrorKind::CredentialsExpired);
  for (const char* part : {"could not be renewed", "container's credentials at http://169.254.170.2",
                           "looked at: ", "AWS_ACCESS_KEY_ID"}) {
    CAPTURE(mover.error->what);
    CHECK(mover.error->what.find(part) != std::string::npos);
  }
  CHECK(mover.clock.steady().time_since_epoch() >= std::chrono::minutes(60));
  CHECK(mover.clock.steady().time_since_epoch() < std::chrono::minutes(62));
  CHECK(mover.server.refused == 0);
}

TEST_CASE("keys that the server calls expired before their time are renewed, once for all calls") {
  Mover mover;
  mover.run_for(std::chrono::minutes(1));
  mover.server.revoked = "KEYS1";
  mover.run_for(std::chrono::minutes(1));
  CHECK(!mover.error.has_value());
  CHECK(mover.server.given == 2);
  CHECK(mover.server.refused >= 1);
  CHECK(mover.server.refused <= 8);
}

TEST_CASE("keys that live shorter than the margin are renewed at a bearable pace") {
  Mover mover;
  mover.server.lives = std::chrono::minutes(3);
  mover.run_for(std::chrono::hours(1));
  CHECK(!mover.error.has_value());
  CHECK(mover.server.refused == 0);
  CHECK(mover.server.given <= 121);
}

TEST_CASE("whatever lives, delays and outages are drawn: no call goes out with keys that have ended") {
  rc::check([] {
    Mover mover(3);
    mover.pause = Millis(20'000);
    mover.server.lives = std::chrono::minutes(*rc::gen::inRange(1, 200));
    mover.server.takes = Millis(*rc::gen::inRange(0, 9'000));
    const auto outages = *rc::gen::container<std::vector<std::pair<int, int>>>(
        5, rc::gen::pair(rc::gen::inRange(0, 600), rc::gen::inRange(1, 90)));
    mover.run_for(std::chrono::hours(10), [&] {
      const auto minute = mover.clock.steady().time_since_epoch() / std::chrono::minutes(1);
      mover.server.broken = false;
      for (const auto& [begin, minutes] : outages) {
        if (minute >= begin && minute < begin + minutes) mover.server.broken = true;
      }
    });
    RC_ASSERT(mover.server.asking_max <= 1);
    // The answer of the server comes 5 ms after the question: keys may end between.
    RC_ASSERT(mover.server.refused <= mover.server.given);
    if (mover.error) {
      RC_ASSERT(mover.error->kind == ErrorKind::CredentialsExpired || mover.error->kind == ErrorKind::Unavailable);
    }
  });
}
