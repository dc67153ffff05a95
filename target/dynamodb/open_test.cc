// Making, adopting and refusing tables; and finish, which takes the versions away.
#include <doctest/doctest.h>

#include "aws/table_shape.h"
#include "base/json.h"
#include "target/dynamodb/fixture.h"
#include "target/dynamodb/images.h"
#include "target/writer.h"

using namespace moveout;
using namespace moveout::target;
using namespace moveout::target::dynamodb;
using base::ErrorKind;

namespace {

void not_there(TargetFixture& world) { world.transport.then_error(400, "ResourceNotFoundException", "no such table"); }
base::Result<Opened> open(TargetFixture& world, Layout layout, bool resuming = false) {
  return world.run(world.target->open("run", 1, std::move(layout), Mode::Copy, resuming));
}
std::string mark(std::int64_t t, bool tombstone = false) {
  return mark_text({item::Version{0, item::Band::Change, t}, tombstone});
}
std::string page(const std::string& items) { return R"({"Items":[)" + items + "]}"; }

}  // namespace

TEST_CASE("a table that is not there is made like the source, waited for, and tagged") {
  TargetFixture world(Way::Unguarded);
  aws::TableShape shape;
  const auto source = base::parse_json(
      R"({"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"TableClassSummary":{"TableClass":"STANDARD_INFREQUENT_ACCESS"},
      "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"},{"AttributeName":"g","AttributeType":"N"}],
      "ProvisionedThroughput":{"ReadCapacityUnits":5,"WriteCapacityUnits":6,"NumberOfDecreasesToday":0},
      "SSEDescription":{"Status":"ENABLED","SSEType":"KMS","KMSMasterKeyArn":"arn:aws:kms:x"},
      "GlobalSecondaryIndexes":[{"IndexName":"by_g","IndexStatus":"ACTIVE","ItemCount":7,"Projection":{"ProjectionType":"ALL"},
        "KeySchema":[{"AttributeName":"g","KeyType":"HASH"}],"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":2}}]})");
  shape = *aws::shape_of(source->as_object());
  shape.tags = {{"team", "orders"}, {"aws:cloudformation", "x"}};
  Layout layout = world.layout();
  layout.shape = std::make_shared<const aws::TableShape>(shape);
  not_there(world);
  world.transport.then_error(400, "ValidationException", "no such encryption here");
  world.transport.then(200, "{}");
  not_there(world);  // not everywhere yet
  world.transport.then(200, world.table("CREATING"));
  std::string active = world.table("ACTIVE", "table-7");
  active.replace(active.find("\"TableName\""), 11, R"("TableArn":"arn:t","TableName")");
  world.transport.then(200, active);
  world.transport.then_error(400, "AccessDeniedException", "no tags for you");
  const auto opened = open(world, layout);
  REQUIRE(opened);
  CHECK(opened->created);
  CHECK(opened->identity == "table-7");
  CHECK(
      world.body(1) ==
      R"({"TableName":"orders","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],)"
      R"("AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"},{"AttributeName":"g","AttributeType":"N"}],)"
      R"("GlobalSecondaryIndexes":[{"IndexName":"by_g","KeySchema":[{"AttributeName":"g","KeyType":"HASH"}],)"
      R"("Projection":{"ProjectionType":"ALL"},"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":2}}],)"
      R"("ProvisionedThroughput":{"ReadCapacityUnits":5,"WriteCapacityUnits":6},"TableClass":"STANDARD_INFREQUENT_ACCESS",)"
      R"("SSESpecification":{"Enabled":true,"SSEType":"KMS"}})");
  CHECK(world.body(2).find("SSESpecification") == std::string::npos);
  CHECK(world.body(2).find("by_g") != std::string::npos);
  CHECK(world.operation(6) == "TagResource");
  CHECK(world.body(6) == R"({"ResourceArn":"arn:t","Tags":[{"Key":"team","Value":"orders"}]})");
  CHECK(!world.log.of("target.without_tags").empty());
}

