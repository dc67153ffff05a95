#include "aws/client.h"

#include <doctest/doctest.h>

#include <deque>

#include "aws/client_fixture.h"
#include "aws/retry_tokens.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;
using base::Millis;
using namespace std::chrono_literals;

namespace {

http::Headers with(std::string name, std::string value) {
  http::Headers headers;
  headers.add(std::move(name), std::move(value));
  return headers;
}

// Gives what the test queued, then keeps giving the last; counts who asked it to renew.
class QueuedCredentials final : public CredentialsProvider {
 public:
  base::Task<base::Result<sigv4::Credentials>> get() override {
    ++asked;
    if (invalidated && queue.size() > 1) queue.pop_front();
    invalidated = false;
    co_return queue.front();
  }
  void invalidate() override {
    ++invalidations;
    invalidated = true;
  }
  std::deque<base::Result<sigv4::Credentials>> queue;
  int asked = 0;
  int invalidations = 0;
  bool invalidated = false;
};

ClientConfig once() {
  ClientConfig config = ClientFixture::local();
  config.retry.retry = false;
  return config;
}

// 2023-11-14T22:13:20Z, the manual clock's start.
constexpr const char* kNow = "Tue, 14 Nov 2023 22:13:20 GMT";

}  // namespace

TEST_CASE("a call is a signed POST with the operation in X-Amz-Target") {
  ClientFixture world;
  world.transport.then(200, R"({"ok":1})");
  const auto answer = world.call("Scan", R"({"TableName":"t"})");
  REQUIRE(answer.has_value());
  CHECK(*answer->body == R"({"ok":1})");
  CHECK(answer->attempts == 1);
  REQUIRE(world.transport.requests.size() == 1);
  const http::Request& request = world.transport.requests[0];
  CHECK(request.method == "POST");
  CHECK(request.target == "/");
  CHECK(request.body == R"({"TableName":"t"})");
  CHECK(request.endpoint.host == "localhost");
  CHECK(request.headers.get("X-Amz-Target") == "DynamoDB_20120810.Scan");
  CHECK(request.headers.get("Content-Type") == "application/x-amz-json-1.0");
  CHECK(request.headers.get("Accept-Encoding") == "gzip");
  CHECK(request.headers.get("X-Amz-Date") == "20231114T221320Z");
  CHECK(request.headers.get("Authorization").find("AKIDEXAMPLE/20231114/eu-west-3/dynamodb/aws4_request") !=
        std::string_view::npos);
}

TEST_CASE("a session token goes with the request") {
  ClientFixture world;
  world.credentials = StaticCredentials({"AKID", "secret", "the-token", {}});
  world.transport.then(200, "{}");
  REQUIRE(world.call().has_value());
  CHECK(world.transport.requests[0].headers.get("X-Amz-Security-Token") == "the-token");
}

