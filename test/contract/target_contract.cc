// The contract of target::Target: every implementation, real or fake, keeps these promises.
#include <algorithm>
#include <map>

#include "base/rng.h"
#include "base/task_group.h"
#include "test/contract/worlds.h"
#include "test/doubles/random_items.h"

using namespace moveout;
using namespace moveout::test;
using base::ErrorKind;
using base::run_task;
using target::Checkpoints;
using target::Mode;

#define WORLDS MemoryWorld, SqliteWorld

namespace {

constexpr auto kA = Outcome::Applied;
constexpr auto kS = Outcome::Stale;
using Seen = std::vector<Outcome>;

const char* const kHostile[] = {
    R"("text":{"S":""},"bin":{"B":""})",
    R"("text":{"S":"nul \u0000 in the middle"},"bin":{"B":"AP/+AA=="})",
    R"("num":{"N":"12345678901234567890123456789012345678"})",
    R"("num":{"N":"-0.00000000000000000000000000000000000000000000000012345678901234567890123456789012345678"})",
    R"("num":{"N":"9.9999999999999999999999999999999999999E+125"})",
    R"("num":{"N":"1E-130"})",
    R"("num":{"N":"9223372036854775807"})",
    R"("num":{"N":"-9223372036854775808"})",
    R"("num":{"N":"9223372036854775808"})",
    R"("num":{"N":"-0"})",
    R"("num":{"S":"not a number"},"text":{"N":"5"},"bin":{"S":"b"},"ok":{"S":"true"})",
    R"("num":{"NULL":true},"text":{"NULL":true},"ok":{"NULL":true})",
    R"("ok":{"BOOL":false})",
    R"("ok":{"BOOL":true},"nested":{"M":{"l":{"L":[{"NULL":true},{"L":[]},{"M":{}}]},"":{"S":""}}})",
    R"("ss":{"SS":["","a","\u0000"]},"ns":{"NS":["1","2.5","-3E10"]},"bs":{"BS":["AA==","/w=="]})",
    R"("attributes":{"S":"an attribute of that name"},"_moveout_x":{"N":"1"},"Text":{"S":"case twin"},"ID":{"S":"x"})",
    R"("quote\"back\\slash\n":{"S":"\"\\\/\b\f\n\r\t\u001f \ud83d\ude00 ü"})",
    R"("rowid":{"S":"r"},"oid":{"N":"1"},"_rowid_":{"BOOL":true})",
};

std::string deep(int levels) {
  std::string value = R"({"S":"bottom"})";
  for (int i = 0; i < levels; ++i) value = i % 2 ? R"({"L":[)" + value + "]}" : R"({"M":{"d":)" + value + "}}";
  return "\"deep\":" + value;
}

base::Task<base::Result<>> apply_one(target::Target& to, item::Batch batch, Checkpoints checkpoints, Seen& seen) {
  base::Result<target::Outcomes> outcomes = co_await to.apply(std::move(batch), std::move(checkpoints));
  if (!outcomes) co_return base::fail(std::move(outcomes.error()));
  seen = outcomes->each;
  co_return base::Result<>();
}

}  // namespace

TEST_CASE_TEMPLATE("the newest version wins in any order, and equal is stale", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  CHECK(apply(world, *to, {{"k", change(20), R"("text":{"S":"new"})"}}) == Seen{kA});
  CHECK(apply(world, *to, {{"k", change(10), R"("text":{"S":"old"})"}}) == Seen{kS});
  CHECK(apply(world, *to, {{"k", change(20), R"("text":{"S":"same version"})"}}) == Seen{kS});
  CHECK(apply(world, *to, {{"k", backfill(), R"("text":{"S":"scanned"})"}}) == Seen{kS});
  CHECK(standing(world, *to, "k") == canonical(item_json("k", R"("text":{"S":"new"})")));
  CHECK(apply(world, *to, {{"k", change(30), "-"}, {"k", change(40), R"("num":{"N":"1"})"}}) == Seen{kA, kA});
  CHECK(standing(world, *to, "k") == canonical(item_json("k", R"("num":{"N":"1"})")));
}

