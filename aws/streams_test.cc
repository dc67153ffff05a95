#include "aws/streams.h"

#include <doctest/doctest.h>

#include "aws/client_fixture.h"
#include "base/json.h"
#include "base/rng.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

namespace {

ClientConfig streams_config() {
  ClientConfig config = ClientFixture::local();
  config.target_prefix = "DynamoDBStreams_20120810";
  return config;
}

struct World : ClientFixture {
  World() : ClientFixture(streams_config()) {}
  Streams streams{client};
  base::json::object asked(std::size_t n) const { return base::parse_json(transport.requests.at(n).body)->as_object(); }
  base::Result<RecordsPage> records(const std::string& body) {
    transport.otherwise = [body](const http::Request&) { return ScriptedTransport::response(200, body); };
    return run(streams.records("it"));
  }
};

std::string page_of(const std::string& records, const std::string& rest = R"(,"NextShardIterator":"next")") {
  return R"({"Records":[)" + records + "]" + rest + "}";
}

// As AWS writes it.
constexpr const char* kModify = R"({"awsRegion":"eu-west-3","dynamodb":{"ApproximateCreationDateTime":1.7E9,
  "Keys":{"pk":{"S":"a"}},"NewImage":{"pk":{"S":"a"},"v":{"S":"{\"x\":1}"}},"OldImage":{"pk":{"S":"a"}},
  "SequenceNumber":"400000000000000000001","SizeBytes":21,"StreamViewType":"NEW_AND_OLD_IMAGES"},
  "eventID":"1","eventName":"MODIFY","eventSource":"aws:dynamodb","eventVersion":"1.1"})";

}  // namespace

TEST_CASE("GetRecords gives each record's texts and the next iterator") {
  World world;
  const auto page = world.records(page_of(kModify));
  REQUIRE(page.has_value());
  CHECK(world.transport.requests[0].headers.get("X-Amz-Target") == "DynamoDBStreams_20120810.GetRecords");
  CHECK(world.asked(0) == base::parse_json(R"({"ShardIterator":"it","Limit":1000})")->as_object());
  CHECK(page->next_iterator == "next");
  REQUIRE(page->records.size() == 1);
  const StreamRecord& record = page->records[0];
  CHECK(record.event_name == "MODIFY");
  CHECK(record.sequence == "400000000000000000001");
  CHECK(base::micros_of(record.created) == 1'700'000'000'000'000);
  CHECK(record.keys == R"({"pk":{"S":"a"}})");
  CHECK(record.new_image == R"({"pk":{"S":"a"},"v":{"S":"{\"x\":1}"}})");
  CHECK(record.old_image == R"({"pk":{"S":"a"}})");
  CHECK(!record.ttl_delete);
  CHECK(record.keys.data() >= page->body->data());
  CHECK(record.old_image.data() + record.old_image.size() <= page->body->data() + page->body->size());
}