TEST_CASE("every named error becomes its kind, and only harmless ones are retried") {
  struct Row {
    int status;
    const char* name;
    ErrorKind kind;
    bool retried;
  };
  for (const Row& row : {
           Row{400, "ValidationException", ErrorKind::Usage, false},
           Row{400, "SerializationException", ErrorKind::Usage, false},
           Row{400, "UnknownOperationException", ErrorKind::Usage, false},
           Row{400, "SomethingNobodyKnowsException", ErrorKind::Usage, false},
           Row{400, "AccessDeniedException", ErrorKind::Denied, false},
           Row{403, "UnauthorizedOperation", ErrorKind::Denied, false},
           Row{400, "IncompleteSignatureException", ErrorKind::Denied, false},
           Row{400, "MissingAuthenticationTokenException", ErrorKind::Denied, false},
           Row{400, "UnrecognizedClientException", ErrorKind::Denied, true},
           Row{400, "InvalidSignatureException", ErrorKind::Denied, true},
           Row{400, "ExpiredTokenException", ErrorKind::CredentialsExpired, true},
           Row{403, "ExpiredToken", ErrorKind::CredentialsExpired, true},
           Row{400, "ResourceNotFoundException", ErrorKind::NotFound, false},
           Row{400, "TableNotFoundException", ErrorKind::NotFound, false},
           Row{400, "ConditionalCheckFailedException", ErrorKind::Conflict, false},
           Row{400, "ResourceInUseException", ErrorKind::Conflict, false},
           Row{400, "TransactionCanceledException", ErrorKind::Conflict, false},
           Row{400, "ExpiredIteratorException", ErrorKind::Expired, false},
           Row{400, "TrimmedDataAccessException", ErrorKind::Trimmed, false},
           Row{400, "ItemCollectionSizeLimitExceededException", ErrorKind::TooLarge, false},
           Row{413, "", ErrorKind::TooLarge, false},
           Row{401, "", ErrorKind::Denied, false},
           Row{404, "", ErrorKind::Usage, false},
           Row{302, "", ErrorKind::Usage, false},
           Row{429, "", ErrorKind::Throttled, true},
           Row{400, "ProvisionedThroughputExceededException", ErrorKind::Throttled, true},
           Row{400, "ThrottlingException", ErrorKind::Throttled, true},
           Row{400, "RequestLimitExceeded", ErrorKind::Throttled, true},
           Row{400, "LimitExceededException", ErrorKind::Throttled, true},
           Row{503, "SlowDown", ErrorKind::Throttled, true},
           Row{500, "InternalServerError", ErrorKind::EndpointDown, true},
           Row{400, "RequestTimeoutException", ErrorKind::EndpointDown, true},
           Row{500, "ResourceNotFoundException", ErrorKind::EndpointDown, true},
           Row{502, "", ErrorKind::EndpointDown, true},
           Row{408, "", ErrorKind::EndpointDown, true},
       }) {
    CAPTURE(row.name);
    CAPTURE(row.status);
    ClientFixture world;
    world.transport.otherwise = [&row](const http::Request&) {
      return ScriptedTransport::response(row.status, *row.name == '\0'
                                                         ? std::string("<html>not JSON</html>")
                                                         : ScriptedTransport::error_body(row.name, "as it says"));
    };
    const auto answer = world.call();
    REQUIRE(!answer.has_value());
    CHECK(answer.error().kind == row.kind);
    CHECK((world.transport.requests.size() > 1) == row.retried);
    if (*row.name != '\0') CHECK(answer.error().what.find(row.name) != std::string::npos);
    if (*row.name != '\0') CHECK(answer.error().what.find("as it says") != std::string::npos);
  }
}

TEST_CASE("throttles and failures are waited out, then the call succeeds") {
  ClientFixture world;
  world.transport.then_error(400, "ProvisionedThroughputExceededException", "too fast");
  world.transport.then_error(500, "InternalServerError", "sorry");
  world.transport.then(ErrorKind::Unavailable, "connection reset");
  world.transport.then(200, "{}");
  const auto answer = world.call();
  REQUIRE(answer.has_value());
  CHECK(answer->attempts == 4);
  CHECK(world.client.counters().requests == 4);
  CHECK(world.client.counters().retries == 3);
  CHECK(world.client.counters().throttles == 1);
  CHECK(world.elapsed() > 0s);
  CHECK(world.log.of("aws.recovered").size() == 1);
}

TEST_CASE("who paces by throttles gets them at once") {
  ClientFixture world;
  world.transport.then_error(400, "ThrottlingException", "slow down");
  const auto answer = world.run(world.client.call("Scan", "{}", true));
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == ErrorKind::Throttled);
  CHECK(world.transport.requests.size() == 1);
  CHECK(world.elapsed() == 0s);
}

TEST_CASE("waits are jittered, doubled, and never over their cap") {
  // One call that fails for ever: the gaps between its attempts are its waits.
  ClientConfig config = ClientFixture::local();
  config.retry.transient = {Millis(25), Millis(2000)};
  ClientFixture world(config);
  std::vector<base::Micros> at;
  world.transport.otherwise = [&](const http::Request&) {
    at.push_back(world.elapsed());
    return ScriptedTransport::response(500, "");
  };
  REQUIRE(!world.call().has_value());
  REQUIRE(at.size() > 20);
  bool varied = false;
  for (std::size_t i = 1; i < at.size(); ++i) {
    const base::Micros ceiling =
        std::min<base::Micros>(Millis(25) * (1 << std::min<std::size_t>(i - 1, 10)), Millis(2000));
    CHECK(at[i] - at[i - 1] <= ceiling);
    varied = varied || at[i] - at[i - 1] < ceiling / 2;
  }
  CHECK(varied);
}

