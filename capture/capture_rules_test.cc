// The pure parts: the fold, sequence numbers, rows, tips, records.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "capture/fold.h"
#include "capture/records.h"
#include "capture/shard_state.h"
#include "capture/tip.h"

using namespace moveout;
using namespace moveout::capture;
using base::ErrorKind;
using base::instant_of_micros;
using base::Result;

namespace {

base::Instant second(std::int64_t s) { return instant_of_micros(s * 1'000'000); }
base::Steady at(std::int64_t ms) { return base::Steady(base::Millis(ms)); }

const item::KeySchema kSchema{{"pk", item::KeyType::S}, {}};
constexpr std::string_view kKeyA = R"({"pk":{"S":"a"}})";
constexpr std::string_view kImageA = R"({"pk":{"S":"a"},"v":{"N":"1"}})";

aws::StreamRecord record(std::string seq, std::int64_t created_s, std::string_view event, std::string_view keys,
                         std::string_view image = "") {
  aws::StreamRecord r;
  r.sequence = std::move(seq);
  r.created = second(created_s);
  r.event_name = event;
  r.keys = keys;
  r.new_image = image;
  return r;
}

aws::RecordsPage page_of(std::vector<aws::StreamRecord> records) {
  aws::RecordsPage page;
  page.records = std::move(records);
  page.next_iterator = "next";
  return page;
}

RecordRules rules() {
  RecordRules r;
  r.key = kSchema;
  r.era = 3;
  return r;
}

}  // namespace

