// M3: a version on every item, a condition on every write, and how they go again.
#include <doctest/doctest.h>

#include "target/dynamodb/fixture.h"
#include "target/dynamodb/images.h"

using namespace moveout;
using namespace moveout::target;
using namespace moveout::target::dynamodb;
using base::ErrorKind;

namespace {

using Seen = std::vector<Outcome>;

struct World : TargetFixture {
  World() : TargetFixture(Way::Guarded) { open(); }
};

std::string mark(std::int64_t t, bool tombstone = false) {
  return mark_text({item::Version{0, item::Band::Change, t}, tombstone});
}

}  // namespace

TEST_CASE("a mark orders as its version does and comes back whole") {
  const item::Version versions[] = {{0, item::Band::Backfill, 0},
                                    {0, item::Band::Backfill, 5},
                                    {0, item::Band::Change, 1},
                                    {1, item::Band::Backfill, 0},
                                    {255, item::Band::Change, (std::int64_t{1} << 53) - 1}};
  const item::Version* before = nullptr;
  for (const item::Version& version : versions) {
    for (const bool tombstone : {false, true}) {
      const Mark mark{version, tombstone};
      CHECK(mark_of_text(mark_text(mark)) == mark);
      if (before != nullptr) CHECK(std::stoull(mark_text({*before, true})) < std::stoull(mark_text(mark)));
    }
    before = &version;
  }
  for (const char* text : {"", "-1", "1.5", "x", "18446744073709551616", "54043195528445952"})
    CHECK(!mark_of_text(text));
}

TEST_CASE("every guarded write is one conditional put, a delete is a tombstone item") {
  World world;
  item::Batch batch;
  world.put(batch, "a", 32, R"("x":{"L":[]})");
  world.remove(batch, "b", 48);
  world.transport.then(200, "{}");
  world.transport.then(200, "{}");
  CHECK(world.apply(batch)->each == Seen{Outcome::Applied, Outcome::Applied});
  REQUIRE(world.transport.requests.size() == 2);
  CHECK(world.operation(0) == "PutItem");
  const std::string condition =
      R"(,"ConditionExpression":"attribute_not_exists(#v) OR #v < :v","ExpressionAttributeNames":{"#v":"_moveout_version"},)"
      R"("ExpressionAttributeValues":{":v":{"N":")";
  CHECK(world.body(0) == R"({"TableName":"orders","Item":{"id":{"S":"a"},"x":{"L":[]},"_moveout_version":{"N":")" +
                             mark(32) + "\"}}" + condition + mark(32) + "\"}}}");
  CHECK(world.body(1) == R"({"TableName":"orders","Item":{"id":{"S":"b"},"_moveout_version":{"N":")" + mark(48, true) +
                             "\"}}" + condition + mark(48, true) + "\"}}}");
  CHECK(world.target->guard() == Guard::PerWrite);
  CHECK(world.target->late_max() == base::Millis(0));
}

TEST_CASE("an empty map that a stream image shows as {} is written as one") {
  World world;
  item::Batch batch;
  world.put(batch, "a", 16, R"("l":{"L":[{},{"M":{}}]},"m":{})");
  world.transport.then(200, "{}");
  REQUIRE(world.apply(batch));
  CHECK(world.body(0).find(R"("l":{"L":[{"M":{}},{"M":{}}]},"m":{"M":{}},"_moveout_version")") != std::string::npos);
}

TEST_CASE("a condition that fails says stale, a lost answer is asked for again") {
  World world;
  world.transport.then_error(400, "ConditionalCheckFailedException", "The conditional request failed");
  CHECK(world.apply(world.numbered(1))->each == Seen{Outcome::Stale});
  world.transport.then(ErrorKind::Unavailable, "cut");
  world.transport.then_error(500, "InternalServerError", "x");
  world.transport.then(200, "{}");
  CHECK(world.apply(world.numbered(1))->each == Seen{Outcome::Applied});
  CHECK(world.transport.requests.size() == 4);
  world.transport.then_error(400, "ThrottlingException", "slower");
  CHECK(world.apply(world.numbered(1))->each == Seen{Outcome::Throttled});
  world.transport.then_error(400, "TransactionConflictException", "busy");
  CHECK(world.apply(world.numbered(1))->each == Seen{Outcome::Throttled});
  world.transport.then_error(400, "ValidationException", "bad");
  const auto outcomes = world.apply(world.numbered(1));
  CHECK(outcomes->each == Seen{Outcome::Refused});
  CHECK(outcomes->why.size() == 1);
}