TEST_CASE("the server's x-amz-retry-after lengthens a wait by at most five seconds") {
  for (const auto& [asked, least, most] :
       {std::tuple{"3000", 3000ms, 3025ms}, {"3600000", 5000ms, 5025ms}, {"-5", 0ms, 25ms}, {"soon", 0ms, 25ms}}) {
    CAPTURE(asked);
    ClientFixture world;
    world.transport.then(500, "", with("x-amz-retry-after", asked));
    world.transport.then(200, "{}");
    REQUIRE(world.call().has_value());
    CHECK(world.elapsed() >= least);
    CHECK(world.elapsed() <= most);
  }
}

TEST_CASE("an endpoint that stays down ends the call after give_up_after, saying what was seen") {
  for (const bool refused : {false, true}) {
    CAPTURE(refused);
    ClientFixture world;
    world.transport.otherwise = [&](const http::Request&) -> ScriptedTransport::Answer {
      return base::fail(refused ? ErrorKind::EndpointDown : ErrorKind::Unavailable, "localhost:8000: nobody there");
    };
    const auto answer = world.call();
    REQUIRE(!answer.has_value());
    CHECK(answer.error().kind == ErrorKind::EndpointDown);
    CHECK(answer.error().what.find("http://localhost:8000") != std::string::npos);
    CHECK(answer.error().what.find("nobody there") != std::string::npos);
    CHECK(answer.error().what.find("300 s") != std::string::npos);
    CHECK(world.elapsed() == 300s);
    // One line at once, then one about every ten seconds.
    const auto lines = world.log.of("aws.retrying");
    CHECK(lines.size() >= 14);
    CHECK(lines.size() <= 31);
    CHECK(lines[0].level == base::LogLevel::Warn);
    CHECK(lines[0].field("seen").find("nobody there") != std::string::npos);
  }
}

TEST_CASE("a refused connection is tried again within a second, so a restart is noticed") {
  ClientFixture world;
  for (int i = 0; i < 60; ++i) world.transport.then(ErrorKind::EndpointDown, "refused");
  world.transport.then(200, "{}");
  REQUIRE(world.call().has_value());
  CHECK(world.elapsed() < 60s);
}

TEST_CASE("a throttle that never ends comes back as Throttled") {
  ClientFixture world;
  world.transport.otherwise = [](const http::Request&) {
    return ScriptedTransport::response(400, ScriptedTransport::error_body("ThrottlingException", "no"));
  };
  const auto answer = world.call();
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == ErrorKind::Throttled);
  CHECK(world.elapsed() == 300s);
}

TEST_CASE("without tokens retries are far apart, and a success gives them back") {
  // 35 retries at 14 use up 500.
  ClientConfig config = ClientFixture::local();
  config.retry.transient = {Millis(1), Millis(10000)};
  config.retry.give_up_after = Millis(3600000);
  ClientFixture slow(config);
  std::vector<base::Micros> at;
  for (int i = 0; i < 60; ++i) {
    slow.transport.then([&](const http::Request&) {
      at.push_back(slow.elapsed());
      return ScriptedTransport::response(500, "");
    });
  }
  slow.transport.then(200, "{}");
  REQUIRE(slow.call().has_value());
  for (std::size_t i = 37; i < at.size(); ++i) {
    CHECK(at[i] - at[i - 1] >= 5s);
    CHECK(at[i] - at[i - 1] <= 10s);
  }
}

TEST_CASE("the token bucket takes, refuses and refills as the SDKs' does") {
  RetryTokens tokens;
  int taken = 0;
  while (tokens.take(RetryTokens::kRetry)) ++taken;
  CHECK(taken == 35);
  CHECK(tokens.left() == 10);
  CHECK(tokens.take(RetryTokens::kThrottle));
  CHECK(tokens.take(RetryTokens::kThrottle));
  CHECK(!tokens.take(RetryTokens::kThrottle));
  tokens.refund(0);
  CHECK(tokens.left() == 1);
  tokens.refund(RetryTokens::kRetry);
  CHECK(tokens.left() == 15);
  for (int i = 0; i < 1000; ++i) tokens.refund(0);
  CHECK(tokens.left() == RetryTokens::kCapacity);
}

