// StreamCapture against a scripted DynamoDB Streams, on a manual clock.
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

TEST_CASE("a stream is followed: records come, in order, with their checkpoint") {
  World w;
  w.stream.add("A");
  for (int i = 0; i < 10; ++i) w.stream.put("A", "k");
  w.start();
  w.run(2s);
  CHECK(w.target.order.size() == 10);
  CHECK(w.target.seq_of("k") == "104");
  CHECK(w.target.row("A").seq == "104");
  CHECK(w.target.row("A").prev == w.target.rows.at("k").version.t);
  w.stream.remove("A", "k");
  w.run(2s);
  CHECK(w.target.seq_of("k") == "");
  CHECK(!w.ended);
}

//  A: 95 96 97 │ 98 99 100 …      the checkpoint is behind 97; a process dies and another goes on
TEST_CASE("a restart goes on behind the checkpoint, and every version is what it would have been") {
  std::map<std::string, item::Version> versions;
  for (const bool restarted : {false, true}) {
    World w;
    w.stream.add("A");
    for (int i = 0; i < 9; ++i) w.stream.put("A", "k" + std::to_string(i % 4));
    w.start();
    if (restarted) {
      w.stream.after = [&](const std::string& operation, const std::string&) {
        if (operation == "GetRecords" && w.target.pages == 2) w.target.fail_next = true;
      };
      w.run(2s);
      REQUIRE(w.ended.has_value());
      CHECK(w.ended->error().kind == ErrorKind::DiskFull);
      w.stream.after = nullptr;
      w.restart();
      w.run(2s);
      CHECK(w.asked("A AFTER_SEQUENCE_NUMBER 97") == 1);
    }
    w.run(2s);
    for (const auto& [key, change] : w.target.rows) {
      if (!restarted) versions[key] = change.version;
      CHECK(versions.at(key) == change.version);
    }
    CHECK(w.target.rows.size() == 4);
  }
}

//  A (closed): k=95, k=96 in one second ── B, its child: k=97 in the same second
TEST_CASE("a change in the child shard beats its parent's change of the same second") {
  World w;
  w.stream.add("A");
  w.stream.add("B", "A");
  for (int i = 0; i < 20; ++i) w.stream.put("A", "k");
  w.stream.close("A");
  w.stream.put("B", "k");
  w.start();
  w.run(3s);
  CHECK(w.target.seq_of("k") == "115");
  CHECK(w.target.row("A").finished);
  CHECK(w.target.row("B").parent == "A");
}

TEST_CASE("no child is read before its parent's end is durable") {
  World w;
  w.target.slow = 700ms;
  w.stream.add("A");
  w.stream.add("B", "A");
  w.stream.add("C", "A");
  for (int i = 0; i < 12; ++i) w.stream.put("A", "k" + std::to_string(i));
  w.stream.close("A");
  w.stream.put("B", "b");
  w.stream.put("C", "c");
  w.stream.after = [&](const std::string& operation, const std::string& shard) {
    if (operation == "GetShardIterator" && shard != "A") CHECK(w.target.row("A").finished);
  };
  w.start();
  w.run(20s);
  CHECK(w.target.rows.size() == 14);
  CHECK(w.asked("B TRIM_HORIZON") == 1);
  CHECK(w.asked("C TRIM_HORIZON") == 1);
}

//  A ends ──── nothing listed ──── B listed ──── 3 min ──── C listed
TEST_CASE("children that are hidden for minutes and come one by one are both read to their records") {
  World w;
  w.stream.add("A");
  w.stream.put("A", "k");
  w.stream.close("A");
  w.stream.add("B", "A").listed = false;
  w.stream.add("C", "A").listed = false;
  w.stream.put("B", "b");
  w.stream.put("C", "c");
  w.start();
  w.run(2min);
  CHECK(!w.capture->at_tip_since(w.clock.steady() - 100s));
  w.stream.shard("B").listed = true;
  w.run(3min);
  CHECK(w.target.seq_of("b") == "96");
  w.stream.shard("C").listed = true;
  w.run(1min);
  CHECK(w.target.seq_of("c") == "97");
  CHECK(w.capture->at_tip_since(w.clock.steady() - 20s));
}