TEST_CASE_TEMPLATE("a deleted key stays deleted when an older image comes late", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  CHECK(apply(world, *to, {{"k", backfill(), ""}}) == Seen{kA});
  CHECK(apply(world, *to, {{"k", change(10), "-"}, {"never", change(10), "-"}}) == Seen{kA, kA});
  CHECK(apply(world, *to, {{"k", backfill(), ""}, {"never", backfill(), ""}, {"k", change(9), ""}}) ==
        Seen{kS, kS, kS});
  CHECK(standing(world, *to, "k").empty());
  CHECK(standing(world, *to, "never").empty());
  auto versions = run_task(world.io, to->versions({key_of("k"), key_of("absent")}));
  REQUIRE(versions);
  CHECK((*versions)[0] == change(10));
  CHECK(!(*versions)[1]);
  CHECK(*run_task(world.io, to->live_rows()) == std::optional<std::uint64_t>(0));
  CHECK(apply(world, *to, {{"k", change(11), ""}}) == Seen{kA});
  CHECK(all_rows(world, *to).size() == 1);
}

TEST_CASE_TEMPLATE("a put replaces the whole item: attributes it lacks are gone", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  apply(world, *to, {{"k", backfill(), R"("text":{"S":"x"},"num":{"N":"1"},"other":{"L":[]})"}});
  apply(world, *to, {{"k", change(10), R"("ok":{"BOOL":true})"}});
  CHECK(standing(world, *to, "k") == canonical(item_json("k", R"("ok":{"BOOL":true})")));
  apply(world, *to, {{"k", change(20), ""}});
  CHECK(standing(world, *to, "k") == canonical(item_json("k")));
}

TEST_CASE_TEMPLATE("hostile items come back exactly, by key and by scan", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  std::vector<std::string> bodies(std::begin(kHostile), std::end(kHostile));
  bodies.push_back(deep(31));
  bodies.push_back(R"("text":{"S":")" + std::string(390'000, 'x') + "\"}");
  bodies.push_back(R"("bulk":{"B":")" + std::string(400'000, 'A') + "\"}");
  std::map<std::string, std::string> wanted;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const std::string id = "key \"\n" + std::string(1, '\0') + std::to_string(i);
    // Half by the back-fill's way, half by the changes'.
    const item::Version version = i % 2 ? change(10) : backfill();
    CHECK(apply(world, *to, {{id, version, bodies[i]}}) == Seen{kA});
    wanted[id] = canonical(item_json(id, bodies[i]));
  }
  for (const auto& [id, json] : wanted) CHECK(standing(world, *to, id) == json);
  const auto rows = all_rows(world, *to, 5);
  CHECK(rows.size() == wanted.size());
  for (const auto& [id, json] : wanted) CHECK(item::to_json(rows.at(key_of(id).encoded()).item) == json);
}

TEST_CASE_TEMPLATE("random items of every type come back exactly, whatever columns were inferred", World, WORLDS) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    base::Rng rng(seed);
    const item::KeySchema key = two_part_key();
    schema::Sampler sampler(key);
    std::map<std::string, std::string> wanted;
    item::Batch batch, changes;
    for (std::uint64_t n = 0; n < 150; ++n) {
      item::Item item = random_item(rng, n);
      const std::string json = item::to_json(item), encoded = item::key_of(key, item).value().encoded();
      if (n < 40) REQUIRE(sampler.see(json));
      batch.add_copy(encoded, backfill(), json);
      if (rng.chance(3)) item = changed_item(rng, item);
      wanted[encoded] = item::to_json(item);
      if (wanted[encoded] != json) changes.add_copy(encoded, change(7), wanted[encoded]);
    }
    const std::string columns = schema::to_text(sampler.columns(schema::Dialect::Sqlite));
    World world;
    auto to = world.process();
    REQUIRE(run_task(world.io, to->open("run", 1, {"t", key, columns}, Mode::Run, false)));
    CHECK(run_task(world.io, to->apply(batch, {}))->count(kA) == batch.size());
    CHECK(run_task(world.io, to->apply(changes, {}))->count(kA) == changes.size());
    const auto rows = all_rows(world, *to, 40);
    CHECK(rows.size() == wanted.size());
    for (const auto& [encoded, json] : wanted) CHECK(item::to_json(rows.at(encoded).item) == json);
  }
}