TEST_CASE("expired credentials are renewed once, and the call goes on") {
  boost::asio::io_context io;
  base::ManualClock clock(io.get_executor());
  ScriptedTransport transport;
  RecordingLog log;
  QueuedCredentials credentials;
  credentials.queue.push_back(sigv4::Credentials{"OLD", "s", "t", {}});
  credentials.queue.push_back(sigv4::Credentials{"NEW", "s", "t", {}});
  Client client(ClientFixture::local(), transport, credentials, clock, base::Rng(1), log);
  transport.then(200, "{}");
  transport.then_error(400, "ExpiredTokenException", "The security token included in the request is expired");
  transport.then(200, "{}");
  REQUIRE(base::finish(io, clock, client.call("Scan", "{}")).has_value());
  const auto answer = base::finish(io, clock, client.call("Scan", "{}"));
  REQUIRE(answer.has_value());
  CHECK(answer->attempts == 2);
  CHECK(credentials.invalidations == 1);
  CHECK(transport.requests[1].headers.get("Authorization").find("OLD/") != std::string_view::npos);
  CHECK(transport.requests[2].headers.get("Authorization").find("NEW/") != std::string_view::npos);

  // And when the new ones are no better: the named stop.
  transport.otherwise = [](const http::Request&) {
    return ScriptedTransport::response(400, ScriptedTransport::error_body("ExpiredTokenException", "expired"));
  };
  const auto failed = base::finish(io, clock, client.call("Scan", "{}"));
  REQUIRE(!failed.has_value());
  CHECK(failed.error().kind == ErrorKind::CredentialsExpired);
  CHECK(transport.requests.size() == 5);
}

TEST_CASE("no credentials: nothing is sent and the provider's words come back") {
  boost::asio::io_context io;
  base::ManualClock clock(io.get_executor());
  ScriptedTransport transport;
  RecordingLog log;
  QueuedCredentials credentials;
  credentials.queue.push_back(base::fail(ErrorKind::Usage, "no AWS credentials; looked at: …"));
  Client client(ClientFixture::local(), transport, credentials, clock, base::Rng(1), log);
  const auto answer = base::finish(io, clock, client.call("Scan", "{}"));
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == ErrorKind::Usage);
  CHECK(transport.requests.empty());
}

TEST_CASE("a skewed clock is measured by the server's Date, said, and corrected in what is signed") {
  ClientFixture world;
  world.clock.step_wall(-std::chrono::hours(1));
  world.transport.then_error(400, "InvalidSignatureException", "Signature expired: x is now earlier than y",
                             with("Date", kNow));
  world.transport.otherwise = [](const http::Request&) { return ScriptedTransport::response(200, "{}"); };
  REQUIRE(world.call().has_value());
  REQUIRE(world.transport.requests.size() == 2);
  CHECK(world.transport.requests[0].headers.get("X-Amz-Date") == "20231114T211320Z");
  CHECK(world.transport.requests[1].headers.get("X-Amz-Date") == "20231114T221320Z");
  const auto lines = world.log.of("aws.clock_skew");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].field("skew_s") == "3600");
  // The correction stays, and is said once.
  REQUIRE(world.call().has_value());
  CHECK(world.transport.requests[2].headers.get("X-Amz-Date") == "20231114T221320Z");
  CHECK(world.log.of("aws.clock_skew").size() == 1);
  CHECK(world.client.counters().skew_corrections == 1);
}

TEST_CASE("without a Date the skew is read from the message") {
  ClientFixture world;
  world.clock.step_wall(std::chrono::minutes(20));
  world.transport.then_error(400, "InvalidSignatureException",
                             "Signature not yet current: 20231114T223320Z is still later than 20231114T221820Z "
                             "(20231114T221320Z + 5 min.)");
  world.transport.then(200, "{}");
  REQUIRE(world.call().has_value());
  CHECK(world.transport.requests[1].headers.get("X-Amz-Date") == "20231114T221320Z");
  CHECK(world.log.of("aws.clock_skew")[0].field("skew_s") == "-1200");
}