TEST_CASE("a shard shown closed is read to the end that its iterator gives, not the listing") {
  World w;
  w.stream.add("A");
  for (int i = 0; i < 30; ++i) w.stream.put("A", "k" + std::to_string(i));
  w.stream.close("A");
  w.start();
  w.run(5s);
  CHECK(w.target.rows.size() == 30);
  CHECK(w.target.row("A").finished);
}

TEST_CASE("a parent shown open although it ended, beside its child, is read to its end first") {
  World w;
  w.stream.add("A").listed_open = true;
  w.stream.add("B", "A");
  for (int i = 0; i < 5; ++i) w.stream.put("A", "k");
  w.stream.close("A");
  w.stream.put("B", "k");
  w.start();
  w.run(3s);
  CHECK(w.target.seq_of("k") == "100");
}

TEST_CASE("more than a hundred shards, page by page, are all read") {
  World w;
  for (int i = 0; i < 250; ++i) {
    const std::string id = "S" + std::to_string(1000 + i);
    w.stream.add(id);
    w.stream.put(id, id);
  }
  w.start();
  w.run(10s);
  CHECK(w.target.rows.size() == 250);
  CHECK(w.stream.calls["DescribeStream"] >= 3);
  CHECK(w.capture->progress().shards_open == 250);
}

TEST_CASE("an expired iterator is replaced at the checkpoint, and nothing is missed or doubled") {
  World w;
  w.stream.add("A");
  for (int i = 0; i < 6; ++i) w.stream.put("A", "k");
  w.start();
  w.run(2s);
  w.stream.iterator_life = 100ms;  // every sleep of a quiet shard is longer
  w.stream.put("A", "k");
  w.run(5s);
  w.stream.iterator_life = 15min;
  w.stream.put("A", "k");
  w.run(5s);
  CHECK(w.target.seq_of("k") == "102");
  CHECK(w.target.order.size() == 8);
  CHECK(w.target.records == 8);
  CHECK(!w.ended);
}

TEST_CASE("empty pages before the records are not the tip") {
  World w;
  w.stream.empty_before_records = 12;
  w.config.tip_wait = 30s;
  w.config.tip_pages = 5;
  w.stream.add("A");
  w.stream.put("A", "k");
  w.start();
  const Steady begun = w.clock.steady();
  w.run(8s);
  CHECK(w.target.rows.empty());
  CHECK(!w.capture->at_tip_since(begun));
  w.run(10s);
  CHECK(w.target.seq_of("k") == "95");
  w.stream.empty_before_records = 0;
  w.run(60s);
  CHECK(w.capture->at_tip_since(begun));
}

//  instant X ──── poll ── poll ── poll (1 s after the first) ── tip for X
//                              record ── deliver (slow) … no tip for an instant after it until it is delivered
TEST_CASE("the tip is proven by pages asked for after the instant, and only when all was delivered") {
  World w;
  w.stream.add("A");
  w.start();
  w.run(15s);
  const Steady x = w.clock.steady();
  CHECK(w.capture->at_tip_since(x - 10s));
  CHECK(!w.capture->at_tip_since(x));
  w.target.slow = 20s;
  w.stream.put("A", "k");
  w.run(15s);
  CHECK(w.target.rows.empty());
  CHECK(!w.capture->at_tip_since(x));
  CHECK(w.capture->progress().behind > 10s);
  CHECK(w.capture->progress().lag > 10s);
  w.target.slow = 1ms;
  w.run(30s);
  CHECK(w.target.rows.size() == 1);
  CHECK(w.capture->at_tip_since(x));
  CHECK(w.capture->progress().lag == 0ms);
  CHECK(w.capture->progress().behind < 2s);
}

