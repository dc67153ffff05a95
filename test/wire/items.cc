// Items and tables over the wire: what the simulated DynamoDB and DynamoDB Local must answer alike.
#include <fmt/format.h>
#include <zlib.h>

#include <set>

#include "test/wire/table.h"

namespace moveout::test {
namespace {

namespace json = base::json;

item::Item item_of(const json::value& value) {
  const base::Result<item::Item> item = item::parse_item(json::serialize(value));
  REQUIRE_MESSAGE(item.has_value(), item.error().what);
  return *item;
}

}  // namespace

TEST_CASE_TEMPLATE("an item comes back as it was written, its numbers plain", Place, Simulated, Local) {
  WithTable<Place> w;
  const std::string written =
      R"({"pk":{"S":"a:b|\u00e9\ud83d\ude00"},"sk":{"N":"1e3"},"n":{"N":"-0.50"},"big":{"N":"12345678901234567890123456789012345678"},)"
      R"("tiny":{"N":"1E-130"},"b":{"B":"AP8="},"e":{"S":""},"eb":{"B":""},"t":{"BOOL":true},"z":{"NULL":true},)"
      R"("l":{"L":[{"S":"x"},{"M":{"y":{"L":[]}}}]},"ss":{"SS":["b","a"]},"ns":{"NS":["2.0","10"]},"bs":{"BS":["AQ==","AA=="]}})";
  REQUIRE(w.put(written).status == 200);
  const Reply got = w.get(R"({"pk":{"S":"a:b|é😀"},"sk":{"N":"1000.0"}})");
  REQUIRE(got.status == 200);
  CHECK(item_of(got.at("Item")) == *item::parse_item(written));
  CHECK(got.at("Item").at("sk").at("N").as_string() == "1000");
  CHECK(got.at("Item").at("n").at("N").as_string() == "-0.5");
}

TEST_CASE_TEMPLATE("what is not there is an answer without Item", Place, Simulated, Local) {
  WithTable<Place> w;
  const Reply got = w.get(key(1));
  CHECK(got.status == 200);
  CHECK_FALSE(got.has("Item"));
}

TEST_CASE_TEMPLATE("a successful answer carries the crc of its body", Place, Simulated, Local) {
  WithTable<Place> w;
  REQUIRE(w.put(key(1)).status == 200);
  const Reply got = w.get(key(1));
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(got.raw.data()), static_cast<uInt>(got.raw.size()));
  CHECK(got.headers.get("x-amz-crc32") == std::to_string(crc));
}

TEST_CASE_TEMPLATE("wrong requests are refused by name", Place, Simulated, Local) {
  WithTable<Place> w;
  CHECK(w.put(R"({"pk":{"S":""},"sk":{"N":"1"}})").error == "ValidationException");
  CHECK(w.put(R"({"pk":{"S":"a"}})").error == "ValidationException");
  CHECK(w.put(R"({"pk":{"N":"1"},"sk":{"N":"1"}})").error == "ValidationException");
  CHECK(w.put(R"({"pk":{"S":"a"},"sk":{"N":"1"},"x":{"SS":[]}})").error == "ValidationException");
  CHECK(w.put(R"({"pk":{"S":"a"},"sk":{"N":"1"},"x":{"NS":["1","1.0"]}})").error == "ValidationException");
  CHECK(w.put(R"({"pk":{"S":"a"},"sk":{"N":"1"},"x":{"N":"123456789012345678901234567890123456789"}})").error ==
        "ValidationException");
  CHECK(w.put(R"({"pk":{"S":"a"},"sk":{"N":"1"},"x":{"N":"1E126"}})").error == "ValidationException");
  CHECK(w.get(R"({"pk":{"S":"a"},"sk":{"N":"1"},"x":{"S":"y"}})").error == "ValidationException");
  CHECK(w.get(R"({"pk":{"S":"a"}})").error == "ValidationException");
  CHECK(w.call("Scan", R"("Segment":2,"TotalSegments":2)").error == "ValidationException");
  CHECK(w.call("Scan", R"("Segment":0)").error == "ValidationException");
  CHECK(w.call("Scan", R"("Limit":0)").error == "ValidationException");
  CHECK(w.place.call("DescribeTable", R"({"TableName":"no_such_table"})").error == "ResourceNotFoundException");
  CHECK(w.place.call("NoSuchOperation", "{}").error == "UnknownOperationException");
}