TEST_CASE("a skew that correcting does not cure ends the call and is named with its size") {
  ClientFixture world;
  world.clock.step_wall(std::chrono::minutes(-10));
  world.transport.otherwise = [](const http::Request&) {
    return ScriptedTransport::response(403, ScriptedTransport::error_body("RequestTimeTooSkewed", "too large"),
                                       with("Date", kNow));
  };
  const auto answer = world.call();
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == ErrorKind::Denied);
  CHECK(answer.error().what.find("600 s behind") != std::string::npos);
  CHECK(world.transport.requests.size() == 2);
}

TEST_CASE("request expired with a right clock means the credentials") {
  ClientFixture world;
  world.transport.otherwise = [](const http::Request&) {
    return ScriptedTransport::response(400, ScriptedTransport::error_body("RequestExpired", "Request has expired."),
                                       with("Date", kNow));
  };
  const auto answer = world.call();
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == ErrorKind::CredentialsExpired);
  CHECK(world.log.of("aws.clock_skew").empty());
}

TEST_CASE("with retries off every call sends one request, and only a definite answer is definite") {
  struct Row {
    std::function<void(ScriptedTransport&)> script;
    ErrorKind kind;
  };
  const auto error = [](int status, const char* name) {
    return [status, name](ScriptedTransport& transport) { transport.then_error(status, name, "text"); };
  };
  for (const Row& row : {
           Row{error(500, "InternalServerError"), ErrorKind::Unavailable},
           Row{error(503, ""), ErrorKind::Unavailable},
           Row{error(500, "ValidationException"), ErrorKind::Unavailable},
           Row{[](ScriptedTransport& t) { t.then(ErrorKind::Unavailable, "cut"); }, ErrorKind::Unavailable},
           Row{[](ScriptedTransport& t) { t.then(ErrorKind::Corrupt, "no HTTP"); }, ErrorKind::Unavailable},
           Row{[](ScriptedTransport& t) { t.then(200, "{}", with("x-amz-crc32", "1")); }, ErrorKind::Unavailable},
           Row{[](ScriptedTransport& t) { t.then(200, "x", with("Content-Encoding", "gzip")); },
               ErrorKind::Unavailable},
           // Definite: certainly not applied.
           Row{[](ScriptedTransport& t) { t.then(ErrorKind::EndpointDown, "refused"); }, ErrorKind::EndpointDown},
           Row{error(400, "ThrottlingException"), ErrorKind::Throttled},
           Row{error(400, "ConditionalCheckFailedException"), ErrorKind::Conflict},
           Row{error(400, "ExpiredTokenException"), ErrorKind::CredentialsExpired},
           Row{[](ScriptedTransport& t) { t.then_error(403, "RequestTimeTooSkewed", "x", with("Date", kNow)); },
               ErrorKind::Throttled},
       }) {
    ClientFixture world(once());
    row.script(world.transport);
    const auto answer = world.call();
    REQUIRE(!answer.has_value());
    CHECK(answer.error().kind == row.kind);
    CHECK(world.transport.requests.size() == 1);
    CHECK(world.elapsed() == 0s);
  }
}

TEST_CASE("a call that is cancelled while it waits unwinds at once") {
  ClientFixture world;
  world.transport.otherwise = [](const http::Request&) { return ScriptedTransport::response(500, ""); };
  base::TaskGroup group(world.io.get_executor());
  std::optional<base::Result<Answer>> out;
  group.start(base::keep_value(world.client.call("Scan", "{}"), out));
  world.io.poll();
  CHECK(world.transport.requests.size() == 1);
  base::TaskGroup outer(world.io.get_executor());
  outer.start([](base::TaskGroup& inner) -> base::Task<base::Result<>> {
    co_await inner.stop();
    co_return base::Result<>();
  }(group));
  world.io.restart();
  world.io.poll();
  CHECK(group.size() == 0);
  CHECK(!out.has_value());
}

TEST_CASE("no secret and no token stands in an error or in the log") {
  ClientFixture world;
  world.credentials = StaticCredentials({"AKID", "very-secret", "very-token", {}});
  world.transport.otherwise = [](const http::Request&) { return ScriptedTransport::response(500, ""); };
  const auto answer = world.call();
  REQUIRE(!answer.has_value());
  std::string all = answer.error().what;
  for (const auto& line : world.log.lines) {
    for (const auto& field : line.fields) all += field.value;
  }
  CHECK(all.find("very-") == std::string::npos);
}
