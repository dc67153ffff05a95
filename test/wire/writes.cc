// Writing over the wire as a mover's target is written: conditions, updates, batches, tables made like others. What the
// simulated DynamoDB and DynamoDB Local must answer alike.
#include <fmt/format.h>

#include <map>

#include "test/wire/table.h"

namespace moveout::test {
namespace {

namespace json = base::json;

// As the guarded way writes: `#v < :v` or nothing there.
template <class Place>
Reply guarded_put(WithTable<Place>& w, int n, int version, const std::string& more = "") {
  return w.call("PutItem", fmt::format(R"("Item":{{"pk":{{"S":"p{}"}},"sk":{{"N":"{}"}},"_v":{{"N":"{}"}}{}}},)"
                                       R"("ConditionExpression":"attribute_not_exists(#v) OR #v < :v",)"
                                       R"("ExpressionAttributeNames":{{"#v":"_v"}},)"
                                       R"("ExpressionAttributeValues":{{":v":{{"N":"{}"}}}})",
                                       n % 7, n, version, more, version));
}

std::string seen(int version, const std::string& update = "") {
  return fmt::format(R"({}"ConditionExpression":"#v = :seen","ExpressionAttributeNames":{{"#v":"_v"}},)"
                     R"("ExpressionAttributeValues":{{":seen":{{"N":"{}"}}}},"Key":)",
                     update.empty() ? "" : fmt::format(R"("UpdateExpression":"{}",)", update), version);
}

}  // namespace

TEST_CASE_TEMPLATE("a condition on a version lets the newest write win, by number", Place, Simulated, Local) {
  WithTable<Place> w;
  CHECK(guarded_put(w, 1, 9).status == 200);
  CHECK(guarded_put(w, 1, 10).status == 200);  // as text it would be less
  const Reply older = guarded_put(w, 1, 9, R"(,"x":{"S":"old"})");
  CHECK(older.status == 400);
  CHECK(older.error == "ConditionalCheckFailedException");
  CHECK(guarded_put(w, 1, 10).error == "ConditionalCheckFailedException");
  const Reply got = w.get(key(1));
  CHECK(got.at("Item").at("_v").at("N").as_string() == "10");
  CHECK_FALSE(got.at("Item").as_object().contains("x"));
}

TEST_CASE_TEMPLATE("an item without the attribute, or with one of another type, is told apart", Place, Simulated,
                   Local) {
  WithTable<Place> w;
  REQUIRE(w.put(R"({"pk":{"S":"p1"},"sk":{"N":"1"},"x":{"S":"theirs"}})").status == 200);
  CHECK(guarded_put(w, 1, 5).status == 200);
  REQUIRE(w.put(R"({"pk":{"S":"p2"},"sk":{"N":"2"},"_v":{"S":"0"}})").status == 200);
  CHECK(guarded_put(w, 2, 5).error == "ConditionalCheckFailedException");
}

TEST_CASE_TEMPLATE("an attribute goes by REMOVE only while it is what was seen", Place, Simulated, Local) {
  WithTable<Place> w;
  REQUIRE(guarded_put(w, 1, 5, R"(,"x":{"S":"kept"})").status == 200);
  CHECK(w.call("UpdateItem", seen(4, "REMOVE #v") + key(1)).error == "ConditionalCheckFailedException");
  CHECK(w.get(key(1)).at("Item").as_object().contains("_v"));
  CHECK(w.call("UpdateItem", seen(5, "REMOVE #v") + key(1)).status == 200);
  const Reply got = w.get(key(1));
  CHECK_FALSE(got.at("Item").as_object().contains("_v"));
  CHECK(got.at("Item").at("x").at("S").as_string() == "kept");
  // Come late, or twice, it changes nothing; of an item that is not there it makes none.
  CHECK(w.call("UpdateItem", seen(5, "REMOVE #v") + key(1)).error == "ConditionalCheckFailedException");
  CHECK(w.call("UpdateItem", seen(5, "REMOVE #v") + key(2)).error == "ConditionalCheckFailedException");
  CHECK_FALSE(w.get(key(2)).has("Item"));
}

TEST_CASE_TEMPLATE("an item goes by DeleteItem only while it is what was seen", Place, Simulated, Local) {
  WithTable<Place> w;
  REQUIRE(guarded_put(w, 1, 5).status == 200);
  CHECK(w.call("DeleteItem", seen(4) + key(1)).error == "ConditionalCheckFailedException");
  CHECK(w.get(key(1)).has("Item"));
  CHECK(w.call("DeleteItem", seen(5) + key(1)).status == 200);
  CHECK_FALSE(w.get(key(1)).has("Item"));
  CHECK(w.call("DeleteItem", seen(5) + key(1)).error == "ConditionalCheckFailedException");
}

TEST_CASE_TEMPLATE("wrong expressions are refused by name", Place, Simulated, Local) {
  WithTable<Place> w;
  const auto refused = [&w](const std::string& members) {
    return w.call("PutItem", R"("Item":)" + key(1) + "," + members).error;
  };
  CHECK(refused(R"("ConditionExpression":"#v < :v","ExpressionAttributeNames":{"#v":"_v"})") == "ValidationException");
  CHECK(refused(R"("ConditionExpression":"#v < :v","ExpressionAttributeValues":{":v":{"N":"1"}})") ==
        "ValidationException");
  CHECK(refused(
            R"e("ConditionExpression":"attribute_not_exists(#v)","ExpressionAttributeNames":{"#v":"_v","#w":"w"})e") ==
        "ValidationException");
  CHECK(refused(R"("ConditionExpression":"#v <","ExpressionAttributeNames":{"#v":"_v"})") == "ValidationException");
  CHECK(w.call("UpdateItem", R"("UpdateExpression":"REMOVE #k","ExpressionAttributeNames":{"#k":"sk"},"Key":)" + key(1))
            .error == "ValidationException");
  CHECK_FALSE(w.get(key(1)).has("Item"));
}

TEST_CASE_TEMPLATE("an item may have 400 KB, its version attribute included", Place, Simulated, Local) {
  WithTable<Place> w;
  // "pk" + "p1", "sk" + 2 bytes of a number, and the text's name and bytes.
  const std::string whole(400 * 1024 - 4 - 4 - 1, 'x');
  const auto item = [](std::string_view text, const char* more) {
    return fmt::format(R"({{"pk":{{"S":"p1"}},"sk":{{"N":"1"}},"t":{{"S":"{}"}}{}}})", text, more);
  };
  CHECK(w.put(item(whole, "")).status == 200);
  CHECK(w.put(item(whole, R"(,"_v":{"N":"1"})")).error == "ValidationException");
  CHECK(w.put(item(whole.substr(5), R"(,"_v":{"N":"1"})")).status == 200);
}

TEST_CASE_TEMPLATE("a batch puts and deletes, and is refused whole for one wrong write", Place, Simulated, Local) {
  WithTable<Place> w;
  const auto element = [](int n, bool put) {
    return fmt::format(R"({{"{}Request":{{"{}":{}}}}})", put ? "Put" : "Delete", put ? "Item" : "Key", key(n));
  };
  REQUIRE(w.put(key(1)).status == 200);
  CHECK(w.batch("BatchWriteItem", "[" + element(1, false) + "," + element(2, true) + "]").status == 200);
  CHECK_FALSE(w.get(key(1)).has("Item"));
  CHECK(w.get(key(2)).has("Item"));
  const std::string wrong = R"({"PutRequest":{"Item":{"pk":{"S":"only"}}}})";
  CHECK(w.batch("BatchWriteItem", "[" + element(3, true) + "," + wrong + "]").error == "ValidationException");
  CHECK_FALSE(w.get(key(3)).has("Item"));
  CHECK(w.batch("BatchWriteItem", "[" + element(3, true) + "," + element(3, false) + "]").error ==
        "ValidationException");
  CHECK(w.batch("BatchWriteItem", "[]").error == "ValidationException");
}

TEST_CASE_TEMPLATE("a table is made with its indexes and capacity, and told so", Place, Simulated, Local) {
  Place place;
  const std::string name = Place::fresh_name();
  const std::string body = fmt::format(
      R"({{"TableName":"{}","ProvisionedThroughput":{{"ReadCapacityUnits":7,"WriteCapacityUnits":9}},)"
      R"("KeySchema":[{{"AttributeName":"id","KeyType":"HASH"}},{{"AttributeName":"n","KeyType":"RANGE"}}],)"
      R"("AttributeDefinitions":[{{"AttributeName":"id","AttributeType":"S"}},{{"AttributeName":"n",)"
      R"("AttributeType":"N"}},{{"AttributeName":"due","AttributeType":"N"}},{{"AttributeName":"buyer",)"
      R"("AttributeType":"S"}}],"LocalSecondaryIndexes":[{{"IndexName":"by_due","KeySchema":[{{"AttributeName":"id",)"
      R"("KeyType":"HASH"}},{{"AttributeName":"due","KeyType":"RANGE"}}],"Projection":{{"ProjectionType":)"
      R"("KEYS_ONLY"}}}}],"GlobalSecondaryIndexes":[{{"IndexName":"by_buyer","KeySchema":[{{"AttributeName":"buyer",)"
      R"("KeyType":"HASH"}}],"Projection":{{"ProjectionType":"INCLUDE","NonKeyAttributes":["total"]}},)"
      R"("ProvisionedThroughput":{{"ReadCapacityUnits":3,"WriteCapacityUnits":4}}}}]}})",
      name);
  REQUIRE(place.call("CreateTable", body).status == 200);
  const Reply described = place.call("DescribeTable", fmt::format(R"({{"TableName":"{}"}})", name));
  const json::value& table = described.at("Table");
  CHECK(table.at("ProvisionedThroughput").at("WriteCapacityUnits").as_int64() == 9);
  CHECK(table.at("AttributeDefinitions").as_array().size() == 4);
  REQUIRE(table.at("LocalSecondaryIndexes").as_array().size() == 1);
  CHECK(table.at("LocalSecondaryIndexes").at(0).at("IndexName").as_string() == "by_due");
  REQUIRE(table.at("GlobalSecondaryIndexes").as_array().size() == 1);
  const json::value& global = table.at("GlobalSecondaryIndexes").at(0);
  CHECK(global.at("IndexStatus").as_string() == "ACTIVE");
  CHECK(global.at("Projection").at("NonKeyAttributes").at(0).as_string() == "total");
  CHECK(global.at("ProvisionedThroughput").at("ReadCapacityUnits").as_int64() == 3);
  CHECK(place.call("CreateTable", body).error == "ResourceInUseException");
  place.call("DeleteTable", fmt::format(R"({{"TableName":"{}"}})", name));
}

TEST_CASE_TEMPLATE("definitions of attributes that no key uses are refused", Place, Simulated, Local) {
  Place place;
  const Reply refused = place.call(
      "CreateTable",
      fmt::format(R"({{"TableName":"{}","BillingMode":"PAY_PER_REQUEST","KeySchema":[{{"AttributeName":"id",)"
                  R"("KeyType":"HASH"}}],"AttributeDefinitions":[{{"AttributeName":"id","AttributeType":"S"}},)"
                  R"({{"AttributeName":"other","AttributeType":"S"}}]}})",
                  Place::fresh_name()));
  CHECK(refused.error == "ValidationException");
}

TEST_CASE_TEMPLATE("an index is added to a table that stands", Place, Simulated, Local) {
  WithTable<Place> w;
  const std::string add =
      R"("AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"N"},)"
      R"({"AttributeName":"buyer","AttributeType":"S"}],"GlobalSecondaryIndexUpdates":[{"Create":{"IndexName":"by_buyer",)"
      R"("KeySchema":[{"AttributeName":"buyer","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}}])";
  REQUIRE(w.call("UpdateTable", add).status == 200);
  const Reply described = w.call("DescribeTable", "");
  REQUIRE(described.at("Table").as_object().contains("GlobalSecondaryIndexes"));
  CHECK(described.at("Table").at("GlobalSecondaryIndexes").at(0).at("IndexName").as_string() == "by_buyer");
  CHECK(w.call("UpdateTable", add).status == 400);
}

// DynamoDB Local refuses tags.
TEST_CASE("tags are kept with a table") {
  WithTable<Simulated> w;
  const Reply described = w.call("DescribeTable", "");
  const std::string arn(described.at("Table").at("TableArn").as_string());
  const std::string of = fmt::format(R"("ResourceArn":"{}")", arn);
  REQUIRE(
      w.place.call("TagResource", "{" + of + R"(,"Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":""}]})").status ==
      200);
  const Reply listed = w.place.call("ListTagsOfResource", "{" + of + "}");
  std::map<std::string, std::string> tags;
  for (const json::value& tag : listed.at("Tags").as_array()) {
    tags.emplace(std::string(tag.at("Key").as_string()), std::string(tag.at("Value").as_string()));
  }
  CHECK(tags == std::map<std::string, std::string>{{"a", "1"}, {"b", ""}});
}

}  // namespace moveout::test
