// M4: what each answer to a BatchWriteItem means for each of its writes.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "base/json.h"
#include "target/dynamodb/fixture.h"

using namespace moveout;
using namespace moveout::target;
using namespace moveout::target::dynamodb;
using base::ErrorKind;

namespace {

constexpr const char* kAll = R"({"UnprocessedItems":{}})";
using Seen = std::vector<Outcome>;
constexpr auto kA = Outcome::Applied;
constexpr auto kT = Outcome::Throttled;
constexpr auto kU = Outcome::Unknown;

struct World : TargetFixture {
  World() : TargetFixture(Way::Unguarded) { open(); }
};

std::string unprocessed(const std::string& elements) { return R"({"UnprocessedItems":{"orders":[)" + elements + "]}}"; }

}  // namespace

TEST_CASE("an unguarded batch goes out as it is, puts and deletes, and is applied") {
  World world;
  item::Batch batch;
  world.put(batch, "a", 16, R"("x":{"S":"\u0041 as it came"})");
  world.remove(batch, "b");
  world.transport.then(200, kAll);
  const auto outcomes = world.apply(batch);
  REQUIRE(outcomes);
  CHECK(outcomes->each == Seen{kA, kA});
  CHECK(outcomes->until == base::Steady{});
  REQUIRE(world.transport.requests.size() == 1);
  CHECK(world.operation(0) == "BatchWriteItem");
  CHECK(world.body(0) ==
        R"({"RequestItems":{"orders":[{"PutRequest":{"Item":{"id":{"S":"a"},"x":{"S":"\u0041 as it came"}}}},)"
        R"({"DeleteRequest":{"Key":{"id":{"S":"b"}}}}]}})");
  CHECK(world.target->guard() == Guard::OrderedOnly);
  CHECK(world.target->late_max() == base::Millis(2000));
  CHECK(!world.target->commits_checkpoints());
}

TEST_CASE("an empty map that a stream image shows as {} is written as one, without a guard too") {
  World world;
  item::Batch batch;
  world.put(batch, "a", 16, R"("m":{})");
  world.transport.then(200, kAll);
  REQUIRE(world.apply(batch));
  CHECK(world.body(0).find(R"("m":{"M":{}})") != std::string::npos);
}

TEST_CASE("a batch has at most 25 writes, a megabyte and each key once") {
  World world;
  std::size_t writes = 0;
  world.transport.otherwise = [&](const http::Request& request) -> aws::ScriptedTransport::Answer {
    const auto body = base::parse_json(request.body);
    const auto& list = body->at("RequestItems").at("orders").as_array();
    std::set<std::string> keys;
    for (const auto& each : list) {
      const auto* put = each.as_object().if_contains("PutRequest");
      REQUIRE(put != nullptr);
      keys.insert(std::string(put->at("Item").at("id").at("S").as_string()));
    }
    CHECK(keys.size() == list.size());
    CHECK(list.size() <= 25);
    CHECK(request.body.size() <= (1 << 20) + 400'000 + 4096);
    writes += list.size();
    return aws::ScriptedTransport::response(200, kAll);
  };
  item::Batch batch = world.numbered(60);
  world.put(batch, "k59", 32);  // the key twice
  for (int i = 0; i < 6; ++i)
    world.put(batch, "big" + std::to_string(i), 16, R"("t":{"S":")" + std::string(390'000, 'x') + "\"}");
  const auto outcomes = world.apply(batch);
  REQUIRE(outcomes);
  CHECK(outcomes->count(kA) == batch.size());
  CHECK(writes == batch.size());
  CHECK(world.transport.requests.size() >= 6);
}