TEST_CASE("a finished shard without a child is behind until the child is listed") {
  World w;
  w.stream.add("A");
  w.start();
  w.run(5s);
  CHECK(w.capture->progress().behind < 2s);
  w.stream.close("A");
  w.run(20s);
  CHECK(w.capture->progress().behind > 15s);
  w.stream.add("B", "A");
  w.run(20s);
  CHECK(w.capture->progress().behind < 2s);
}

//  A: polled ──── silent 20 s, split meanwhile ──── read to its end
//  B: holds records as old as that; its first page is empty ── records
TEST_CASE("after a silence a shard's children are behind until a page shows their records, and an empty one does not") {
  World w;
  w.stream.add("A");
  w.start();
  w.run(5s);
  w.target.slow = 20s;
  w.stream.put("A", "a");
  w.run(1s);
  w.stream.close("A");
  w.stream.add("B", "A");
  for (int i = 0; i < 3; ++i) w.stream.put("B", "b");
  w.stream.empty_before_records = 3;
  w.run(18s);
  w.target.slow = 1ms;
  Steady read{};
  bool looked = false;
  w.stream.after = [&](const std::string& operation, const std::string& shard) {
    if (operation != "GetRecords" || shard != "B") return;
    if (w.target.seq_of("b").empty()) {
      CHECK(w.capture->progress().behind > 15s);
      looked = true;
    } else if (read == Steady{}) {
      read = w.clock.steady();
    }
  };
  w.run(30s);
  CHECK(looked);
  CHECK(w.target.seq_of("b") == "98");
  CHECK(read != Steady{});
  CHECK(w.capture->progress().behind < 2s);
}

TEST_CASE("waiting for a pass of a shard at rest ends when its tip is there, and not before") {
  World w;
  w.stream.add("A");
  w.start();
  w.run(5s);
  const Steady x = w.clock.steady();
  struct Wait {
    static Task<Result<bool>> pass(StreamCapture& capture, Steady instant, Millis patience) {
      co_return co_await capture.wait_for_pass(instant, patience);
    }
  };
  CHECK_FALSE(base::finish(w.io, w.clock, Wait::pass(*w.capture, x, 500ms)).value());
  CHECK(base::finish(w.io, w.clock, Wait::pass(*w.capture, x, 60s)).value());
  CHECK(w.capture->at_tip_since(x));
  CHECK(w.clock.steady() - x >= 1s);
  CHECK(w.clock.steady() - x <= 4s);  // it does not wait for the next discovery at leisure
}

//  X ── records every second, never a tip ── one that is surely younger than X: passed
TEST_CASE("a shard that never rests passes an instant by its own records, also when the server's clock is ahead") {
  for (const base::Micros ahead : {0s, 5s}) {
    World w;
    w.config.tip_wait = 30s;
    w.config.discover_every = 500ms;
    w.stream.add("A");
    w.start();
    w.run(12s);
    const Steady x = w.clock.steady();
    const auto write = [&] {
      w.stream.put("A", "k");
      w.stream.shard("A").records.back().created += ahead;
      w.run(1s);
    };
    for (int i = 0; i < 4; ++i) write();
    CHECK(!w.capture->passed_since(x));  // made after x, but by whose clock?
    for (int i = 0; i < 12; ++i) write();
    CHECK(w.capture->passed_since(x));
    CHECK(!w.capture->passed_since(w.clock.steady() - 3s));
    CHECK(!w.capture->at_tip_since(x));
  }
}

//  x ── put, put, put … a record every 300 ms, with the time of the minute's begin
TEST_CASE("where short pages tell, a shard that never rests passes an instant though its times are of the minute") {
  for (const bool tell : {true, false}) {
    CAPTURE(tell);
    World w;
    w.config.short_pages_tell = tell;
    w.config.discover_every = 500ms;
    w.target.slow = 100ms;
    w.stream.add("A");
    w.start();
    w.run(5s);
    const Steady x = w.clock.steady();
    CHECK(!w.capture->passed_since(x));
    for (int i = 0; i < 12; ++i) {
      w.stream.put("A", "k" + std::to_string(i));
      w.stream.shard("A").records.back().created -= 50s;
      w.run(300ms);
      // Whatever is said to be passed has been delivered.
      if (w.capture->passed_before() > x) CHECK(w.target.rows.contains("k0"));
    }
    CHECK(w.capture->passed_since(x) == tell);
    CHECK((w.capture->passed_before() > x) == tell);
    CHECK(!w.capture->passed_since(w.clock.steady() - 900ms));
    CHECK(!w.capture->at_tip_since(x));
  }
}

