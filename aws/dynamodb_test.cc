#include "aws/dynamodb.h"

#include <doctest/doctest.h>

#include "aws/client_fixture.h"
#include "base/json.h"
#include "item/json.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;
namespace json = base::json;

namespace {

struct Tables : ClientFixture {
  DynamoDb dynamodb{client};
  // The body of the n-th request, parsed.
  json::object asked(std::size_t n) const { return base::parse_json(transport.requests.at(n).body)->as_object(); }
};

const item::KeySchema kSchema{{"pk", item::KeyType::S}, item::KeyAttribute{"sk", item::KeyType::N}};

ScanRequest scan_of(const std::string& table, bool return_throttles = false) {
  ScanRequest request;
  request.table = table;
  request.return_throttles = return_throttles;
  return request;
}

item::Key key(const std::string& pk, const std::string& sk) {
  return *item::key_of_json(kSchema, R"({"pk":{"S":")" + pk + R"("},"sk":{"N":")" + sk + R"("}})");
}

constexpr const char* kTable = R"({"Table":{"TableName":"orders","TableStatus":"ACTIVE",
  "TableArn":"arn:aws:dynamodb:eu-west-3:000000000000:table/orders","TableId":"0f4e",
  "AttributeDefinitions":[{"AttributeName":"sk","AttributeType":"N"},{"AttributeName":"x","AttributeType":"B"},
    {"AttributeName":"pk","AttributeType":"S"}],
  "KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],
  "CreationDateTime":1.7000000005E9,"ItemCount":123456789012,"TableSizeBytes":5,
  "LatestStreamArn":"arn:aws:dynamodb:eu-west-3:000000000000:table/orders/stream/2023",
  "StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}})";

}  // namespace

TEST_CASE("DescribeTable reads name, key, size and stream") {
  Tables world;
  world.transport.then(200, kTable);
  const auto table = world.run(world.dynamodb.describe_table("orders"));
  REQUIRE(table.has_value());
  CHECK(world.transport.requests[0].headers.get("X-Amz-Target") == "DynamoDB_20120810.DescribeTable");
  CHECK(world.asked(0).at("TableName") == "orders");
  CHECK(table->name == "orders");
  CHECK(table->id == "0f4e");
  CHECK(table->status == "ACTIVE");
  CHECK(table->key == kSchema);
  CHECK(base::micros_of(table->created) == 1'700'000'000'500'000);
  CHECK(table->item_count == 123456789012);
  CHECK(table->size_bytes == 5);
  CHECK(table->stream_enabled);
  CHECK(table->stream_view_type == "KEYS_ONLY");
  CHECK(table->stream_arn.ends_with("stream/2023"));
}

TEST_CASE("a table without sort key, stream and id is described all the same") {
  Tables world;
  world.transport.then(200, R"({"Table":{"TableName":"t","TableStatus":"CREATING","CreationDateTime":1700000000,
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"B"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"StreamSpecification":null}})");
  const auto table = world.run(world.dynamodb.describe_table("t"));
  REQUIRE(table.has_value());
  CHECK(table->key.partition == item::KeyAttribute{"p", item::KeyType::B});
  CHECK(!table->key.sort.has_value());
  CHECK(!table->stream_enabled);
  CHECK(table->stream_arn.empty());
  CHECK(table->id.empty());
}

TEST_CASE("a missing table is named with its region and endpoint, a missing right with its action") {
  Tables world;
  world.transport.then_error(400, "ResourceNotFoundException", "Requested resource not found");
  auto table = world.run(world.dynamodb.describe_table("orders"));
  REQUIRE(!table.has_value());
  CHECK(table.error().kind == ErrorKind::NotFound);
  CHECK(table.error().what.starts_with("table \"orders\" not found in region eu-west-3 at http://localhost:8000"));

  world.transport.then_error(400, "AccessDeniedException",
                             "User: arn:aws:iam::1:user/u is not authorized to perform: kms:Decrypt on resource: "
                             "arn:aws:kms:eu-west-3:1:key/k because no identity-based policy allows it");
  table = world.run(world.dynamodb.describe_table("orders"));
  REQUIRE(!table.has_value());
  CHECK(table.error().kind == ErrorKind::Denied);
  CHECK(table.error().what.find("the right kms:Decrypt is missing on arn:aws:kms:eu-west-3:1:key/k") !=
        std::string::npos);

  // A message that does not name it: the action is the operation's.
  world.transport.then_error(400, "AccessDeniedException", "no");
  table = world.run(world.dynamodb.describe_table("orders"));
  CHECK(table.error().what.find("the right dynamodb:DescribeTable is missing") != std::string::npos);
}