TEST_CASE_TEMPLATE("keys of every type are kept apart and found again", World, WORLDS) {
  const item::KeySchema number{{"k", item::KeyType::N}, std::nullopt};
  const item::KeySchema binary{{"k", item::KeyType::B}, item::KeyAttribute{"s", item::KeyType::S}};
  const std::vector<std::pair<item::KeySchema, std::vector<std::string>>> cases{
      {number,
       {R"({"k":{"N":"1"}})", R"({"k":{"N":"-1"}})", R"({"k":{"N":"0.1"}})", R"({"k":{"N":"9223372036854775808"}})",
        R"({"k":{"N":"1E100"}})", R"({"k":{"N":"0"}})"}},
      {binary,
       {R"({"k":{"B":"AA=="},"s":{"S":"x"}})", R"({"k":{"B":"AAA="},"s":{"S":"x"}})",
        R"({"k":{"B":"/w=="},"s":{"S":"x"}})", R"({"k":{"B":"AA=="},"s":{"S":"\u0000x"}})"}}};
  for (const auto& [key, items] : cases) {
    World world;
    auto to = world.process();
    REQUIRE(run_task(world.io, to->open("run", 1, {"t", key, ""}, Mode::Run, false)));
    item::Batch batch;
    std::vector<item::Key> keys;
    for (const std::string& json : items) {
      keys.push_back(item::key_of_json(key, json).value());
      batch.add_copy(keys.back().encoded(), keys.size() % 2 ? backfill() : change(5), json);
    }
    CHECK(run_task(world.io, to->apply(batch, {}))->count(kA) == items.size());
    auto found = run_task(world.io, to->read(keys));
    REQUIRE(found);
    for (std::size_t i = 0; i < items.size(); ++i) {
      REQUIRE((*found)[i]);
      CHECK(item::to_json((*found)[i]->item) == canonical(items[i]));
    }
    CHECK(all_rows(world, *to, 2).size() == items.size());
    item::Batch deletes;
    for (const item::Key& one : keys) deletes.add_copy(one.encoded(), change(50), "");
    CHECK(run_task(world.io, to->apply(deletes, {}))->count(kA) == items.size());
    CHECK(all_rows(world, *to).empty());
  }
}

TEST_CASE_TEMPLATE("1 and 1.0 are one key", World, WORLDS) {
  World world;
  auto to = world.process();
  const item::KeySchema number{{"k", item::KeyType::N}, std::nullopt};
  REQUIRE(run_task(world.io, to->open("run", 1, {"t", number, ""}, Mode::Run, false)));
  for (const char* json : {R"({"k":{"N":"1"}})", R"({"k":{"N":"1.0"}})", R"({"k":{"N":"1e0"}})"}) {
    item::Batch batch;
    batch.add_copy(item::key_of_json(number, json).value().encoded(), backfill(), json);
    REQUIRE(run_task(world.io, to->apply(batch, {})));
  }
  CHECK(all_rows(world, *to).size() == 1);
}

// The model: a map from key to the highest version seen.
TEST_CASE_TEMPLATE("whatever the order, splits and repetitions, the highest version of each key stands", World,
                   WORLDS) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    base::Rng rng(seed);
    World world;
    auto to = world.process();
    open(world, *to);
    std::map<std::string, std::pair<item::Version, std::string>> model;
    for (int round = 0; round < 25; ++round) {
      std::vector<Put> puts;
      Seen expected;
      for (std::uint64_t i = rng.below(9); i-- > 0;) {
        const item::Version version{static_cast<std::uint32_t>(rng.below(3)), static_cast<item::Band>(rng.below(3)),
                                    static_cast<std::int64_t>(100 + rng.below(4))};
        const std::string id(1, static_cast<char>('a' + rng.below(5)));
        // One version, one content (I2).
        const bool gone = version.t % 3 == 0 && version.band != item::Band::Backfill;
        const std::string rest = gone ? "-" : R"("num":{"N":")" + std::to_string(version.packed()) + "\"}";
        puts.push_back({id, version, rest});
      }
      // One key's writes in the order of the batch.
      std::ranges::sort(puts, {}, &Put::id);
      for (const Put& put : puts) {
        const auto [at, added] = model.try_emplace(put.id, put.version, put.rest);
        const bool newer = added || at->second.first < put.version;
        if (newer) at->second = {put.version, put.rest};
        expected.push_back(newer ? kA : kS);
      }
      CHECK(apply(world, *to, puts) == expected);
      if (round % 8 == 7) {
        to = world.process();
        open(world, *to, round, Mode::Run, true);
      }
    }
    std::size_t live = 0;
    for (const auto& [id, entry] : model) {
      const bool gone = entry.second == "-";
      live += gone ? 0 : 1;
      CHECK(standing(world, *to, id) == (gone ? "" : canonical(item_json(id, entry.second))));
      CHECK(*run_task(world.io, to->versions({key_of(id)}))->front() == entry.first);
    }
    CHECK(all_rows(world, *to).size() == live);
  }
}