TEST_CASE_TEMPLATE("update and delete answer with what was there", Place, Simulated, Local) {
  WithTable<Place> w;
  const Reply updated =
      w.call("UpdateItem", R"("UpdateExpression":"SET #a = :v","ExpressionAttributeNames":{"#a":"x"},)"
                           R"("ExpressionAttributeValues":{":v":{"N":"7"}},"Key":)" +
                               key(3));
  CHECK(updated.status == 200);
  CHECK(w.get(key(3)).at("Item").at("x").at("N").as_string() == "7");
  const Reply gone = w.call("DeleteItem", R"("ReturnValues":"ALL_OLD","Key":)" + key(3));
  CHECK(gone.at("Attributes").at("x").at("N").as_string() == "7");
  CHECK_FALSE(w.get(key(3)).has("Item"));
  CHECK(w.call("DeleteItem", R"("Key":)" + key(3)).status == 200);
}

TEST_CASE_TEMPLATE("batches write and read, and refuse duplicates and too many", Place, Simulated, Local) {
  WithTable<Place> w;
  std::string puts, keys;
  for (int n = 0; n < 25; ++n) {
    puts += fmt::format(R"({}{{"PutRequest":{{"Item":{}}}}})", n == 0 ? "" : ",", key(n));
    keys += (n == 0 ? "" : ",") + key(n);
  }
  const Reply written = w.batch("BatchWriteItem", "[" + puts + "]");
  REQUIRE(written.status == 200);
  CHECK(written.at("UnprocessedItems").as_object().empty());
  const Reply read = w.batch("BatchGetItem", R"({"ConsistentRead":true,"Keys":[)" + keys + "," + key(99) + "]}");
  REQUIRE(read.status == 200);
  CHECK(read.at("Responses").at(w.table).as_array().size() == 25);
  CHECK(read.at("UnprocessedKeys").as_object().empty());
  CHECK(w.batch("BatchGetItem", R"({"Keys":[)" + key(1) + "," + key(1) + "]}").error == "ValidationException");
  CHECK(w.batch("BatchWriteItem",
                fmt::format(R"([{{"DeleteRequest":{{"Key":{0}}}}},{{"DeleteRequest":{{"Key":{0}}}}}])", key(1)))
            .error == "ValidationException");
  CHECK(w.batch("BatchWriteItem", fmt::format(R"([{},{{"PutRequest":{{"Item":{}}}}}])", puts, key(77))).error ==
        "ValidationException");
  CHECK(w.batch("BatchWriteItem", fmt::format(R"([{{"DeleteRequest":{{"Key":{}}}}}])", key(1))).status == 200);
  CHECK_FALSE(w.get(key(1)).has("Item"));
}

TEST_CASE_TEMPLATE("segments and pages show every item once", Place, Simulated, Local) {
  WithTable<Place> w;
  constexpr int kItems = 40;
  for (int n = 0; n < kItems; ++n) REQUIRE(w.put(key(n)).status == 200);
  std::set<std::string> seen;
  int items = 0;
  for (int segment = 0; segment < 3; ++segment) {
    std::string start;
    for (int page = 0; page < 100; ++page) {
      const Reply got = w.call(
          "Scan", fmt::format(R"("Segment":{},"TotalSegments":3,"Limit":4,"ConsistentRead":true{})", segment, start));
      REQUIRE(got.status == 200);
      CHECK(got.at("Count").as_int64() == static_cast<std::int64_t>(got.at("Items").as_array().size()));
      for (const json::value& one : got.at("Items").as_array()) {
        seen.insert(item::to_json(item_of(one)));
        ++items;
      }
      if (!got.has("LastEvaluatedKey")) break;
      start = R"(,"ExclusiveStartKey":)" + json::serialize(got.at("LastEvaluatedKey"));
    }
  }
  CHECK(items == kItems);
  CHECK(seen.size() == kItems);
}