TEST_CASE("malformed descriptions are asked for again, then Corrupt") {
  for (
      const char* body : {
          "",
          "null",
          "[]",
          "{",
          "{}",
          R"({"Table":[]})",
          R"({"Table":{}})",
          R"({"Table":{"TableName":"t"}})",
          R"({"Table":{"TableName":7,"KeySchema":[],"AttributeDefinitions":[]}})",
          R"({"Table":{"TableName":"t","KeySchema":[],"AttributeDefinitions":[]}})",
          R"({"Table":{"TableName":"t","KeySchema":[1],"AttributeDefinitions":[]}})",
          R"({"Table":{"TableName":"t","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"AttributeDefinitions":[]}})",
          R"({"Table":{"TableName":"t","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],
               "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"BOOL"}]}})",
      }) {
    CAPTURE(body);
    Tables world;
    world.transport.otherwise = [body](const http::Request&) { return ScriptedTransport::response(200, body); };
    const auto table = world.run(world.dynamodb.describe_table("t"));
    REQUIRE(!table.has_value());
    CHECK(table.error().kind == ErrorKind::Corrupt);
    CHECK(world.transport.requests.size() == 3);
  }
}

TEST_CASE("Scan asks for its segment and gives the items' texts, the last key and the capacity") {
  Tables world;
  world.transport.then(200, R"({"Count":2,"ScannedCount":2,"Items":[{"pk":{"S":"a"},"sk":{"N":"1"}},
    {"pk":{"S":"b"},"sk":{"N":"2"},"m":{"M":{"x":{"L":[{"NULL":true}]}}}}],
    "LastEvaluatedKey":{"pk":{"S":"b"},"sk":{"N":"2"}},"ConsumedCapacity":{"TableName":"t","CapacityUnits":128.5}})");
  world.transport.then(200, R"({"Items":[],"Count":0,"ScannedCount":0})");
  ScanRequest request;
  request.table = "t\"quoted";
  request.segment = 3;
  request.total_segments = 8;
  request.limit = 100;
  auto page = world.run(world.dynamodb.scan(request));
  REQUIRE(page.has_value());
  CHECK(world.asked(0) == base::parse_json(R"({"TableName":"t\"quoted","Segment":3,"TotalSegments":8,
    "ConsistentRead":true,"Limit":100,"ReturnConsumedCapacity":"TOTAL"})")
                              ->as_object());
  REQUIRE(page->items.size() == 2);
  CHECK(page->items[0] == R"({"pk":{"S":"a"},"sk":{"N":"1"}})");
  CHECK(page->items[0].data() >= page->body->data());
  CHECK(page->items[1].data() + page->items[1].size() <= page->body->data() + page->body->size());
  CHECK(page->last_key == R"({"pk":{"S":"b"},"sk":{"N":"2"}})");
  CHECK(page->consumed_rcu == 128.5);

  request.start_key = page->last_key;
  request.total_segments = 1;
  request.consistent = false;
  request.limit = 0;
  page = world.run(world.dynamodb.scan(request));
  REQUIRE(page.has_value());
  CHECK(world.asked(1) == base::parse_json(R"({"TableName":"t\"quoted","ReturnConsumedCapacity":"TOTAL",
    "ExclusiveStartKey":{"pk":{"S":"b"},"sk":{"N":"2"}}})")
                              ->as_object());
  CHECK(page->items.empty());
  CHECK(page->last_key.empty());
  CHECK(page->consumed_rcu == 0);
}

TEST_CASE("a target that refuses ReturnConsumedCapacity is scanned without it, and asked no more") {
  Tables world;
  world.transport.then_error(400, "ValidationException", "ReturnConsumedCapacity is not supported");
  world.transport.otherwise = [](const http::Request&) {
    return ScriptedTransport::response(200, R"({"Items":[],"Count":0})");
  };
  REQUIRE(world.run(world.dynamodb.scan(scan_of("t"))).has_value());
  REQUIRE(world.run(world.dynamodb.scan(scan_of("t"))).has_value());
  REQUIRE(world.transport.requests.size() == 3);
  CHECK(world.asked(0).contains("ReturnConsumedCapacity"));
  CHECK(!world.asked(1).contains("ReturnConsumedCapacity"));
  CHECK(!world.asked(2).contains("ReturnConsumedCapacity"));
}