TEST_CASE_TEMPLATE("checkpoints come back with the data, an empty one is forgotten", World, WORLDS) {
  World world;
  {
    auto to = world.process();
    CHECK(open(world, *to).created);
    apply(world, *to, {{"a", backfill(), ""}}, {{"segment/1", "x"}, {"segment/2", "y"}});
    apply(world, *to, {}, {{"segment/1", "x2"}, {"segment/2", ""}, {"shard/ü\n", "z"}});
  }
  auto to = world.process();
  const target::Opened opened = open(world, *to, 1, Mode::Run, true);
  CHECK(!opened.created);
  CHECK(opened.checkpoints == Checkpoints{{"segment/1", "x2"}, {"shard/ü\n", "z"}});
  CHECK(opened.columns_json == layout().columns_json);
  CHECK(all_rows(world, *to).size() == 1);
}

TEST_CASE_TEMPLATE("a batch with an item that can never be held keeps its checkpoints back", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  const std::vector<Put> puts{
      {"a", backfill(), ""}, {"b", backfill(), R"("num":{"N":"no number"})"}, {"c", change(5), ""}};
  auto outcomes = run_task(world.io, to->apply(batch_of(puts), {{"segment/1", "x"}}));
  REQUIRE(outcomes);
  CHECK(outcomes->each[1] == Outcome::Refused);
  REQUIRE(outcomes->why.size() == 1);
  CHECK(outcomes->why[0].first == 1);
  CHECK(!outcomes->why[0].second.empty());
  CHECK(outcomes->why[0].second.find("no number") == std::string::npos);  // never item data
  CHECK(open(world, *to, 1, Mode::Run, true).checkpoints.empty());
  CHECK(standing(world, *to, "b").empty());
  // The others again, with the checkpoints: whatever the first answer did to them.
  apply(world, *to, {puts[0], puts[2]}, {{"segment/1", "x"}});
  CHECK(open(world, *to, 1, Mode::Run, true).checkpoints == Checkpoints{{"segment/1", "x"}});
  CHECK(all_rows(world, *to).size() == 2);
}

TEST_CASE_TEMPLATE("an owner that was deposed writes nothing more", World, WORLDS) {
  World world;
  auto old = world.process();
  open(world, *old, 1);
  apply(world, *old, {{"a", backfill(), ""}}, {{"c", "1"}});
  auto now = world.process();
  CHECK(open(world, *now, 2, Mode::Run, true).checkpoints == Checkpoints{{"c", "1"}});
  CHECK(kind_of(world, old->apply(batch_of({{"b", backfill(), ""}}), {{"c", "2"}})) == ErrorKind::RunLocked);
  CHECK(kind_of(world, old->open("run-1", 1, layout(), Mode::Run, true)) == ErrorKind::RunLocked);
  CHECK(all_rows(world, *now).size() == 1);
  apply(world, *now, {{"b", backfill(), ""}});
  CHECK(open(world, *now, 2, Mode::Run, true).checkpoints == Checkpoints{{"c", "1"}});
}

