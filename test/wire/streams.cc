// Streams over the wire: what the simulated DynamoDB and DynamoDB Local must answer alike.
#include <fmt/format.h>

#include "test/wire/places.h"

namespace moveout::test {
namespace {

namespace json = base::json;

template <class Place>
struct WithStream {
  Place place;
  std::string table = Place::fresh_name();
  std::string arn;

  explicit WithStream(const std::string& view) {
    const Reply made = place.call(
        "CreateTable",
        fmt::format(
            R"({{"TableName":"{}","BillingMode":"PAY_PER_REQUEST","KeySchema":[{{"AttributeName":"pk",)"
            R"("KeyType":"HASH"}}],"AttributeDefinitions":[{{"AttributeName":"pk","AttributeType":"S"}}]{}}})",
            table,
            view.empty()
                ? ""
                : fmt::format(R"(,"StreamSpecification":{{"StreamEnabled":true,"StreamViewType":"{}"}})", view)));
    REQUIRE_MESSAGE(made.status == 200, made.raw);
    if (!view.empty()) arn = made.at("TableDescription").at("LatestStreamArn").as_string();
  }
  Reply call(const std::string& operation, const std::string& members) {
    return place.call(operation, fmt::format(R"({{"TableName":"{}",{}}})", table, members));
  }
  void put(const std::string& k, int v) {
    REQUIRE(call("PutItem", fmt::format(R"("Item":{{"pk":{{"S":"{}"}},"v":{{"N":"{}"}}}})", k, v)).status == 200);
  }
  void erase(const std::string& k) {
    REQUIRE(call("DeleteItem", fmt::format(R"("Key":{{"pk":{{"S":"{}"}}}})", k)).status == 200);
  }
  json::value describe(const std::string& rest = "") {
    const Reply described = place.call("DescribeStream", fmt::format(R"({{"StreamArn":"{}"{}}})", arn, rest));
    REQUIRE_MESSAGE(described.status == 200, described.raw);
    return described.at("StreamDescription");
  }
  Reply iterator(const std::string& shard, const std::string& type, const std::string& sequence = "") {
    return place.call("GetShardIterator",
                      fmt::format(R"({{"StreamArn":"{}","ShardId":"{}","ShardIteratorType":"{}"{}}})", arn, shard, type,
                                  sequence.empty() ? "" : fmt::format(R"(,"SequenceNumber":"{}")", sequence)));
  }
  // All there is from an iterator on; `ended` tells whether the shard was closed and read to its end.
  json::array read(std::string text, bool* ended = nullptr) {
    json::array all;
    for (int empty = 0; empty < 3;) {
      const Reply page = place.call("GetRecords", fmt::format(R"({{"ShardIterator":"{}"}})", text));
      REQUIRE_MESSAGE(page.status == 200, page.raw);
      const json::array& records = page.at("Records").as_array();
      all.insert(all.end(), records.begin(), records.end());
      if (ended != nullptr) *ended = !page.has("NextShardIterator");
      if (!page.has("NextShardIterator")) return all;
      text = page.text("NextShardIterator");
      empty = records.empty() ? empty + 1 : 0;
    }
    return all;
  }
  std::string first_shard() { return std::string(describe().at("Shards").at(0).at("ShardId").as_string()); }
};

std::string sequence_of(const json::value& record) {
  return std::string(record.at("dynamodb").at("SequenceNumber").as_string());
}

}  // namespace

TEST_CASE_TEMPLATE("puts, changes and deletes are recorded in order, and what changes nothing is not", Place, Simulated,
                   Local) {
  WithStream<Place> w("NEW_AND_OLD_IMAGES");
  w.put("a", 1);
  w.put("a", 2);
  w.put("a", 2);
  w.erase("a");
  w.erase("a");
  const json::array records = w.read(w.iterator(w.first_shard(), "TRIM_HORIZON").text("ShardIterator"));
  REQUIRE(records.size() == 3);
  CHECK(records[0].at("eventName").as_string() == "INSERT");
  CHECK(records[1].at("eventName").as_string() == "MODIFY");
  CHECK(records[2].at("eventName").as_string() == "REMOVE");
  CHECK(records[0].at("eventSource").as_string() == "aws:dynamodb");
  const json::value& change = records[1].at("dynamodb");
  CHECK(change.at("Keys").at("pk").at("S").as_string() == "a");
  CHECK(change.at("OldImage").at("v").at("N").as_string() == "1");
  CHECK(change.at("NewImage").at("v").at("N").as_string() == "2");
  CHECK(change.at("StreamViewType").as_string() == "NEW_AND_OLD_IMAGES");
  CHECK(change.as_object().contains("ApproximateCreationDateTime"));
  CHECK_FALSE(records[2].at("dynamodb").as_object().contains("NewImage"));
  CHECK_FALSE(records[0].as_object().contains("userIdentity"));
  for (const json::value& record : records) {
    const std::string sequence = sequence_of(record);
    CHECK(sequence.size() >= 21);
    CHECK(sequence.find_first_not_of("0123456789") == std::string::npos);
  }
}

TEST_CASE_TEMPLATE("the view says which images are there", Place, Simulated, Local) {
  for (const std::string view : {"KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"}) {
    CAPTURE(view);
    WithStream<Place> w(view);
    w.put("a", 1);
    w.put("a", 2);
    const json::array records = w.read(w.iterator(w.first_shard(), "TRIM_HORIZON").text("ShardIterator"));
    REQUIRE(records.size() == 2);
    const json::object& change = records[1].at("dynamodb").as_object();
    CHECK(change.contains("NewImage") == (view == "NEW_IMAGE"));
    CHECK(change.contains("OldImage") == (view == "OLD_IMAGE"));
    CHECK(w.describe().at("StreamViewType").as_string() == view.c_str());
  }
}

TEST_CASE_TEMPLATE("iterators begin at, after, at the end and at the horizon", Place, Simulated, Local) {
  WithStream<Place> w("KEYS_ONLY");
  for (int n = 0; n < 4; ++n) w.put("k" + std::to_string(n), n);
  const std::string shard = w.first_shard();
  const json::array all = w.read(w.iterator(shard, "TRIM_HORIZON").text("ShardIterator"));
  REQUIRE(all.size() == 4);
  const std::string second = sequence_of(all[1]);
  CHECK(w.read(w.iterator(shard, "AT_SEQUENCE_NUMBER", second).text("ShardIterator")).size() == 3);
  CHECK(w.read(w.iterator(shard, "AFTER_SEQUENCE_NUMBER", second).text("ShardIterator")).size() == 2);
  const std::string latest = w.iterator(shard, "LATEST").text("ShardIterator");
  w.put("later", 1);
  CHECK(w.read(latest).size() == 1);
}

TEST_CASE_TEMPLATE("a page takes its limit and goes on where it ended", Place, Simulated, Local) {
  WithStream<Place> w("KEYS_ONLY");
  for (int n = 0; n < 5; ++n) w.put("k" + std::to_string(n), n);
  const std::string start = w.iterator(w.first_shard(), "TRIM_HORIZON").text("ShardIterator");
  const Reply page = w.place.call("GetRecords", fmt::format(R"({{"ShardIterator":"{}","Limit":2}})", start));
  CHECK(page.at("Records").as_array().size() == 2);
  CHECK(w.read(page.text("NextShardIterator")).size() == 3);
}

TEST_CASE_TEMPLATE("what is not there is named", Place, Simulated, Local) {
  WithStream<Place> w("KEYS_ONLY");
  const std::string no_stream = w.arn.substr(0, w.arn.rfind('/')) + "/2001-01-01T00:00:00.000";
  CHECK(w.place.call("DescribeStream", fmt::format(R"({{"StreamArn":"{}"}})", no_stream)).error ==
        "ResourceNotFoundException");
  CHECK(w.iterator("shardId-00000000000000000000-00000000", "TRIM_HORIZON").error == "ResourceNotFoundException");
  CHECK(w.iterator(w.first_shard(), "AFTER_SEQUENCE_NUMBER").error == "ValidationException");
  CHECK(w.place.call("DescribeStream", fmt::format(R"({{"StreamArn":"{}","Limit":101}})", w.arn)).error ==
        "ValidationException");
}

TEST_CASE_TEMPLATE("a stream is switched on once, and off once", Place, Simulated, Local) {
  WithStream<Place> w("");
  const std::string on = R"("StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"})";
  const std::string off = R"("StreamSpecification":{"StreamEnabled":false})";
  CHECK(w.call("UpdateTable", off).error == "ValidationException");
  const Reply enabled = w.call("UpdateTable", on);
  REQUIRE_MESSAGE(enabled.status == 200, enabled.raw);
  w.arn = enabled.at("TableDescription").at("LatestStreamArn").as_string();
  for (int i = 0; i < 5000 && w.describe().at("StreamStatus").as_string() != "ENABLED"; ++i) continue;
  const Reply again = w.call("UpdateTable", on);
  CHECK((again.error == "ValidationException" || again.error == "ResourceInUseException"));
}

TEST_CASE_TEMPLATE("a stream that was switched off can be read to its end", Place, Simulated, Local) {
  WithStream<Place> w("KEYS_ONLY");
  w.put("a", 1);
  const std::string shard = w.first_shard();
  REQUIRE(w.call("UpdateTable", R"("StreamSpecification":{"StreamEnabled":false})").status == 200);
  w.put("b", 1);
  for (int i = 0; i < 5000 && w.describe().at("StreamStatus").as_string() != "DISABLED"; ++i) continue;
  CHECK(w.describe().at("StreamStatus").as_string() == "DISABLED");
  bool ended = false;
  CHECK(w.read(w.iterator(shard, "TRIM_HORIZON").text("ShardIterator"), &ended).size() == 1);
  CHECK(ended);
}

TEST_CASE_TEMPLATE("a shard that rolls ends, and its child holds what comes after", Place, Simulated, Local) {
  WithStream<Place> w("NEW_IMAGE");
  w.put("a", 1);
  const std::string parent = w.first_shard();
  w.place.roll(w.table);
  w.put("a", 2);
  const json::value stream = w.describe();
  const json::array& shards = stream.at("Shards").as_array();
  REQUIRE(shards.size() == 2);
  const bool in_order = shards[0].at("ShardId").as_string() == parent.c_str();
  const json::object& old_one = shards[in_order ? 0 : 1].as_object();
  const json::object& child = shards[in_order ? 1 : 0].as_object();
  CHECK(old_one.at("SequenceNumberRange").as_object().contains("EndingSequenceNumber"));
  CHECK(child.at("ParentShardId").as_string() == parent.c_str());
  CHECK_FALSE(child.at("SequenceNumberRange").as_object().contains("EndingSequenceNumber"));
  bool ended = false;
  const json::array before = w.read(w.iterator(parent, "TRIM_HORIZON").text("ShardIterator"), &ended);
  CHECK(before.size() == 1);
  CHECK(ended);
  const std::string child_id(child.at("ShardId").as_string());
  const json::array after = w.read(w.iterator(child_id, "TRIM_HORIZON").text("ShardIterator"), &ended);
  REQUIRE(after.size() == 1);
  CHECK(after[0].at("dynamodb").at("NewImage").at("v").at("N").as_string() == "2");
  CHECK_FALSE(ended);
}

TEST_CASE_TEMPLATE("shards are listed in pages", Place, Simulated, Local) {
  WithStream<Place> w("KEYS_ONLY");
  w.place.roll(w.table);
  w.place.roll(w.table);
  std::string after;
  std::size_t shards = 0;
  for (int page = 0; page < 10; ++page) {
    const json::value stream = w.describe(R"(,"Limit":1)" + after);
    shards += stream.at("Shards").as_array().size();
    if (!stream.as_object().contains("LastEvaluatedShardId")) break;
    after = R"(,"ExclusiveStartShardId":)" + json::serialize(stream.at("LastEvaluatedShardId"));
  }
  CHECK(shards == 3);
}

}  // namespace moveout::test