TEST_CASE("keys that differ at their beginning only go together, each key once") {
  World world;
  world.transport.otherwise = [](const http::Request&) { return aws::ScriptedTransport::response(200, kAll); };
  item::Batch batch;
  for (const char* id : {"a-common-end", "b-common-end", "a", "b", "a-common-end"}) world.put(batch, id);
  REQUIRE(world.apply(batch));
  REQUIRE(world.transport.requests.size() == 2);
  CHECK(world.body(0).find("a-common-end") != std::string::npos);
  CHECK(world.body(0).find(R"("id":{"S":"b"})") != std::string::npos);
  CHECK(world.body(1) == R"({"RequestItems":{"orders":[{"PutRequest":{"Item":{"id":{"S":"a-common-end"}}}}]}})");
}

TEST_CASE("what the server left unprocessed is throttled, alone, and is not sent again here") {
  World world;
  world.transport.then(
      200, unprocessed(R"({"PutRequest":{"Item":{"id":{"S":"k1"}}}},{"DeleteRequest":{"Key":{"id":{"S":"k3"}}}})"));
  item::Batch batch = world.numbered(3);
  world.remove(batch, "k3");
  const auto outcomes = world.apply(batch);
  REQUIRE(outcomes);
  CHECK(outcomes->each == Seen{kA, kT, kA, kT});
  CHECK(world.transport.requests.size() == 1);
}

TEST_CASE("an unprocessed item that was never asked for, or comes twice, makes the whole answer unknown") {
  for (const char* elements :
       {R"({"PutRequest":{"Item":{"id":{"S":"other"}}}})",
        R"({"PutRequest":{"Item":{"id":{"S":"k1"}}}},{"PutRequest":{"Item":{"id":{"S":"k1"}}}})"}) {
    World world;
    world.transport.then(200, unprocessed(elements));
    const auto outcomes = world.apply(world.numbered(2));
    REQUIRE(outcomes);
    CHECK(outcomes->each == Seen{kU, kU});
    CHECK(outcomes->until == world.clock.steady() + base::Millis(2000));
  }
}

TEST_CASE("answers that cannot be read are unknown, not applied and not refused") {
  for (const char* body : {"", "{", "[]", R"({"UnprocessedItems":[]})", R"({"UnprocessedItems":{"orders":[{}]}})",
                           R"({"UnprocessedItems":{"orders":[{"PutRequest":{}}]}})",
                           R"({"UnprocessedItems":{"orders":[{"PutRequest":{"Item":{"other":{"S":"k"}}}}]}})",
                           R"({"UnprocessedItems":{"orders":[{"Strange":{"Item":{"id":{"S":"k0"}}}}]}})"}) {
    CAPTURE(body);
    World world;
    world.transport.then(200, body);
    const auto outcomes = world.apply(world.numbered(1));
    REQUIRE(outcomes);
    CHECK(outcomes->each == Seen{kU});
    CHECK(world.transport.requests.size() == 1);
  }
}

TEST_CASE("an ambiguous answer is never sent again, and says until when it may land") {
  World world;
  base::Steady sent{};
  const auto lost = [&](base::Result<http::Response> answer) {
    world.transport.then([&world, &sent, answer](const http::Request&) {
      sent = world.clock.steady();
      world.clock.advance(base::Millis(700));
      return answer;
    });
  };
  lost(base::fail(ErrorKind::Unavailable, "cut"));
  lost(aws::ScriptedTransport::response(500, aws::ScriptedTransport::error_body("InternalServerError", "x")));
  lost(aws::ScriptedTransport::response(503, aws::ScriptedTransport::error_body("ServiceUnavailable", "x")));
  lost(aws::ScriptedTransport::response(503, aws::ScriptedTransport::error_body("ValidationException", "by a proxy")));
  for (std::size_t n = 1; n <= 4; ++n) {
    const auto outcomes = world.apply(world.numbered(2));
    REQUIRE(outcomes);
    CHECK(outcomes->each == Seen{kU, kU});
    CHECK(outcomes->until == sent + base::Millis(2000));  // from the signing, not from the answer
    CHECK(world.transport.requests.size() == n);
  }
}