TEST_CASE("a scan's throttle goes to the caller when it asks for it") {
  Tables world;
  world.transport.otherwise = [](const http::Request&) {
    return ScriptedTransport::response(400,
                                       ScriptedTransport::error_body("ProvisionedThroughputExceededException", "slow"));
  };
  const auto page = world.run(world.dynamodb.scan(scan_of("t", /*return_throttles=*/true)));
  REQUIRE(!page.has_value());
  CHECK(page.error().kind == ErrorKind::Throttled);
  CHECK(world.transport.requests.size() == 1);
}

TEST_CASE("a scan page cut or damaged anywhere is never taken for a page") {
  const std::string body =
      R"({"Items":[{"pk":{"S":"a"},"sk":{"N":"1"}}],"Count":1,"LastEvaluatedKey":{"pk":{"S":"a"},"sk":{"N":"1"}}})";
  for (std::size_t size = 0; size < body.size(); ++size) {
    CAPTURE(size);
    Tables world;
    world.transport.otherwise = [&](const http::Request&) {
      return ScriptedTransport::response(200, body.substr(0, size));
    };
    const auto page = world.run(world.dynamodb.scan(scan_of("t")));
    REQUIRE(!page.has_value());
    CHECK(page.error().kind == ErrorKind::Corrupt);
  }
}

TEST_CASE("an item that nobody understands does not take its page with it") {
  const std::string bad = R"({"pk":{"S":"b"},"sk":{"N":"2"},"x":{"S":"\udc00"}})";
  Tables world;
  world.transport.then(200, R"({"Items":[{"pk":{"S":"a"},"sk":{"N":"1"}},)" + bad +
                                R"(],"Count":2,"LastEvaluatedKey":{"pk":{"S":"b"},"sk":{"N":"2"}}})");
  auto page = world.run(world.dynamodb.scan(scan_of("t")));
  REQUIRE(page.has_value());
  REQUIRE(page->items.size() == 2);
  CHECK(page->items[1] == bad);
  CHECK(page->last_key == R"({"pk":{"S":"b"},"sk":{"N":"2"}})");
  world.transport.then(200, R"({"Responses":{"t":[)" + bad + R"(]},"UnprocessedKeys":{}})");
  page = world.run(world.dynamodb.batch_get("t", kSchema, {key("b", "2")}));
  REQUIRE(page.has_value());
  CHECK(page->items.size() == 1);
}

TEST_CASE("a page that is scanned by key has the key of each item, or none when one of them is not sound") {
  Tables world;
  ScanRequest request = scan_of("t");
  request.key = kSchema;
  const std::string good = R"({"x":{"S":"\u0061"},"sk":{"N":"1.0"},"pk":{"S":"a"}})";
  for (const std::string pages : {"1", "2", "3"}) {
    world.transport.then(200,
                         R"({"Items":[)" + good + R"(,{"pk":{"S":")" + pages + R"("},"sk":{"N":"2"}}],"Count":2})");
    const auto page = world.run(world.dynamodb.scan(request));
    REQUIRE(page.has_value());
    REQUIRE(page->items.size() == 2);
    CHECK(page->items[0] == good);
    REQUIRE(page->keys.size() == 2);
    CHECK(page->keys[0] == key("a", "1").encoded());
    CHECK(page->keys[1] == key(pages, "2").encoded());
  }
  for (const std::string bad : {R"({"pk":{"S":"b"}})", R"({"pk":{"S":"b"},"sk":{"N":"2"},"x":{"S":"\udc00"}})"}) {
    world.transport.then(200, R"({"Items":[)" + good + "," + bad + R"(],"Count":2})");
    const auto page = world.run(world.dynamodb.scan(request));
    REQUIRE(page.has_value());
    CHECK(page->items == std::vector<std::string_view>{good, bad});
    CHECK(page->keys.empty());
  }
  world.transport.then(200, R"({"Items":[],"Count":0})");
  CHECK(world.run(world.dynamodb.scan(request))->keys.empty());
}