TEST_CASE("a creation time may be whole, a fraction or in scientific notation") {
  for (const auto& [text, micros] : {std::pair{"1700000000", 1'700'000'000'000'000},
                                     {"1700000000.0", 1'700'000'000'000'000},
                                     {"1700000000.25", 1'700'000'000'250'000},
                                     {"1.70000004E9", 1'700'000'040'000'000}}) {
    CAPTURE(text);
    World world;
    const auto page = world.records(page_of(std::string(R"({"eventName":"INSERT","dynamodb":{"Keys":{"p":{"N":"1"}},
      "SequenceNumber":"1","ApproximateCreationDateTime":)") +
                                            text + "}}"));
    REQUIRE(page.has_value());
    CHECK(base::micros_of(page->records[0].created) == micros);
  }
}

TEST_CASE("TTL deletes are told by the service's identity, in either spelling, and only by it") {
  for (const auto& [identity, ttl] : {
           std::pair{R"({"type":"Service","principalId":"dynamodb.amazonaws.com"})", true},
           {R"({"PrincipalId":"dynamodb.amazonaws.com","Type":"Service","x":[1]})", true},
           {R"({"type":"User","principalId":"dynamodb.amazonaws.com"})", false},
           {R"({"type":"Service","principalId":"else"})", false},
           {R"({"type":null,"principalId":null})", false},
           {"null", false},
           {"{}", false},
       }) {
    CAPTURE(identity);
    World world;
    const auto page =
        world.records(page_of(std::string(R"({"userIdentity":)") + identity +
                              R"(,"eventName":"REMOVE","dynamodb":{"Keys":{"p":{"N":"1"}},"SequenceNumber":"1",
      "ApproximateCreationDateTime":1700000000,"NewImage":null}})"));
    REQUIRE(page.has_value());
    CHECK(page->records[0].ttl_delete == ttl);
    CHECK(page->records[0].new_image.empty());
  }
}

TEST_CASE("an empty page is a page, and a drained shard has no next iterator") {
  World world;
  auto page = world.records(R"({"Records":[],"NextShardIterator":"n"})");
  REQUIRE(page.has_value());
  CHECK(page->records.empty());
  CHECK(page->next_iterator == "n");
  for (const char* body : {R"({"Records":[]})", R"({"NextShardIterator":null,"Records":[]})"}) {
    page = world.records(body);
    REQUIRE(page.has_value());
    CHECK(page->next_iterator.empty());
  }
}

TEST_CASE("a records page cut anywhere is asked for again and never taken for a page") {
  const std::string body = page_of(std::string(kModify) + "," + kModify);
  for (std::size_t size = 0; size < body.size(); ++size) {
    CAPTURE(size);
    World world;
    const auto page = world.records(body.substr(0, size));
    REQUIRE(!page.has_value());
    CHECK(page.error().kind == ErrorKind::Corrupt);
    CHECK(world.transport.requests.size() == 3);
  }
}

TEST_CASE("records that do not say what changed, and when, are Corrupt") {
  const auto record = [](const std::string& event, const std::string& change) {
    return page_of("{" + event + "\"dynamodb\":{" + change + "}}");
  };
  const std::string insert = R"("eventName":"INSERT",)";
  const std::string keys = R"("Keys":{"p":{"N":"1"}},)";
  const std::string sequence = R"("SequenceNumber":"1",)";
  const std::string created = R"("ApproximateCreationDateTime":1700000000)";
  World whole;
  REQUIRE(whole.records(record(insert, keys + sequence + created)).has_value());
  for (const std::string& body : {
           record("", keys + sequence + created),
           record(insert, sequence + created),
           record(insert, keys + created),
           record(insert, keys + R"("SequenceNumber":"1")"),
           record(insert, keys + R"("SequenceNumber":"12x",)" + created),
           record(insert, keys + R"("SequenceNumber":"",)" + created),
           record(insert, keys + R"("SequenceNumber":12,)" + created),
           record(insert, keys + "\"SequenceNumber\":\"" + std::string(65, '1') + "\"," + created),
           record(insert, keys + sequence + R"("ApproximateCreationDateTime":"1700000000")"),
           record(insert, keys + sequence + R"("ApproximateCreationDateTime":-1)"),
           record(insert, keys + sequence + R"("ApproximateCreationDateTime":1e300)"),
           record(insert, R"("Keys":[],)" + sequence + created),
           record(insert, R"("Keys":{"p":{"N":1}},)" + sequence + created),
           record(insert, R"("Keys":{"p":{"Z":"1"}},)" + sequence + created),
           record(insert, keys + sequence + R"("NewImage":{"p":{"M":{"a":]}}},)" + created),
           std::string(R"({"Records":{}})"),
           std::string(R"({"Records":[7]})"),
           std::string(R"({"NextShardIterator":"x"})"),
           std::string(R"({"Records":[],"NextShardIterator":7})"),
           std::string(R"({"Records":[]}{})"),
           std::string("{\"Records\":[],\"x\":\"\xC3\"}"),
       }) {
    CAPTURE(body);
    World world;
    const auto page = world.records(body);
    REQUIRE(!page.has_value());
    CHECK(page.error().kind == ErrorKind::Corrupt);
  }
}

TEST_CASE("an image that nobody understands leaves its page whole; a key that nobody understands is named") {
  const std::string bad = R"({"eventName":"INSERT","dynamodb":{"SequenceNumber":"7","ApproximateCreationDateTime":1,)"
                          R"("Keys":{"p":{"S":"a"}},"NewImage":{"p":{"S":"a"},"x":{"S":"\ud800"},"y":{"SS":[]}}}})";
  World world;
  auto page = world.records(page_of(bad + "," + kModify));
  REQUIRE(page.has_value());
  REQUIRE(page->records.size() == 2);
  CHECK(page->records[0].new_image == R"({"p":{"S":"a"},"x":{"S":"\ud800"},"y":{"SS":[]}})");
  page = world.records(page_of(R"({"eventName":"REMOVE","dynamodb":{"SequenceNumber":"7",)"
                               R"("ApproximateCreationDateTime":1,"Keys":{"p":{"S":"\ud800"}}}})"));
  REQUIRE(!page.has_value());
  CHECK(page.error().kind == ErrorKind::Corrupt);
  CHECK(page.error().what.find("record 7") != std::string::npos);
}

TEST_CASE("a damaged byte never crashes the reader of records") {
  const std::string body = page_of(std::string(kModify) + "," + kModify);
  base::Rng rng(11);
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = body;
    for (std::uint64_t n = rng.below(3) + 1; n > 0; --n) {
      damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
    }
    World world;
    const auto page = world.records(damaged);
    if (!page) {
      CHECK(page.error().kind == ErrorKind::Corrupt);
      continue;
    }
    for (const StreamRecord& record : page->records) CHECK(!record.keys.empty());
  }
}

TEST_CASE("DescribeStream reads the stream and a page of its shards") {
  World world;
  world.transport.then(200, R"({"StreamDescription":{"StreamArn":"arn:s","StreamLabel":"2023-11-14T22:13:20.000",
    "StreamStatus":"ENABLED","StreamViewType":"NEW_AND_OLD_IMAGES","TableName":"orders","CreationRequestDateTime":1.7E9,
    "KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"LastEvaluatedShardId":"shard-2",
    "Shards":[{"ShardId":"shard-1","SequenceNumberRange":{"StartingSequenceNumber":"100","EndingSequenceNumber":"200"}},
      {"ShardId":"shard-2","ParentShardId":"shard-1","SequenceNumberRange":{"StartingSequenceNumber":"300"}}]}})");
  const auto page = world.run(world.streams.describe("arn:s", "shard-0"));
  REQUIRE(page.has_value());
  CHECK(world.asked(0) ==
        base::parse_json(R"({"StreamArn":"arn:s","Limit":100,"ExclusiveStartShardId":"shard-0"})")->as_object());
  CHECK(page->arn == "arn:s");
  CHECK(page->label == "2023-11-14T22:13:20.000");
  CHECK(page->status == "ENABLED");
  CHECK(page->view_type == "NEW_AND_OLD_IMAGES");
  CHECK(page->table == "orders");
  CHECK(page->last_shard == "shard-2");
  REQUIRE(page->shards.size() == 2);
  CHECK(page->shards[0].parent.empty());
  CHECK(page->shards[0].end_sequence == "200");
  CHECK(page->shards[1].parent == "shard-1");
  CHECK(page->shards[1].start_sequence == "300");
  CHECK(page->shards[1].end_sequence.empty());
  for (const char* body : {"{}", R"({"StreamDescription":{"Shards":[7]}})", R"({"StreamDescription":{"Shards":[{}]}})",
                           R"({"StreamDescription":{"StreamArn":7}})"}) {
    CAPTURE(body);
    world.transport.otherwise = [body](const http::Request&) { return ScriptedTransport::response(200, body); };
    CHECK(world.run(world.streams.describe("arn:s", "")).error().kind == ErrorKind::Corrupt);
  }
}

TEST_CASE("an iterator is asked for at the horizon without a number, else with one") {
  World world;
  world.transport.otherwise = [](const http::Request&) {
    return ScriptedTransport::response(200, R"({"ShardIterator":"it|1"})");
  };
  CHECK(*world.run(world.streams.iterator("arn:s", "shard-1", IteratorAt::TrimHorizon, "7")) == "it|1");
  CHECK(
      world.asked(0) ==
      base::parse_json(R"({"StreamArn":"arn:s","ShardId":"shard-1","ShardIteratorType":"TRIM_HORIZON"})")->as_object());
  CHECK(world.run(world.streams.iterator("arn:s", "shard-1", IteratorAt::After, "700")).has_value());
  CHECK(world.asked(1) == base::parse_json(R"({"StreamArn":"arn:s","ShardId":"shard-1",
    "ShardIteratorType":"AFTER_SEQUENCE_NUMBER","SequenceNumber":"700"})")
                              ->as_object());
  CHECK(world.run(world.streams.iterator("arn:s", "shard-1", IteratorAt::At, "700")).has_value());
  CHECK(world.asked(2).at("ShardIteratorType") == "AT_SEQUENCE_NUMBER");
}

TEST_CASE("expired iterators, trimmed data and lost streams are told apart") {
  World world;
  world.transport.then_error(400, "ExpiredIteratorException", "Iterator expired");
  CHECK(world.run(world.streams.records("it")).error().kind == ErrorKind::Expired);
  world.transport.then_error(400, "TrimmedDataAccessException", "The operation attempted to read past the oldest");
  CHECK(world.run(world.streams.records("it")).error().kind == ErrorKind::Trimmed);
  world.transport.then_error(400, "ResourceNotFoundException", "Requested resource not found: Stream: arn:s");
  const auto lost = world.run(world.streams.describe("arn:s", ""));
  CHECK(lost.error().kind == ErrorKind::NotFound);
  CHECK(lost.error().what.starts_with("stream \"arn:s\" not found in region eu-west-3"));
  world.transport.then_error(400, "AccessDeniedException", "no");
  CHECK(world.run(world.streams.describe("arn:s", "")).error().what.find("dynamodb:DescribeStream") !=
        std::string::npos);
}