TEST_CASE("what certainly did not arrive is throttled") {
  World world;
  world.transport.then_error(400, "ProvisionedThroughputExceededException", "slower");
  world.transport.then(ErrorKind::EndpointDown, "refused");
  world.transport.then_error(400, "TransactionConflictException", "busy");
  for (int i = 0; i < 3; ++i) {
    const auto outcomes = world.apply(world.numbered(2));
    REQUIRE(outcomes);
    CHECK(outcomes->each == Seen{kT, kT});
  }
  CHECK(world.transport.requests.size() == 3);
}

TEST_CASE("a batch that is refused is halved until the item at fault stands alone") {
  World world;
  world.transport.otherwise = [](const http::Request& request) {
    const bool poisoned = request.body.find("\"k13\"") != std::string::npos;
    return poisoned
               ? aws::ScriptedTransport::response(400, aws::ScriptedTransport::error_body("ValidationException", "bad"))
               : aws::ScriptedTransport::response(200, kAll);
  };
  const auto outcomes = world.apply(world.numbered(25));
  REQUIRE(outcomes);
  CHECK(outcomes->count(kA) == 24);
  CHECK(outcomes->each[13] == Outcome::Refused);
  REQUIRE(outcomes->why.size() == 1);
  CHECK(outcomes->why[0].first == 13);
  CHECK(outcomes->why[0].second.find("ValidationException") != std::string::npos);
}

TEST_CASE("a request that no server understands sets no item aside") {
  World world;
  world.transport.then_error(400, "UnknownOperationException", "what?");
  const auto outcomes = world.apply(world.numbered(2));
  REQUIRE(!outcomes);
  CHECK(outcomes.error().kind == ErrorKind::Usage);
}

TEST_CASE("expired credentials are asked for once more, and then end the work") {
  World world;
  world.transport.then_error(400, "ExpiredTokenException", "old");
  world.transport.then(200, kAll);
  CHECK(world.apply(world.numbered(1))->each == Seen{kA});
  CHECK(world.transport.requests.size() == 2);
  world.transport.then_error(400, "ExpiredTokenException", "old");
  world.transport.then_error(400, "ExpiredTokenException", "old");
  CHECK(world.apply(world.numbered(1)).error().kind == ErrorKind::CredentialsExpired);
  world.transport.then_error(400, "AccessDeniedException",
                             "not authorized to perform: dynamodb:BatchWriteItem on resource: x");
  world.transport.then_error(400, "AccessDeniedException",
                             "not authorized to perform: dynamodb:BatchWriteItem on resource: x");
  CHECK(world.apply(world.numbered(1)).error().kind == ErrorKind::Denied);
  world.transport.then_error(400, "ResourceNotFoundException", "gone");
  CHECK(world.apply(world.numbered(1)).error().kind == ErrorKind::TargetChanged);
}

TEST_CASE("a write that may not be signed now is not sent, and is throttled") {
  struct Asked : base::Permit {
    bool may_sign() const override { return ++times == 1; }
    mutable int times = 0;
  } permit;
  World world;
  world.target->sign_with(permit);
  world.transport.then(200, kAll);
  const auto outcomes = world.apply(world.numbered(26));
  REQUIRE(outcomes);
  CHECK(outcomes->count(kA) == 25);
  CHECK(outcomes->each[25] == kT);
  CHECK(world.transport.requests.size() == 1);
  CHECK(permit.times == 2);
}

TEST_CASE("each request is signed when it is sent, and none waits long for its turn") {
  TargetFixture world(Way::Unguarded, /*max_writes=*/10);
  world.open();
  world.transport.otherwise = [](const http::Request&) { return aws::ScriptedTransport::response(200, kAll); };
  const base::Steady start = world.clock.steady();
  const auto outcomes = world.apply(world.numbered(100));
  REQUIRE(outcomes);
  // 10 a second: the first batch goes, the rest comes back to the caller instead of being held here.
  CHECK(outcomes->count(kA) >= 25);
  CHECK(outcomes->count(kT) >= 25);
  CHECK(outcomes->count(kA) + outcomes->count(kT) == 100);
  CHECK(world.clock.steady() - start <= std::chrono::seconds(4));
}