TEST_CASE("the fold follows the creation time where that is newer") {
  CHECK(fold(0, second(1'700'000'000)) == 1'700'000'000'000'000);
  CHECK(fold(1'700'000'000'000'000, second(1'700'000'001)) == 1'700'000'001'000'000);
}

TEST_CASE("records of one second get rising versions, sixteen apart") {
  std::int64_t t = fold(0, second(1'700'000'000));
  for (int i = 1; i <= 5; ++i) {
    const std::int64_t next = fold(t, second(1'700'000'000));
    CHECK(next == t + 16);
    t = next;
  }
}

TEST_CASE("a creation time that goes back does not take the version back") {
  CHECK(fold(1'700'000'009'000'000, second(1'700'000'000)) == 1'700'000'009'000'016);
}

TEST_CASE("the fold is a multiple of 16, at least 16 above the one before, and never below the creation time") {
  CHECK(rc::check([] {
    const std::int64_t prev = *rc::gen::inRange<std::int64_t>(0, 1LL << 46) * 16;
    const std::int64_t created = *rc::gen::inRange<std::int64_t>(0, 1LL << 50);
    const std::int64_t t = fold(prev, instant_of_micros(created));
    RC_ASSERT(t % 16 == 0);
    RC_ASSERT(t >= prev + 16);
    RC_ASSERT(t >= created);
    RC_ASSERT(t == prev + 16 || t - created < 16);
  }));
}

TEST_CASE("sequence numbers compare as integers, whatever their length") {
  CHECK(sequence_less("99", "100"));
  CHECK(!sequence_less("100", "99"));
  CHECK(sequence_less("000123", "124"));
  CHECK(!sequence_less("7", "007"));
  CHECK(sequence_less("0", "1"));
  CHECK(sequence_less("999999999999999999999999999999999999999", "1000000000000000000000000000000000000000"));
  CHECK(is_sequence("49590338271490256608559692538361571095921575989136588898"));
  CHECK(!is_sequence(""));
  CHECK(!is_sequence("12a"));
  CHECK(!is_sequence("-1"));
}

TEST_CASE("a shard's row comes back as it was written") {
  ShardState state{"123456789012345678901", 1'700'000'000'000'016, true, "shardId-1", second(5), second(9)};
  Result<ShardState> back = ShardState::decode(state.encode());
  REQUIRE(back.has_value());
  CHECK(*back == state);
  StartRow start{{"a", "b"}, {"c"}};
  Result<StartRow> start_back = StartRow::decode(start.encode());
  REQUIRE(start_back.has_value());
  CHECK(*start_back == start);
}

TEST_CASE("a damaged row is refused, not guessed") {
  const std::string good = ShardState{"12", 16, false, "p", {}, {}}.encode();
  REQUIRE(ShardState::decode(good).has_value());
  for (std::size_t cut = 0; cut < good.size(); ++cut) CHECK(!ShardState::decode(good.substr(0, cut)).has_value());
  for (const char* bad : {"{}", "[]", "1", R"({"seq":"12","finished":false,"parent":"","newest":0,"seen":0})",
                          R"({"seq":"x","prev":16,"finished":false,"parent":"","newest":0,"seen":0})",
                          R"({"seq":"12","prev":17,"finished":false,"parent":"","newest":0,"seen":0})",
                          R"({"seq":"12","prev":-16,"finished":false,"parent":"","newest":0,"seen":0})",
                          R"({"seq":"12","prev":16,"finished":1,"parent":"","newest":0,"seen":0})"}) {
    CAPTURE(bad);
    Result<ShardState> state = ShardState::decode(bad);
    REQUIRE(!state.has_value());
    CHECK(state.error().kind == ErrorKind::Corrupt);
  }
  CHECK(!StartRow::decode(R"({"history":["a"]})").has_value());
  CHECK(!StartRow::decode(R"({"history":[1],"closed":[]})").has_value());
}

TEST_CASE("one empty page is not the tip, nor are many within the wait") {
  TipWatch tip(base::Millis(1000), 3);
  CHECK(!tip.empty(at(0)));
  CHECK(!tip.empty(at(200)));
  CHECK(!tip.empty(at(400)));  // enough pages, too early
  CHECK(!tip.empty(at(999)));
  REQUIRE(tip.empty(at(1000)).has_value());
}

TEST_CASE("long enough but too few pages is not the tip") {
  TipWatch tip(base::Millis(1000), 3);
  CHECK(!tip.empty(at(0)));
  CHECK(!tip.empty(at(5000)));
  CHECK(tip.empty(at(5001)) == at(0));
}

TEST_CASE("a page with records begins the proof anew") {
  TipWatch tip(base::Millis(100), 2);
  CHECK(!tip.empty(at(0)));
  tip.records();
  CHECK(!tip.empty(at(150)));
  CHECK(!tip.empty(at(200)));
  CHECK(tip.empty(at(250)) == at(150));
}

TEST_CASE("the instant that is proven moves on with the polls") {
  TipWatch tip(base::Millis(1000), 2);
  std::optional<base::Steady> proven;
  for (int ms = 0; ms <= 10'000; ms += 250) {
    std::optional<base::Steady> now = tip.empty(at(ms));
    if (ms >= 1000) {
      REQUIRE(now.has_value());
      CHECK(*now == at(ms - 1000));
    }
    proven = now;
  }
  CHECK(proven == at(9000));
}

TEST_CASE("records become changes with the fold's versions, and the row holds sequence and fold together") {
  const aws::RecordsPage page =
      page_of({record("100", 50, "INSERT", kKeyA, kImageA), record("101", 50, "MODIFY", kKeyA, kImageA),
               record("102", 50, "REMOVE", kKeyA)});
  Result<Folded> folded = fold_page(rules(), ShardState{}, page, true);
  REQUIRE(folded.has_value());
  REQUIRE(folded->changes.size() == 3);
  CHECK(folded->changes[0].kind == item::ChangeKind::Put);
  CHECK(folded->changes[0].image == kImageA);
  CHECK(folded->changes[0].version == item::Version{3, item::Band::Change, 50'000'000});
  CHECK(folded->changes[1].version.t == 50'000'016);
  CHECK(folded->changes[2].kind == item::ChangeKind::Delete);
  CHECK(folded->changes[2].version.t == 50'000'032);
  CHECK(folded->changes[2].image.empty());
  CHECK(folded->changes[2].created == second(50));
  CHECK(folded->next.seq == "102");
  CHECK(folded->next.prev == 50'000'032);
  CHECK(folded->next.newest == second(50));
}

TEST_CASE("DynamoDB Local's form of an empty map in an image is taken") {
  constexpr std::string_view kImage = R"({"pk":{"S":"a"},"m":{},"l":{"L":[{}]}})";
  Result<Folded> folded = fold_page(rules(), {}, page_of({record("1", 5, "INSERT", kKeyA, kImage)}), true);
  REQUIRE(folded.has_value());
  CHECK(folded->changes[0].image == kImage);
}

TEST_CASE("records that the back-fill covers are folded and left out") {
  RecordRules covered = rules();
  covered.covered_from = second(60);
  const aws::RecordsPage page =
      page_of({record("1", 59, "INSERT", kKeyA, kImageA), record("2", 60, "MODIFY", kKeyA, kImageA)});
  Result<Folded> folded = fold_page(covered, ShardState{}, page, true);
  REQUIRE(folded.has_value());
  REQUIRE(folded->changes.size() == 1);
  CHECK(folded->changes[0].created == second(60));
  CHECK(folded->next.seq == "2");
}

TEST_CASE("a page read again from its checkpoint leaves out what the checkpoint has, before the fold") {
  ShardState before;
  const aws::RecordsPage page =
      page_of({record("9", 50, "INSERT", kKeyA, kImageA), record("10", 50, "MODIFY", kKeyA, kImageA),
               record("11", 50, "REMOVE", kKeyA)});
  Result<Folded> whole = fold_page(rules(), before, page, true);
  REQUIRE(whole.has_value());
  ShardState half;
  half.seq = "9";
  half.prev = whole->changes[0].version.t;
  Result<Folded> rest = fold_page(rules(), half, page, true);
  REQUIRE(rest.has_value());
  REQUIRE(rest->changes.size() == 2);
  CHECK(rest->changes[0].version == whole->changes[1].version);
  CHECK(rest->changes[1].version == whole->changes[2].version);
  CHECK(rest->next == whole->next);
}

TEST_CASE("deletes by the TTL reaper are told apart, by identity or by DynamoDB Local's event name") {
  aws::StreamRecord by_service = record("1", 5, "REMOVE", kKeyA);
  by_service.ttl_delete = true;
  Result<Folded> folded = fold_page(
      rules(), {},
      page_of({by_service, record("2", 5, "UNKNOWN_TO_SDK_VERSION", kKeyA), record("3", 5, "REMOVE", kKeyA)}), true);
  REQUIRE(folded.has_value());
  REQUIRE(folded->changes.size() == 3);
  CHECK(folded->changes[0].ttl_delete);
  CHECK(folded->changes[1].ttl_delete);
  CHECK(folded->changes[1].kind == item::ChangeKind::Delete);
  CHECK(!folded->changes[2].ttl_delete);
}

TEST_CASE("level-triggered tables give touched keys without image or version, and the fold goes on") {
  RecordRules level = rules();
  level.level_triggered = true;
  Result<Folded> folded =
      fold_page(level, {}, page_of({record("1", 5, "INSERT", kKeyA), record("2", 5, "REMOVE", kKeyA)}), true);
  REQUIRE(folded.has_value());
  REQUIRE(folded->changes.size() == 2);
  for (const item::Change& change : folded->changes) {
    CHECK(change.kind == item::ChangeKind::Touched);
    CHECK(change.version == item::Version{});
    CHECK(change.image.empty());
  }
  CHECK(folded->next.prev == 5'000'016);
}

TEST_CASE("a record that cannot be understood stops the page and is named") {
  struct Bad {
    const char* what;
    aws::StreamRecord record;
    ErrorKind kind;
  };
  const std::vector<Bad> all{
      {"no new image", record("77", 5, "MODIFY", kKeyA), ErrorKind::Corrupt},
      {"a delete with an image", record("77", 5, "REMOVE", kKeyA, kImageA), ErrorKind::Corrupt},
      {"an unknown event with an image", record("77", 5, "UPSERT", kKeyA, kImageA), ErrorKind::Corrupt},
      {"keys that are no item", record("77", 5, "REMOVE", R"({"pk":)"), ErrorKind::Corrupt},
      {"an empty key", record("77", 5, "REMOVE", R"({"pk":{"S":""}})"), ErrorKind::Corrupt},
      {"another key in the image", record("77", 5, "INSERT", kKeyA, R"({"pk":{"S":"b"}})"), ErrorKind::Corrupt},
      {"an image that is no JSON", record("77", 5, "INSERT", kKeyA, R"({"pk":{"S":"a"},"x":{"N"}})"),
       ErrorKind::Corrupt},
      {"an image without its key", record("77", 5, "INSERT", kKeyA, R"({"x":{"S":"\ud800"}})"), ErrorKind::Corrupt},
      {"another key in an image that cannot be understood",
       record("77", 5, "INSERT", kKeyA, R"({"pk":{"S":"b"},"x":{"S":"\ud800"}})"), ErrorKind::Corrupt},
      {"another key name", record("77", 5, "REMOVE", R"({"id":{"S":"a"}})"), ErrorKind::SchemaChanged},
      {"another key type", record("77", 5, "REMOVE", R"({"pk":{"N":"1"}})"), ErrorKind::SchemaChanged},
      {"a sort key more", record("77", 5, "REMOVE", R"({"pk":{"S":"a"},"sk":{"S":"b"}})"), ErrorKind::SchemaChanged},
      {"no key", record("77", 5, "REMOVE", "{}"), ErrorKind::SchemaChanged},
  };
  for (const Bad& bad : all) {
    CAPTURE(bad.what);
    Result<Folded> folded =
        fold_page(rules(), {}, page_of({record("76", 5, "INSERT", kKeyA, kImageA), bad.record}), true);
    REQUIRE(!folded.has_value());
    CHECK(folded.error().kind == bad.kind);
    CHECK(folded.error().what.find("record 77") != std::string::npos);
  }
}

TEST_CASE("a record whose image alone cannot be understood is marked, and its page goes on") {
  const std::string odd = R"({"pk":{"S":"a"},"x":{"S":"\ud800"}})";
  const Result<Folded> folded = fold_page(
      rules(), {}, page_of({record("1", 5, "INSERT", kKeyA, odd), record("2", 5, "MODIFY", kKeyA, kImageA)}), true);
  REQUIRE(folded.has_value());
  REQUIRE(folded->changes.size() == 2);
  CHECK(folded->changes[0].unreadable.find("surrogate") != std::string::npos);
  CHECK(folded->changes[0].image == odd);
  CHECK(folded->changes[1].unreadable.empty());
  CHECK(folded->changes[0].version < folded->changes[1].version);
}