TEST_CASE_TEMPLATE("two runs never mix in one table", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  auto other = world.process();
  CHECK(kind_of(world, other->open("run-2", 9, layout(), Mode::Run, false)) == ErrorKind::Usage);
  CHECK(kind_of(world, other->open("run-2", 9, layout(), Mode::Run, true)) == ErrorKind::Usage);
  CHECK(apply(world, *to, {{"a", backfill(), ""}}) == Seen{kA});
}

TEST_CASE_TEMPLATE("a resuming run that finds no mark of its own stops", World, WORLDS) {
  World world;
  auto to = world.process();
  CHECK(kind_of(world, to->open("run-1", 2, layout(), Mode::Run, true)) == ErrorKind::TargetChanged);
}

TEST_CASE_TEMPLATE("rows of nobody's run are refused, not adopted", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  apply(world, *to, {{"a", backfill(), ""}});
  REQUIRE(run_task(world.io, to->finish()));
  auto next = world.process();
  CHECK(kind_of(world, next->open("run-2", 1, layout(), Mode::Run, false)) == ErrorKind::Usage);
  CHECK(kind_of(world, next->open("run-1", 2, layout(), Mode::Run, true)) == ErrorKind::TargetChanged);
}

// era 0:  back-fill a b c · change b · delete c       era 1 (the source has a, d; b and c vanished in the gap):
//         back-fill a d at (1,0,t) · sweep b at (1,0,t+16) · a late change of era 0 for b, d
TEST_CASE_TEMPLATE("a new era's back-fill beats the changes of the old one, and its sweep the rows left over", World,
                   WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  apply(world, *to, {{"a", backfill(), ""}, {"b", backfill(), ""}, {"c", backfill(), ""}});
  apply(world, *to, {{"b", change(5000), R"("num":{"N":"5"})"}, {"c", change(5000), "-"}});
  to = world.process();
  open(world, *to, 2, Mode::Run, true);
  const item::Version again = backfill(2000, 1), sweep = backfill(2016, 1);
  CHECK(apply(world, *to, {{"a", again, R"("num":{"N":"1"})"}, {"d", again, ""}}) == Seen{kA, kA});
  CHECK(apply(world, *to, {{"b", sweep, "-"}, {"c", sweep, "-"}}) == Seen{kA, kA});
  CHECK(apply(world, *to, {{"b", change(9000), ""}, {"d", change(9000), ""}, {"b", backfill(), ""}}) ==
        Seen{kS, kS, kS});
  CHECK(all_rows(world, *to).size() == 2);
  CHECK(standing(world, *to, "a") == canonical(item_json("a", R"("num":{"N":"1"})")));
  CHECK(*run_task(world.io, to->versions({key_of("a")}))->front() == again);
  CHECK(apply(world, *to, {{"b", change(10, 1), ""}}) == Seen{kA});
  // The back-fill of the new era, come twice, changes nothing a newer change has written.
  CHECK(apply(world, *to, {{"b", again, ""}, {"a", again, ""}}) == Seen{kS, kS});
}

TEST_CASE_TEMPLATE("a repair at the observed version plus one replaces a back-filled row", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  apply(world, *to, {{"a", backfill(), ""}, {"b", backfill(), ""}});
  const auto seen = run_task(world.io, to->read({key_of("a")}));
  REQUIRE(seen);
  item::Version repair = (*seen)[0]->version;
  CHECK(*run_task(world.io, to->versions({key_of("a")}))->front() == repair);
  ++repair.t;
  CHECK(apply(world, *to, {{"a", repair, R"("num":{"N":"7"})"}, {"b", repair, "-"}}) == Seen{kA, kA});
  CHECK(standing(world, *to, "a") == canonical(item_json("a", R"("num":{"N":"7"})")));
  CHECK(apply(world, *to, {{"a", backfill(), ""}, {"b", backfill(), ""}}) == Seen{kS, kS});
  CHECK(standing(world, *to, "b").empty());
}

