// What is lost and what is not: trims, shards and streams that go, tables made again.
#include "capture/stream_capture.h"

#include <doctest/doctest.h>

#include <utility>

#include "test/doubles/capture_world.h"

using namespace moveout;
using namespace moveout::capture;
using World = test::CaptureWorld;
using base::ErrorKind;
using base::Millis;
using base::Result;
using base::Steady;
using base::Task;
using namespace std::chrono_literals;

TEST_CASE("at first start the trim horizon may move over records that the back-fill covers") {
  World w;
  w.stream.add("A");
  for (int i = 0; i < 9; ++i) w.stream.put("A", "old");
  bool trimmed = false;
  w.stream.after = [&](const std::string& operation, const std::string&) {
    if (operation == "GetShardIterator" && !std::exchange(trimmed, true)) w.stream.shard("A").trimmed = 5;
  };
  // Those records are a day old.
  for (test::FakeRecord& record : w.stream.shard("A").records) record.created -= 24h;
  w.start();
  w.run(3s);
  CHECK(!w.ended);
  CHECK(w.asked("A TRIM_HORIZON") == 2);
  CHECK(w.target.rows.empty());  // older than the era: folded, not applied
  CHECK(w.target.records == 4);
  w.stream.put("A", "new");
  w.run(3s);
  CHECK(w.target.seq_of("new") == "104");
}

//  read up to 97 │ stopped for 25 h: 98 99 100 come and are trimmed │ 101 …
TEST_CASE("records trimmed behind the checkpoint are a gap that names shard and sequence number") {
  World w;
  w.stream.add("A");
  for (int i = 0; i < 3; ++i) w.stream.put("A", "k");
  w.start();
  w.run(3s);
  w.stop();
  for (int i = 0; i < 6; ++i) w.stream.put("A", "k");
  w.clock.advance(25h);
  w.stream.shard("A").trimmed = 6;
  w.start();
  w.run(10s);
  w.expect_gap("97");
  CHECK(w.ended->error().what.find("shard A") != std::string::npos);
  CHECK(w.target.seq_of("k") == "97");
  CHECK(w.asked("A TRIM_HORIZON") == 1);  // the first start's
}

TEST_CASE(
    "a shard of which nothing was read, found again after more than a day, is a gap and not read from its horizon") {
  World w;
  w.stream.add("A");
  w.start();
  w.run(100ms);  // discovered, not yet at its tip: there is no row but the start's
  w.stop();
  CHECK(w.target.checkpoints.size() == 1);
  w.stream.put("A", "k");
  w.clock.advance(25h);
  w.stream.shard("A").trimmed = 1;
  w.start();
  w.run(10s);
  w.expect_gap("shard A");
}

TEST_CASE("a stream that was quiet for days goes on after a short stop") {
  World w;
  w.stream.add("A");
  w.start();
  w.run(3s);
  for (int hour = 0; hour < 60; ++hour) {
    w.clock.advance(1h);  // no more happens in an hour than one poll
    w.run(3s);
  }
  CHECK(!w.ended);
  CHECK(w.target.pages < 100);
  w.restart();
  w.stream.put("A", "k");
  w.run(5s);
  CHECK(!w.ended);
  CHECK(w.target.seq_of("k") == "95");
}

// As DynamoDB Local is after `dilate?hours=25`:  A gone though listed ── B trimmed, refuses TRIM_HORIZON ── C open
TEST_CASE("a first start on a stream whose older shards are trimmed passes them over and reads the rest") {
  World w;
  w.stream.add("A");
  w.stream.add("B", "A");
  w.stream.add("C", "B");
  w.stream.put("B", "old");
  w.stream.close("A");
  w.stream.close("B");
  w.stream.shard("A").gone = true;
  w.stream.shard("B").trimmed = 1;
  w.stream.shard("B").no_horizon = true;
  w.stream.put("C", "k");
  w.start();
  w.run(30s);
  CHECK(!w.ended);
  CHECK(w.target.seq_of("k") == "96");
  CHECK(w.capture->at_tip_since(w.clock.steady() - 15s));
  w.restart();
  w.run(10s);
  CHECK(!w.ended);
}

//  A is followed │ stopped: A ends, B takes its writes │ 25 h by the server's clock, not by ours │ B refuses its
//  records
TEST_CASE("records trimmed from a shard born under this run are a gap, whatever this process's clock says") {
  World w;
  w.stream.add("A");
  w.stream.put("A", "k");
  w.start();
  w.run(5s);
  w.stop();
  w.stream.close("A");
  w.stream.add("B", "A");
  w.stream.put("B", "k");
  w.stream.add("C", "B");
  w.stream.close("B");
  w.stream.shard("B").trimmed = 1;
  w.stream.shard("B").no_horizon = true;
  w.start();
  w.run(30s);
  w.expect_gap("shard B");
}

TEST_CASE("a shard that disappears half-read is a gap") {
  World w;
  w.stream.add("A");
  w.stream.put("A", "k");
  w.start();
  w.run(3s);
  w.stream.shard("A").gone = true;
  w.stream.shard("A").listed = false;
  w.run(2min);
  w.expect_gap("last sequence number 95");
}

TEST_CASE("a stream switched off by someone else is a gap") {
  World w;
  w.stream.add("A");
  w.start();
  w.run(3s);
  w.stream.status = "DISABLED";
  w.run(1min);
  w.expect_gap("switched off by someone else");
}

TEST_CASE("a stream that is gone is a gap") {
  World w;
  w.stream.add("A");
  w.start();
  w.run(3s);
  w.stream.stream_gone = true;
  w.run(1min);
  w.expect_gap("gone");
}

TEST_CASE("a table made again under its old name is a gap; one with another key is another schema") {
  const auto description = [](const std::string& arn, const std::string& key) {
    return R"({"Table":{"TableName":"orders","TableStatus":"ACTIVE","TableArn":"a","CreationDateTime":1,"ItemCount":0,)"
           R"("TableSizeBytes":0,"KeySchema":[{"AttributeName":")" +
           key +
           R"(","KeyType":"HASH"}],)"
           R"("AttributeDefinitions":[{"AttributeName":")" +
           key +
           R"(","AttributeType":"S"}],)"
           R"("StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"},"LatestStreamArn":")" +
           arn + R"("}})";
  };
  for (const bool other_key : {false, true}) {
    World w;
    w.stream.add("A");
    w.stream.table_json = description(w.config.stream_arn, "pk");
    w.start(true);
    w.run(30s);
    CHECK(!w.ended);
    w.stream.table_json = other_key ? description(w.config.stream_arn, "id") : description("arn:another", "pk");
    w.run(30s);
    if (!other_key) {
      w.expect_gap("arn:another");
    } else {
      REQUIRE(w.ended.has_value());
      CHECK(w.ended->error().kind == ErrorKind::SchemaChanged);
    }
  }
}