TEST_CASE("writes of one key are sent one after the other, in order") {
  World world;
  item::Batch batch;
  world.put(batch, "a", 16);
  world.put(batch, "b", 16);
  world.put(batch, "a", 48);
  world.put(batch, "a", 32);
  world.transport.otherwise = [](const http::Request&) { return aws::ScriptedTransport::response(200, "{}"); };
  CHECK(world.apply(batch)->count(Outcome::Applied) == 4);
  CHECK(world.body(2).find(mark(48)) != std::string::npos);
  CHECK(world.body(3).find(mark(32)) != std::string::npos);
}

TEST_CASE("an attribute of the version's name is refused, however it is written, and only at the top") {
  World world;
  const auto why = [&](const std::string& more) {
    item::Batch batch;
    world.put(batch, "a", 16, more);
    return world.target->refusal(batch[0]);
  };
  CHECK(why(R"("_moveout_version":{"N":"1"})"));
  CHECK(why(R"("\u005fmoveout_version":{"S":"x"})"));
  CHECK(!why(R"("m":{"M":{"_moveout_version":{"N":"1"}}})"));
  CHECK(!why(R"("x":{"S":"_moveout_version"})"));
  item::Batch gone;
  world.remove(gone, "a");
  CHECK(!world.target->refusal(gone[0]));
  TargetFixture unguarded(Way::Unguarded);
  item::Batch batch;
  unguarded.put(batch, "a", 16, R"("_moveout_version":{"N":"1"})");
  CHECK(!unguarded.target->refusal(batch[0]));
}

TEST_CASE("an item that the version makes larger than a table's largest is refused, to the byte") {
  for (const std::size_t over : {0, 1}) {
    TargetFixture guarded(Way::Guarded), unguarded(Way::Unguarded);
    item::Batch batch;
    const std::string text(300'000, 'x');
    guarded.put(batch, "a", 16, R"("t":{"S":")" + text + "\"}");
    item::Item whole = *item::parse_item(batch[0].image);
    whole.emplace(kVersionAttribute, *item::Number::parse(mark(16)));
    const std::size_t room = item::kItemBytesMax - item::item_size(whole);
    item::Batch full;
    guarded.put(full, "a", 16, R"("t":{"S":")" + text + std::string(room + over, 'x') + "\"}");
    CHECK(guarded.target->refusal(full[0]).has_value() == (over == 1));
    CHECK(!unguarded.target->refusal(full[0]));
  }
}

TEST_CASE("readers see neither version attributes nor tombstones") {
  World world;
  const std::string live = R"({"id":{"S":"a"},"_moveout_version":{"N":")" + mark(32) + "\"}}";
  const std::string dead = R"({"id":{"S":"b"},"_moveout_version":{"N":")" + mark(48, true) + "\"}}";
  const std::string theirs = R"({"id":{"S":"c"},"x":{"N":"1"}})";
  const auto key = [](const char* id) { return *item::key_of_json(kTestKey, TargetFixture::item(id)); };
  const std::string answer = R"({"Responses":{"orders":[)" + dead + "," + live + "," + theirs + "]}}";
  world.transport.then(200, answer);
  const auto found = world.run(world.target->read({key("a"), key("b"), key("c"), key("d")}));
  REQUIRE(found);
  CHECK(item::to_json((*found)[0]->item) == R"({"id":{"S":"a"}})");
  CHECK((*found)[0]->version == item::Version{0, item::Band::Change, 32});
  CHECK(!(*found)[1]);
  CHECK((*found)[2]->version == item::Version{});
  CHECK(!(*found)[3]);
  world.transport.then(200, answer);
  const auto versions = world.run(world.target->versions({key("a"), key("b"), key("c"), key("d")}));
  REQUIRE(versions);
  CHECK((*versions)[1] == item::Version{0, item::Band::Change, 48});
  CHECK((*versions)[2] == item::Version{});
  CHECK(!(*versions)[3]);
  world.transport.then(200,
                       R"({"Items":[)" + dead + "," + live + R"(],"Count":2,"LastEvaluatedKey":{"id":{"S":"a"}}})");
  const auto page = world.run(world.target->scan("", 10));
  REQUIRE(page);
  CHECK(page->items.size() == 1);
  CHECK(page->next == R"({"id":{"S":"a"}})");
  world.transport.then(200, R"({"Items":[{"id":{"N":"1"}}],"Count":1})");
  CHECK(!world.run(world.target->scan("", 10)));
}
