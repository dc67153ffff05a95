// Scripts of listings, reads and restarts; the promises of docs/consistency.md §2 on lineage.
#include <doctest/doctest.h>

#include <algorithm>

#include "capture/lineage.h"

using namespace moveout;
using namespace moveout::capture;
using base::ErrorKind;
using base::Instant;
using base::Millis;
using base::Result;
using base::Steady;
using namespace std::chrono_literals;

namespace {

using Ids = std::vector<std::string>;

// A world where time is set by hand. Rows are what a target would hold.
struct Script {
  Instant opened = base::instant_of_micros(1'700'000'000'000'000);
  Steady steady{};
  std::map<std::string, std::string> rows;
  Lineage lineage = fresh();

  LineageRules rules() const {
    LineageRules r;
    r.covered_from = opened - 5min;
    return r;
  }
  Lineage fresh() const {
    Result<Lineage> restored = Lineage::restore(rules(), rows);
    REQUIRE(restored.has_value());
    return std::move(*restored);
  }
  void restart() { lineage = fresh(); }
  Instant now() const { return opened + steady.time_since_epoch(); }
  void wait(base::Micros by) { steady += by; }

  Result<> list(std::vector<aws::Shard> shards) {
    Result<> listed = lineage.listed(shards, steady, steady, now());
    if (listed && lineage.start_to_save()) {
      rows[std::string(kStartRow)] = lineage.start_to_save()->encode();
      lineage.start_saved();
    }
    return listed;
  }
  // Lists and says what may be read now.
  Ids ready(std::vector<aws::Shard> shards) {
    Result<> listed = list(std::move(shards));
    if (!listed) FAIL_CHECK(listed.error().what);
    return lineage.start_ready();
  }
  void save(const std::string& shard, std::string seq, std::int64_t prev, bool finished = false) {
    ShardState state = lineage.state(shard);
    state.seq = std::move(seq);
    state.prev = prev;
    state.finished = finished;
    state.newest = now();
    rows["shard/" + shard] = state.encode();
    lineage.saved(shard, state, steady);
  }
  void finish(const std::string& shard, std::int64_t prev = 160) { save(shard, "9", prev, true); }
};

aws::Shard open(std::string id, std::string parent = "") { return {std::move(id), std::move(parent), "1", ""}; }
aws::Shard closed(std::string id, std::string parent = "") { return {std::move(id), std::move(parent), "1", "9"}; }

bool is_gap(const Result<>& result) { return !result && result.error().kind == ErrorKind::StreamGap; }

}  // namespace

TEST_CASE("a root is read at once, and only once") {
  Script s;
  CHECK(s.ready({open("A")}) == Ids{"A"});
  CHECK(s.ready({open("A")}) == Ids{});
}

TEST_CASE("a child waits for its parent's durable end, and inherits the fold") {
  Script s;
  CHECK(s.ready({closed("A"), open("B", "A")}) == Ids{"A"});
  s.save("A", "5", 320);
  CHECK(s.lineage.start_ready() == Ids{});
  s.finish("A", 480);
  CHECK(s.lineage.start_ready() == Ids{"B"});
  CHECK(s.lineage.state("B").prev == 480);
  CHECK(s.lineage.state("B").seq.empty());
}

TEST_CASE("the fold is inherited through shards that were empty") {
  Script s;
  s.ready({closed("A"), closed("B", "A"), open("C", "B")});
  s.finish("A", 480);
  REQUIRE(s.lineage.start_ready() == Ids{"B"});
  ShardState empty = s.lineage.state("B");
  empty.finished = true;
  s.lineage.saved("B", empty, s.steady);
  REQUIRE(s.lineage.start_ready() == Ids{"C"});
  CHECK(s.lineage.state("C").prev == 480);
}

// listing 1   A closed, no child shown
// listing 2   A closed, B (its child) shown        B is read
// listing 3   A closed, B, C (the other child)     C is read, with the same fold
TEST_CASE("children shown late and one by one are all read, and all inherit") {
  Script s;
  s.ready({closed("A")});
  s.finish("A", 480);
  CHECK(s.lineage.start_ready() == Ids{});
  CHECK(s.lineage.children_expected());
  s.wait(2min);
  CHECK(s.ready({closed("A"), open("B", "A")}) == Ids{"B"});
  s.wait(2min);
  CHECK(s.ready({closed("A"), open("B", "A"), open("C", "A")}) == Ids{"C"});
  CHECK(s.lineage.state("B").prev == 480);
  CHECK(s.lineage.state("C").prev == 480);
}

TEST_CASE("a finished shard is childless until a child is listed") {
  Script s;
  s.ready({closed("A")});
  CHECK(!s.lineage.childless_since());
  s.finish("A", 480);
  const auto since = s.lineage.childless_since();
  REQUIRE(since.has_value());
  s.wait(2min);
  s.ready({closed("A")});
  CHECK(s.lineage.childless_since() == since);
  s.ready({closed("A"), open("B", "A")});
  CHECK(!s.lineage.childless_since());
}

TEST_CASE("a child shown after a restart inherits from the row of its finished parent") {
  Script s;
  s.ready({closed("A")});
  s.finish("A", 480);
  s.restart();
  CHECK(s.ready({closed("A"), open("B", "A")}) == Ids{"B"});
  CHECK(s.lineage.state("B").prev == 480);
}

TEST_CASE("a finished parent may leave the listing for ever") {
  Script s;
  s.ready({closed("A"), open("B", "A")});
  s.finish("A", 480);
  REQUIRE(s.lineage.start_ready() == Ids{"B"});
  s.restart();
  s.wait(30h);
  CHECK(s.ready({open("B", "A")}) == Ids{"B"});
  CHECK(s.lineage.state("B").prev == 480);
}

TEST_CASE("an open parent with an open child: the child waits") {
  Script s;
  CHECK(s.ready({open("A"), open("B", "A")}) == Ids{"A"});
  CHECK(!s.lineage.at_tip_since(s.steady - 1s));
  s.finish("A");
  CHECK(s.lineage.start_ready() == Ids{"B"});
}

TEST_CASE("a shard with a checkpoint goes on from it after a restart") {
  Script s;
  s.ready({open("A")});
  s.save("A", "77", 800);
  s.restart();
  CHECK(s.ready({open("A")}) == Ids{"A"});
  CHECK(s.lineage.state("A").seq == "77");
  CHECK(s.lineage.state("A").prev == 800);
}

TEST_CASE("at first discovery a parent absent in two listings a minute apart is history") {
  Script s;
  CHECK(s.ready({open("B", "A")}) == Ids{});
  CHECK(!s.lineage.at_tip_since(s.steady - 1s));
  s.wait(59s);
  CHECK(s.ready({open("B", "A")}) == Ids{});
  CHECK(s.lineage.look_again() == s.steady + 1s);
  s.wait(1s);
  CHECK(s.ready({open("B", "A")}) == Ids{"B"});
  CHECK(s.lineage.state("B").prev == 0);
  CHECK(s.rows.contains("shard/@start"));
}

TEST_CASE("a parent that shows up in the second listing is no history") {
  Script s;
  CHECK(s.ready({open("B", "A")}) == Ids{});
  s.wait(60s);
  CHECK(s.ready({closed("A"), open("B", "A")}) == Ids{"A"});
}

TEST_CASE("what was history stays history over a restart, before any of it was read") {
  Script s;
  s.ready({open("B", "A")});
  s.wait(60s);
  s.ready({open("B", "A")});
  s.restart();
  CHECK(s.ready({open("B", "A")}) == Ids{"B"});
}

TEST_CASE("after the first discovery a missing parent is a gap, named after two listings a minute apart") {
  Script s;
  s.ready({open("A")});
  s.wait(10s);
  CHECK(s.list({open("A"), open("D", "C")}).has_value());
  s.wait(60s);
  Result<> listed = s.list({open("A"), open("D", "C")});
  REQUIRE(is_gap(listed));
  CHECK(listed.error().what.find("parent C") != std::string::npos);
}

TEST_CASE("a missing parent that shows up within the minute is no gap") {
  Script s;
  s.ready({open("A")});
  CHECK(s.ready({open("A"), open("D", "C")}) == Ids{});
  s.wait(30s);
  CHECK(s.ready({open("A"), closed("C", "A"), open("D", "C")}) == Ids{});
  s.wait(60s);
  CHECK(s.ready({closed("A"), closed("C", "A"), open("D", "C")}) == Ids{});
}

// first process:  first discovery shows A (open); dies before any row but the start row
// 30 hours later: A and its child B came, ran full and were trimmed; C is listed with parent B
// listing 1   begins, takes two minutes: its first page was read before A was described, its last one after B was
// listing 2   begins at once: A is left out for some seconds
TEST_CASE("a listing that takes minutes does not make an absent parent a gap by itself") {
  Script s;
  s.ready({closed("R")});
  s.finish("R");
  const Steady begun = s.steady;
  s.wait(2min);
  CHECK(s.lineage.listed({closed("R"), open("B", "A")}, begun, s.steady, s.now()).has_value());
  CHECK(s.list({closed("R"), open("B", "A")}).has_value());
  s.wait(61s);
  CHECK(is_gap(s.list({closed("R"), open("B", "A")})));
}

TEST_CASE("shards that came and were trimmed while nothing ran are a gap") {
  Script s;
  s.ready({open("A")});
  s.restart();
  s.wait(30h);
  CHECK(s.list({open("C", "B")}).has_value());
  s.wait(60s);
  CHECK(is_gap(s.list({open("C", "B")})));
}

// The same, dying before even the start row: what is trimmed by now is not all older than the era.
TEST_CASE("a first discovery that comes a day after the era was opened takes nothing for history") {
  Script s;
  s.wait(25h);
  CHECK(s.list({open("C", "B")}).has_value());
  s.wait(60s);
  CHECK(is_gap(s.list({open("C", "B")})));
}

TEST_CASE("a shard with a checkpoint that is listed no more is a gap that names its last sequence number") {
  Script s;
  s.ready({open("A")});
  s.save("A", "77", 800);
  s.restart();
  s.wait(30h);
  CHECK(s.list({open("B", "A")}).has_value());
  s.wait(60s);
  Result<> listed = s.list({open("B", "A")});
  REQUIRE(is_gap(listed));
  CHECK(listed.error().what.find("shard A") != std::string::npos);
  CHECK(listed.error().what.find("77") != std::string::npos);
}

TEST_CASE("a waiting child that is listed no more is a gap") {
  Script s;
  s.ready({open("A"), open("B", "A")});
  s.wait(1s);
  CHECK(s.list({open("A")}).has_value());
  s.wait(60s);
  CHECK(is_gap(s.list({open("A")})));
}

TEST_CASE("a shard missing from one listing only is nothing") {
  Script s;
  s.ready({open("A"), open("B", "A")});
  for (int i = 0; i < 10; ++i) {
    s.wait(40s);
    CHECK(s.list({open("A")}).has_value());
    s.wait(40s);
    CHECK(s.list({open("A"), open("B", "A")}).has_value());
  }
}

TEST_CASE("a shard closed before the era began may be trimmed unread while all of it is older than the era") {
  Script s;
  s.ready({closed("A", "Z"), open("B", "A")});
  s.wait(60s);
  REQUIRE(s.ready({closed("A", "Z"), open("B", "A")}) == Ids{"A"});
  CHECK(s.lineage.may_vanish("A", s.now()));
  CHECK(!s.lineage.may_vanish("B", s.now()));
  CHECK(!s.lineage.may_vanish("A", s.now() + 24h));
}

TEST_CASE("the trim horizon is safe within a day of the era's opening, and not later") {
  Script s;
  s.ready({open("A")});
  CHECK(s.lineage.horizon_is_safe("A", s.opened));
  CHECK(s.lineage.horizon_is_safe("A", s.opened + 23h + 50min));
  CHECK(!s.lineage.horizon_is_safe("A", s.opened + 24h));
}

TEST_CASE("a tip seen lately makes the horizon safe for a shard without records") {
  Script s;
  s.ready({open("A")});
  s.lineage.reached("A", s.steady + 40h, s.now() + 40h);
  CHECK(s.lineage.horizon_is_safe("A", s.now() + 41h));
  CHECK(!s.lineage.horizon_is_safe("A", s.now() + 65h));
}

TEST_CASE("a trim right behind what was just read proves a server that keeps less: nothing is concluded") {
  Script s;
  s.ready({open("A")});
  s.save("A", "77", 800);
  CHECK(!s.lineage.horizon_is_safe("A", s.now() + 1min));
}

TEST_CASE("the tip needs every open shard, and a listing begun after the instant") {
  Script s;
  s.ready({open("A"), open("B")});
  const Steady x = s.steady;
  s.lineage.reached("A", x + 5s, s.now());
  CHECK(!s.lineage.at_tip_since(x));
  s.lineage.reached("B", x + 5s, s.now());
  CHECK(!s.lineage.at_tip_since(x));  // the listing was begun at x, not after
  s.wait(1s);
  s.ready({open("A"), open("B")});
  CHECK(s.lineage.at_tip_since(x));
  CHECK(!s.lineage.at_tip_since(x + 2s));
  s.wait(10s);
  s.ready({open("A"), open("B")});
  CHECK(s.lineage.at_tip_since(x + 2s));
  CHECK(!s.lineage.at_tip_since(x + 5s));
}

//  X        A at its tip for X ──── A ends ─────── its child B is listed ── B at its tip
//  holds               no, A still to be proven       yes: B's records come after X
TEST_CASE(
    "a shard that ended after its tip for an instant does not undo that tip; one that ended before needs its "
    "children") {
  Script s;
  s.ready({open("A")});
  const Steady x = s.steady;
  s.wait(40s);
  s.lineage.reached("A", x + 5s, s.now());
  s.finish("A");
  s.wait(1s);
  s.ready({closed("A")});
  CHECK(s.lineage.at_tip_since(x));
  CHECK(!s.lineage.at_tip_since(x + 10s));  // A's children are not known yet
  s.wait(60s);
  CHECK(s.ready({closed("A"), open("B", "A")}) == Ids{"B"});
  CHECK(s.lineage.at_tip_since(x));
  CHECK(!s.lineage.at_tip_since(x + 10s));
  s.lineage.reached("B", s.steady, s.now());
  CHECK(s.lineage.at_tip_since(x + 10s));
}

TEST_CASE("after a restart a listing without any shard is no tip, whatever was known before") {
  Script s;
  REQUIRE(s.ready({open("A")}) == Ids{"A"});
  s.restart();
  s.wait(10s);
  const Steady x = s.steady - 5s;
  CHECK(s.ready({}) == Ids{});
  CHECK(!s.lineage.at_tip_since(x));
}

TEST_CASE("no shard listed is no tip") {
  Script s;
  s.ready({});
  s.wait(1min);
  s.ready({});
  CHECK(!s.lineage.at_tip_since(s.steady - 30s));
}

TEST_CASE("a newer record proves a busy shard past an instant without any tip") {
  Script s;
  s.ready({open("A")});
  const Steady x = s.steady;
  s.wait(10s);
  s.ready({open("A")});
  CHECK(!s.lineage.passed_since(x));
  s.lineage.passed("A", x + 3s);
  CHECK(s.lineage.passed_since(x));
  CHECK(!s.lineage.at_tip_since(x));
}

TEST_CASE("a damaged row stops the capture") {
  Result<Lineage> restored = Lineage::restore({}, {{"shard/A", "{\"seq\":\"1\"}"}});
  REQUIRE(!restored.has_value());
  CHECK(restored.error().kind == ErrorKind::Corrupt);
  CHECK(restored.error().what.find("shard A") != std::string::npos);
}