TEST_CASE("BatchGetItem asks strongly, asks again for what was left, and gives all items") {
  Tables world;
  world.transport.then(200, R"({"Responses":{"t":[{"pk":{"S":"a"},"sk":{"N":"1"},"v":{"S":"}]"}}]},
    "UnprocessedKeys":{"t":{"Keys":[{"pk":{"S":"b"},"sk":{"N":"2"}}],"ConsistentRead":true}},
    "ConsumedCapacity":[{"TableName":"t","CapacityUnits":1.5}]})");
  world.transport.then(200, R"({"Responses":{"t":[{"pk":{"S":"b"},"sk":{"N":"2"}}]},"UnprocessedKeys":{},
    "ConsumedCapacity":[{"TableName":"t","CapacityUnits":2}]})");
  const auto page = world.run(world.dynamodb.batch_get("t", kSchema, {key("a", "1"), key("b", "2"), key("c", "3")}));
  REQUIRE(page.has_value());
  CHECK(world.asked(0) == base::parse_json(R"({"RequestItems":{"t":{"ConsistentRead":true,"Keys":[
    {"pk":{"S":"a"},"sk":{"N":"1"}},{"pk":{"S":"b"},"sk":{"N":"2"}},{"pk":{"S":"c"},"sk":{"N":"3"}}]}},
    "ReturnConsumedCapacity":"TOTAL"})")
                              ->as_object());
  CHECK(world.asked(1) == base::parse_json(R"({"RequestItems":{"t":{"Keys":[{"pk":{"S":"b"},"sk":{"N":"2"}}],
    "ConsistentRead":true}},"ReturnConsumedCapacity":"TOTAL"})")
                              ->as_object());
  REQUIRE(page->items.size() == 2);
  CHECK(page->items[0] == R"({"pk":{"S":"a"},"sk":{"N":"1"},"v":{"S":"}]"}})");
  CHECK(page->items[1] == R"({"pk":{"S":"b"},"sk":{"N":"2"}})");
  CHECK(page->consumed_rcu == 3.5);
}

TEST_CASE("a batch of which nothing is ever processed ends as Throttled") {
  const std::string nothing = R"({"Responses":{},"UnprocessedKeys":{"t":{"Keys":[{"pk":{"S":"b"},"sk":{"N":"2"}}]}}})";
  Tables world;
  world.transport.otherwise = [&](const http::Request&) { return ScriptedTransport::response(200, nothing); };
  auto page = world.run(world.dynamodb.batch_get("t", kSchema, {key("b", "2")}));
  REQUIRE(!page.has_value());
  CHECK(page.error().kind == ErrorKind::Throttled);
  CHECK(world.transport.requests.size() == 10);
  page = world.run(world.dynamodb.batch_get("t", kSchema, {key("b", "2")}, /*return_throttles=*/true));
  REQUIRE(!page.has_value());
  CHECK(page.error().kind == ErrorKind::Throttled);
  CHECK(world.transport.requests.size() == 11);
}

TEST_CASE("a batch of no keys asks nothing") {
  Tables world;
  const auto page = world.run(world.dynamodb.batch_get("t", kSchema, {}));
  REQUIRE(page.has_value());
  CHECK(page->items.empty());
  CHECK(world.transport.requests.empty());
}

TEST_CASE("malformed batch answers are Corrupt") {
  for (const char* body : {
           "",
           "[]",
           "{",
           R"({"Responses":[]})",
           R"({"Responses":{"t":{}}})",
           R"({"Responses":{"t":[{"pk":{"S":"a"}}]}})",
           R"({"Responses":{"t":[{"pk":{"S":"a"},"sk":{"N":"x"}}]}})",
           R"({"Responses":{"t":[{"pk":{"S":"a"},"sk":{"N":"1"}}],"u":[]}})",
           R"({"Responses":{"t":[]},"UnprocessedKeys":{}} {})",
           "{\"Responses\":{\"t\":[{\"pk\":{\"S\":\"\xFF\"},\"sk\":{\"N\":\"1\"}}]}}",
       }) {
    CAPTURE(body);
    Tables world;
    world.transport.otherwise = [body](const http::Request&) { return ScriptedTransport::response(200, body); };
    const auto page = world.run(world.dynamodb.batch_get("t", kSchema, {key("a", "1")}));
    REQUIRE(!page.has_value());
    CHECK(page.error().kind == ErrorKind::Corrupt);
  }
}