TEST_CASE_TEMPLATE("applies that wait together each get their own outcomes and checkpoints", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  base::TaskGroup group(world.io.get_executor());
  std::vector<Seen> seen(20);
  for (int i = 0; i < 20; ++i) {
    const std::string n = std::to_string(i);
    // Every third also writes a common key; number 7 holds an item that is none.
    std::vector<Put> puts{{"own " + n, backfill(), ""}, {"common", change(i), R"("num":{"N":")" + n + "\"}"}};
    if (i == 7) puts.push_back({"bad", backfill(), R"("bin":{"B":"?"})"});
    group.start(apply_one(*to, batch_of(puts), {{"c/" + n, n}}, seen[static_cast<std::size_t>(i)]));
  }
  world.io.restart();
  world.io.run();
  CHECK(group.size() == 0);
  CHECK(!group.failed());
  for (int i = 0; i < 20; ++i) {
    if (i == 7) {
      CHECK(seen[7][2] == Outcome::Refused);
    } else {
      CHECK(seen[static_cast<std::size_t>(i)][0] == kA);
    }
  }
  CHECK(standing(world, *to, "common") == canonical(item_json("common", R"("num":{"N":"19"})")));
  CHECK(standing(world, *to, "own 7").empty());
  CHECK(all_rows(world, *to).size() == 20);  // 19 of their own, and the common one
  CHECK(open(world, *to, 1, Mode::Run, true).checkpoints.size() == 19);
}

TEST_CASE_TEMPLATE("finish keeps the user's rows, takes moveout's things and may be said twice", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  apply(world, *to, {{"a", backfill(), R"("x":{"S":"y"})"}, {"b", change(5), ""}, {"c", change(5), "-"}}, {{"c", "1"}});
  REQUIRE(run_task(world.io, to->seal()));
  CHECK(open(world, *to, 1, Mode::Run, true).sealed);
  REQUIRE(run_task(world.io, to->finish()));
  CHECK(run_task(world.io, to->finish()));
  auto reader = world.process();
  REQUIRE(run_task(world.io, reader->open_reader(layout())));
  CHECK(all_rows(world, *reader).size() == 2);
  CHECK(run_task(world.io, reader->finish()));
  CHECK(standing(world, *reader, "a") == canonical(item_json("a", R"("x":{"S":"y"})")));
  const auto late = run_task(world.io, to->apply(batch_of({{"z", backfill(), ""}}), {}));
  CHECK(!late);
}

TEST_CASE_TEMPLATE("a reader sees what stands, takes no ownership and cannot write", World, WORLDS) {
  World world;
  auto reader = world.process();
  CHECK(kind_of(world, reader->open_reader(layout())) == ErrorKind::NotFound);
  auto to = world.process();
  open(world, *to);
  const auto opened = run_task(world.io, reader->open_reader(layout()));
  REQUIRE(opened);
  CHECK(opened->columns_json == layout().columns_json);
  CHECK(all_rows(world, *reader).empty());
  apply(world, *to, {{"a", backfill(), ""}, {"b", change(5), "-"}});
  CHECK(standing(world, *reader, "a") == canonical(item_json("a")));
  CHECK(*run_task(world.io, reader->versions({key_of("b")}))->front() == change(5));
  CHECK(*run_task(world.io, reader->versions({key_of("a")}))->front() == backfill());
  CHECK(kind_of(world, reader->apply(batch_of({{"c", backfill(), ""}}), {})) == ErrorKind::Usage);
  CHECK(apply(world, *to, {{"a", change(6), "-"}}) == Seen{kA});
  CHECK(standing(world, *reader, "a").empty());
}

TEST_CASE_TEMPLATE("a reader beside a run reads each checkpoint as it stands", World, WORLDS) {
  World world;
  auto to = world.process();
  open(world, *to);
  auto reader = world.process();
  REQUIRE(run_task(world.io, reader->open_reader(layout())));
  const auto read = [&](const std::string& name) { return run_task(world.io, reader->checkpoint(name)).value(); };
  CHECK(!read("applied"));
  apply(world, *to, {}, {{"applied", "1"}, {"e0/shard/x", "2"}});
  CHECK(read("applied") == "1");
  CHECK(read("e0/shard/x") == "2");
  apply(world, *to, {}, {{"applied", "3"}});
  CHECK(read("applied") == "3");
  CHECK(run_task(world.io, to->checkpoint("applied")).value() == "3");
  CHECK(run_task(world.io, to->finish()));
  CHECK(!read("applied"));
}