TEST_CASE("deferred indexes are added one by one when the back-fill is done") {
  TargetFixture world(Way::Unguarded);
  world.target = make_target(*world.calls, *world.writes, world.clock, world.log,
                             {.way = Way::Unguarded, .late_max = base::Millis(1), .defer_indexes = true});
  auto shape = std::make_shared<aws::TableShape>();
  shape->key_schema = base::parse_json(R"([{"AttributeName":"id","KeyType":"HASH"}])")->as_array();
  shape->attributes =
      base::parse_json(R"([{"AttributeName":"id","AttributeType":"S"},{"AttributeName":"g","AttributeType":"N"}])")
          ->as_array();
  for (const char* name : {"one", "two"}) {
    aws::Index index;
    index.name = name;
    index.key_schema = base::parse_json(R"([{"AttributeName":"g","KeyType":"HASH"}])")->as_array();
    index.projection = base::json::object{{"ProjectionType", "KEYS_ONLY"}};
    shape->global.push_back(index);
  }
  Layout layout = world.layout();
  layout.shape = shape;
  not_there(world);
  world.transport.then(200, "{}");
  world.transport.then(200, world.table());
  REQUIRE(open(world, layout));
  CHECK(world.body(1).find("GlobalSecondary") == std::string::npos);
  CHECK(world.body(1).find("\"g\"") == std::string::npos);
  world.transport.requests.clear();
  const auto with = [&](const std::string& indexes) {
    std::string text = world.table();
    text.insert(text.find("\"TableName\""), R"("GlobalSecondaryIndexes":[)" + indexes + "],");
    return text;
  };
  const auto index = [](const std::string& name, const std::string& status) {
    return R"({"IndexName":")" + name + R"(","KeySchema":[],"IndexStatus":")" + status + "\"}";
  };
  world.transport.then(200, world.table());
  world.transport.then(200, "{}");
  world.transport.then(200, with(index("one", "CREATING")));
  world.transport.then(200, with(index("one", "ACTIVE")));
  world.transport.then_error(400, "LimitExceededException", "one at a time");
  world.transport.then(200, with(index("one", "ACTIVE")));
  world.transport.then(200, "{}");
  world.transport.then(200, with(index("one", "ACTIVE") + "," + index("two", "ACTIVE")));
  REQUIRE(world.run(world.target->seal()));
  CHECK(world.transport.script.empty());
  CHECK(world.operation(1) == "UpdateTable");
  CHECK(world.body(1).find(R"("IndexName":"one")") != std::string::npos);
  CHECK(world.body(1).find(R"({"AttributeName":"g","AttributeType":"N"})") != std::string::npos);
}

TEST_CASE("an empty table of the same key is taken, any other is refused") {
  TargetFixture world(Way::Unguarded);
  world.transport.then(200, world.table());
  world.transport.then(200, page(""));
  world.transport.then(200, world.table());
  const auto opened = open(world, world.layout());
  REQUIRE(opened);
  CHECK(!opened->created);
  CHECK(opened->identity == "table-1");
  world.transport.then(200, world.table());
  world.transport.then(200, page(R"({"id":{"S":"theirs"}})"));
  CHECK(open(world, world.layout()).error().kind == ErrorKind::Usage);
  Layout other = world.layout();
  other.key.sort = item::KeyAttribute{"n", item::KeyType::N};
  world.transport.then(200, world.table());
  CHECK(open(world, other).error().kind == ErrorKind::Usage);
}

TEST_CASE("a resumed run knows its own table again and no other") {
  TargetFixture world(Way::Unguarded);
  world.transport.then(200, world.table("ACTIVE", "table-2"));
  CHECK(open(world, world.layout("table-1"), true).error().kind == ErrorKind::TargetChanged);
  not_there(world);
  CHECK(open(world, world.layout("table-1"), true).error().kind == ErrorKind::TargetChanged);
  // A server without TableId is known by the time of creation.
  world.transport.then(200, world.table("ACTIVE", ""));
  world.transport.then(200, world.table("ACTIVE", ""));
  CHECK(open(world, world.layout("1700000000000000"), true)->identity == "1700000000000000");
}

TEST_CASE("a reader takes what is there and cannot write") {
  TargetFixture world(Way::Guarded);
  not_there(world);
  CHECK(world.run(world.target->open_reader(world.layout())).error().kind == ErrorKind::NotFound);
  world.transport.then(200, world.table());
  REQUIRE(world.run(world.target->open_reader(world.layout())));
  CHECK(world.apply(world.numbered(1)).error().kind == ErrorKind::Usage);
}

TEST_CASE("L is known for AWS and for this machine, and nowhere else") {
  CHECK(late_max_of({true, "dynamodb.eu-west-1.amazonaws.com", 443}) == base::Millis(660000));
  CHECK(late_max_of({false, "127.0.0.1", 8000}) == base::Millis(2000));
  CHECK(!late_max_of({true, "scylla.example.org", 8000}));
}