TEST_CASE_TEMPLATE("a full page names its last key even when nothing follows", Place, Simulated, Local) {
  WithTable<Place> w;
  REQUIRE(w.put(key(1)).status == 200);
  const Reply got = w.call("Scan", R"("Limit":1)");
  CHECK(got.at("Items").as_array().size() == 1);
  REQUIRE(got.has("LastEvaluatedKey"));
  const Reply rest = w.call("Scan", R"("Limit":1,"ExclusiveStartKey":)" + json::serialize(got.at("LastEvaluatedKey")));
  CHECK(rest.at("Items").as_array().empty());
  CHECK_FALSE(rest.has("LastEvaluatedKey"));
}

TEST_CASE_TEMPLATE("a scan goes on after a key that was deleted meanwhile", Place, Simulated, Local) {
  WithTable<Place> w;
  for (int n = 0; n < 10; ++n) REQUIRE(w.put(key(n)).status == 200);
  const Reply first = w.call("Scan", R"("Limit":4)");
  const std::string last = json::serialize(first.at("LastEvaluatedKey"));
  REQUIRE(w.call("DeleteItem", R"("Key":)" + last).status == 200);
  const Reply rest = w.call("Scan", R"("ExclusiveStartKey":)" + last);
  CHECK(rest.at("Items").as_array().size() == 6);
}

TEST_CASE_TEMPLATE("a table is described, listed and not made twice", Place, Simulated, Local) {
  WithTable<Place> w("KEYS_ONLY");
  const Reply described = w.call("DescribeTable", "");
  const json::value& table = described.at("Table");
  CHECK(table.at("TableName").as_string() == w.table.c_str());
  CHECK(table.at("TableStatus").as_string() == "ACTIVE");
  CHECK(table.at("KeySchema").as_array().size() == 2);
  CHECK(table.at("KeySchema").at(0).at("KeyType").as_string() == "HASH");
  CHECK(table.at("AttributeDefinitions").as_array().size() == 2);
  CHECK(table.as_object().contains("TableArn"));
  CHECK(table.as_object().contains("CreationDateTime"));
  CHECK(table.at("StreamSpecification").at("StreamViewType").as_string() == "KEYS_ONLY");
  bool listed = false;
  std::string after;
  for (int page = 0; page < 1000; ++page) {
    const Reply names = w.place.call("ListTables", R"({"Limit":1)" + after + "}");
    for (const json::value& name : names.at("TableNames").as_array()) listed |= name.as_string() == w.table.c_str();
    if (!names.has("LastEvaluatedTableName")) break;
    after = R"(,"ExclusiveStartTableName":)" + json::serialize(names.at("LastEvaluatedTableName"));
  }
  CHECK(listed);
  const Reply again =
      w.call("CreateTable", R"("BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],)"
                            R"("AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}])");
  CHECK(again.error == "ResourceInUseException");
  CHECK(w.call("DeleteTable", "").status == 200);
  CHECK(w.call("DescribeTable", "").error == "ResourceNotFoundException");
}

TEST_CASE_TEMPLATE("time to live is described", Place, Simulated, Local) {
  WithTable<Place> w;
  CHECK(w.call("DescribeTimeToLive", "").at("TimeToLiveDescription").at("TimeToLiveStatus").as_string() == "DISABLED");
  REQUIRE(w.call("UpdateTimeToLive", R"("TimeToLiveSpecification":{"Enabled":true,"AttributeName":"exp"})").status ==
          200);
  const Reply on = w.call("DescribeTimeToLive", "");
  CHECK(on.at("TimeToLiveDescription").at("TimeToLiveStatus").as_string() == "ENABLED");
  CHECK(on.at("TimeToLiveDescription").at("AttributeName").as_string() == "exp");
}

}  // namespace moveout::test