TEST_CASE("GetItem gives the item's text, or nothing when there is none") {
  Tables world;
  world.transport.then(200, R"({"ConsumedCapacity":{"TableName":"t","CapacityUnits":1},
    "Item":{"pk":{"S":"a"},"sk":{"N":"1"},"e":{"M":{}}}})");
  double consumed = 0;
  auto item = world.run(world.dynamodb.get_item("t", kSchema, key("a", "1.0"), &consumed));
  REQUIRE(item.has_value());
  CHECK(*item == R"({"pk":{"S":"a"},"sk":{"N":"1"},"e":{"M":{}}})");
  CHECK(consumed == 1);
  CHECK(world.asked(0) == base::parse_json(R"({"TableName":"t","ConsistentRead":true,
    "Key":{"pk":{"S":"a"},"sk":{"N":"1"}},"ReturnConsumedCapacity":"TOTAL"})")
                              ->as_object());
  world.transport.then(200, "{}");
  item = world.run(world.dynamodb.get_item("t", kSchema, key("a", "1"), &consumed));
  REQUIRE(item.has_value());
  CHECK(!item->has_value());
  for (const char* body : {"", "{", R"({"Item":7})", R"({"Item":{"a":{"S":1}}})", R"({"Item":{"a":{"S":"x"})"}) {
    CAPTURE(body);
    world.transport.otherwise = [body](const http::Request&) { return ScriptedTransport::response(200, body); };
    item = world.run(world.dynamodb.get_item("t", kSchema, key("a", "1")));
    REQUIRE(!item.has_value());
    CHECK(item.error().kind == ErrorKind::Corrupt);
  }
}

TEST_CASE("a stream that is on already is a conflict, whichever way the server says so") {
  Tables world;
  world.transport.then(200, "{}");
  REQUIRE(world.run(world.dynamodb.enable_stream("t")).has_value());
  CHECK(world.asked(0) == base::parse_json(R"({"TableName":"t",
    "StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}})")
                              ->as_object());
  world.transport.then_error(400, "ValidationException", "Table already has an enabled stream: TableName: t");
  CHECK(world.run(world.dynamodb.enable_stream("t")).error().kind == ErrorKind::Conflict);
  world.transport.then_error(400, "ResourceInUseException", "Table is being updated");
  CHECK(world.run(world.dynamodb.enable_stream("t")).error().kind == ErrorKind::Conflict);
  world.transport.then(200, "{}");
  REQUIRE(world.run(world.dynamodb.disable_stream("t")).has_value());
  CHECK(world.asked(3).at("StreamSpecification") == base::parse_json(R"({"StreamEnabled":false})"));
  world.transport.then_error(400, "AccessDeniedException", "no");
  const auto denied = world.run(world.dynamodb.enable_stream("t"));
  CHECK(denied.error().kind == ErrorKind::Denied);
  CHECK(denied.error().what.find("dynamodb:UpdateTable") != std::string::npos);
}

TEST_CASE("ListTables reads every page") {
  Tables world;
  world.transport.then(200, R"({"TableNames":["a","b"],"LastEvaluatedTableName":"b"})");
  world.transport.then(200, R"({"TableNames":["c"]})");
  const auto names = world.run(world.dynamodb.list_tables());
  REQUIRE(names.has_value());
  CHECK(*names == std::vector<std::string>{"a", "b", "c"});
  CHECK(world.asked(1).at("ExclusiveStartTableName") == "b");
}

TEST_CASE("the TTL's attribute is given while it is on or changing, and empty when off") {
  for (const auto& [body, expected] : {
           std::pair{R"({"TimeToLiveDescription":{"TimeToLiveStatus":"ENABLED","AttributeName":"exp"}})", "exp"},
           std::pair{R"({"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLING","AttributeName":"exp"}})", "exp"},
           std::pair{R"({"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}})", ""},
       }) {
    Tables world;
    world.transport.then(200, body);
    const auto attribute = world.run(world.dynamodb.ttl_attribute("t"));
    REQUIRE(attribute.has_value());
    CHECK(*attribute == expected);
  }
}