// L passes ─ scan: a (live), b (tombstone), c (already without) ─ a stripped, b deleted ─ scan: nothing left
TEST_CASE("finish waits L, strips live items and deletes tombstones, each only if it is still what was seen") {
  TargetFixture world(Way::Guarded);
  world.open();
  const base::Steady start = world.clock.steady();
  base::Steady first_strip{};
  world.transport.then(
      200, page(R"({"id":{"S":"a"},"x":{"S":"1"},"_moveout_version":{"N":")" + mark(16) +
                R"("}},{"id":{"S":"b"},"_moveout_version":{"N":")" + mark(32, true) + R"("}},{"id":{"S":"c"}})"));
  world.transport.then([&](const http::Request&) {
    first_strip = world.clock.steady();
    return aws::ScriptedTransport::response(200, "{}");
  });
  world.transport.then_error(400, "ConditionalCheckFailedException", "somebody wrote it meanwhile");
  world.transport.then(200, page(R"({"id":{"S":"a"},"x":{"S":"1"}},{"id":{"S":"b"}},{"id":{"S":"c"}})"));
  REQUIRE(world.run(world.target->finish()));
  CHECK(first_strip - start >= base::Millis(2000));
  CHECK(world.operation(1) == "UpdateItem");
  const std::string condition =
      R"("ConditionExpression":"#v = :seen","ExpressionAttributeNames":{"#v":"_moveout_version"},)"
      R"("ExpressionAttributeValues":{":seen":{"N":")";
  CHECK(world.body(1) == R"({"TableName":"orders","Key":{"id":{"S":"a"}},"UpdateExpression":"REMOVE #v",)" + condition +
                             mark(16) + "\"}}}");
  CHECK(world.operation(2) == "DeleteItem");
  CHECK(world.body(2) == R"({"TableName":"orders","Key":{"id":{"S":"b"}},)" + condition + mark(32, true) + "\"}}}");
  CHECK(world.transport.script.empty());
  CHECK(!world.apply(world.numbered(1)));
}

namespace {

class Kept final : public CheckpointSink {
 public:
  base::Task<base::Result<>> commit(Checkpoints checkpoints) override {
    CHECK(checkpoints.size() == 1);
    CHECK(checkpoints[0].name == kFinishName);
    values.push_back(checkpoints[0].value);
    co_return base::Result<>();
  }
  std::vector<std::string> values;
};

std::string marked_page(const std::string& id, const std::string& last_key) {
  std::string text = page(R"({"id":{"S":")" + id + R"("},"_moveout_version":{"N":")" + mark(16) + R"("}})");
  if (!last_key.empty()) text.insert(text.size() - 1, R"(,"LastEvaluatedKey":{"id":{"S":")" + last_key + R"("}})");
  return text;
}

}  // namespace

//  first:  kept ─ L ─ kept ─ page a stripped ─ kept ─ page b: gone     second: page b, the rest, a whole pass
TEST_CASE("a finish that was stopped goes on at its page, and waits L once in all") {
  Kept kept;
  {
    TargetFixture world(Way::Guarded);
    world.open();
    world.target->finish_from("", kept);
    world.transport.then(200, marked_page("a", "a"));
    world.transport.then(200, "{}");
    world.transport.then_error(400, "AccessDeniedException", "not any more");
    world.transport.otherwise = [](const http::Request&) {
      return aws::ScriptedTransport::response(400, R"({"__type":"x#AccessDeniedException","message":"no"})");
    };
    CHECK(!world.run(world.target->finish()));
  }
  REQUIRE(kept.values.size() == 3);
  TargetFixture world(Way::Guarded);
  world.open();
  world.target->finish_from(kept.values.back(), kept);
  const base::Steady start = world.clock.steady();
  world.transport.then(200, marked_page("b", ""));
  world.transport.then(200, "{}");
  world.transport.then(200, page(R"({"id":{"S":"a"}},{"id":{"S":"b"}})"));
  REQUIRE(world.run(world.target->finish()));
  CHECK(world.clock.steady() - start < base::Millis(2000));
  CHECK(world.body(0).find(R"("ExclusiveStartKey":{"id":{"S":"a"}})") != std::string::npos);
  CHECK(world.body(2).find("ExclusiveStartKey") == std::string::npos);
  CHECK(world.transport.script.empty());
  // A wait that was cut off is waited anew, and damage is not guessed around.
  TargetFixture again(Way::Guarded);
  again.open();
  again.target->finish_from(kept.values.front(), kept);
  again.transport.then(200, page(""));
  const base::Steady began = again.clock.steady();
  REQUIRE(again.run(again.target->finish()));
  CHECK(again.clock.steady() - began >= base::Millis(2000));
  again.target->finish_from("{}", kept);
  CHECK(again.run(again.target->finish()).error().kind == ErrorKind::Corrupt);
}

TEST_CASE("finish gives up where versions keep coming, and where L is not known") {
  TargetFixture world(Way::Guarded);
  world.open();
  world.transport.otherwise = [](const http::Request& request) {
    const bool scan = request.headers.get("X-Amz-Target").ends_with(".Scan");
    return aws::ScriptedTransport::response(
        200, scan ? page(R"({"id":{"S":"a"},"_moveout_version":{"N":")" + mark(16) + R"("}})") : "{}");
  };
  CHECK(world.run(world.target->finish()).error().kind == ErrorKind::TargetChanged);
  world.target =
      make_target(*world.calls, *world.writes, world.clock, world.log, {.way = Way::Guarded, .late_max = {}});
  world.transport.then(200, world.table());
  REQUIRE(world.run(world.target->open_reader(world.layout())));
  CHECK(world.run(world.target->finish()).error().kind == ErrorKind::Usage);
}