TEST_CASE("a full page proves nothing about what lies behind it") {
  World w;
  w.config.short_pages_tell = true;
  w.config.discover_every = 500ms;
  w.stream.page_records = 500;
  w.stream.add("A");
  w.target.slow = 700ms;
  w.start();
  w.run(5s);
  for (int i = 0; i < 5000; ++i) w.stream.put("A", "k" + std::to_string(i));
  const Steady x = w.clock.steady();
  while (w.target.records < 5000) {
    CHECK(!w.capture->passed_since(x));
    w.run(500ms);
  }
  w.run(5s);
  CHECK(w.capture->passed_since(x));
}

TEST_CASE("passed_before() is the edge of passed_since()") {
  World w;
  w.stream.add("A");
  w.start();
  CHECK(!w.capture->passed_before().has_value());
  w.run(20s);
  REQUIRE(w.capture->passed_before().has_value());
  const Steady edge = *w.capture->passed_before();
  CHECK(w.capture->passed_since(edge - base::Micros(1)));
  CHECK(!w.capture->passed_since(edge));
  CHECK(w.clock.steady() - edge < 12s);
}

TEST_CASE("a quiet shard is polled at least once a second, and in a hurry five times") {
  World w;
  w.stream.add("A");
  w.start();
  w.run(10s);
  int before = w.stream.calls["GetRecords"];
  w.run(60s);
  int polls = w.stream.calls["GetRecords"] - before;
  CHECK(polls >= 59);
  CHECK(polls <= 90);
  w.capture->hurry(true);
  w.run(2s);
  before = w.stream.calls["GetRecords"];
  w.run(60s);
  polls = w.stream.calls["GetRecords"] - before;
  CHECK(polls >= 250);
}

TEST_CASE(
    "a record that cannot be understood stops the capture, naming table, shard and record, and its page is not passed "
    "over") {
  World w;
  w.stream.add("A");
  for (int i = 0; i < 3; ++i) w.stream.put("A", "k");
  w.stream.shard("A").records[1].image.clear();
  w.start();
  w.run(3s);
  REQUIRE(w.ended.has_value());
  REQUIRE(!w.ended->has_value());
  CHECK(w.ended->error().kind == ErrorKind::Corrupt);
  CHECK(w.ended->error().what.find("table orders, shard A, record 96") != std::string::npos);
  CHECK(!w.target.checkpoints.contains("shard/A"));
}

TEST_CASE("what the sink refuses ends the capture") {
  World w;
  w.stream.add("A");
  w.stream.put("A", "k");
  w.start();
  w.target.fail_next = true;
  w.run(3s);
  REQUIRE(w.ended.has_value());
  CHECK(w.ended->error().kind == ErrorKind::DiskFull);
}

TEST_CASE("a damaged checkpoint is not guessed around") {
  World w;
  w.stream.add("A");
  w.target.checkpoints["shard/A"] = "{";
  w.start();
  w.run(1s);
  REQUIRE(w.ended.has_value());
  CHECK(w.ended->error().kind == ErrorKind::Corrupt);
}

TEST_CASE("a stopped capture has no page under way afterwards") {
  World w;
  w.target.slow = 10s;
  for (int i = 0; i < 40; ++i) {
    const std::string id = "S" + std::to_string(i);
    w.stream.add(id);
    w.stream.put(id, id);
  }
  w.start();
  w.run(5s);
  w.stop();
  const int pages = w.target.pages;
  w.run(60s);
  CHECK(w.target.pages == pages);
}
