#include "replay/ordered_replayer.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <set>

#include "base/inline_worker.h"
#include "base/memory_disk.h"
#include "base/task_group.h"
#include "item/json.h"
#include "journal/local/local_journal.h"
#include "test/doubles/late_target.h"
#include "test/doubles/map_store.h"
#include "test/doubles/mutant.h"
#include "test/doubles/small_source.h"
#include "test/doubles/virtual_clock.h"

using namespace moveout;
using namespace moveout::replay;
using base::Millis;
using base::Result;
using base::Task;
using journal::Position;

namespace {

const item::KeySchema kSchema{{"pk", item::KeyType::S}, {}};
constexpr Millis kLate{660000};

class Aside final : public target::Quarantine {
 public:
  Task<Result<>> put(std::vector<target::Poison> items) override {
    for (const target::Poison& item : items) keys.insert(item.key);
    co_return Result<>();
  }
  std::set<std::string> keys;
};

class Nothing final : public Standing {
 public:
  Task<Result<>> stands(std::vector<std::pair<std::string, item::Version>>) override { co_return Result<>(); }
};

item::Item item_of(const std::string& key, const std::string& v) {
  return {{"pk", item::Value(key)}, {"v", item::Value(v)}};
}
item::Key key_of(const std::string& key) { return item::Key::of(kSchema, item_of(key, "")); }

// The source's changes, page by page, in the order of one shard; page n's checkpoint says n.
struct Stream {
  std::vector<journal::Page> pages;
  std::map<std::string, std::string> last;  // by encoded key, as the target must hold it in the end

  void write(base::Rng& rng, int keys, int count, bool touched) {
    std::int64_t t = 0;
    for (int n = 1; n <= count; ++n) {
      journal::Page page;
      for (std::uint64_t i = rng.below(9); i > 0; --i) {
        t += 16;
        const std::string name = "k" + std::to_string(rng.below(static_cast<std::uint64_t>(keys)));
        item::Change change{key_of(name), item::ChangeKind::Put, {0, item::Band::Change, t}, "", {}, false};
        if (rng.chance(4)) change.kind = item::ChangeKind::Delete;
        // What the target can never hold leaves nothing of its key there, also nothing older.
        const bool never = !touched && rng.chance(6);
        if (change.kind == item::ChangeKind::Put) {
          change.image = item::to_json(item_of(name, (never ? "never " : "") + std::to_string(t)));
        }
        const bool stands = !change.image.empty() && !never;
        stands ? void(last[change.key.encoded()] = change.image) : void(last.erase(change.key.encoded()));
        if (touched) {
          change.kind = item::ChangeKind::Touched;
          change.image.clear();
          change.version = {};
        }
        page.changes.push_back(std::move(change));
      }
      page.checkpoint = {"shard/0", std::to_string(n)};
      pages.push_back(std::move(page));
    }
  }
};

// All that outlives a process.
struct World {
  explicit World(std::uint64_t seed) : rng(seed) { store.rows["owner"] = "0"; }
  boost::asio::io_context io;
  test::VirtualClock clock;
  base::Rng rng;
  base::NoLog log;
  base::MemoryDisk disk;
  test::MapStore store;
  test::LateDatabase database;
  test::SmallDynamoDb table{kSchema};
  Stream stream;
  Aside aside;
  test::LateTarget::Odds odds;
  std::int64_t owner = 0;
};

class Checkpoints final : public target::CheckpointSink {
 public:
  Checkpoints(World& world, std::string owner) : world_(world), owner_(std::move(owner)) {}
  Task<Result<>> commit(target::Checkpoints checkpoints) override {
    std::vector<state::Put> puts;
    for (target::Checkpoint& each : checkpoints) {
      puts.push_back({"checkpoint/" + each.name, each.value.empty() ? std::nullopt : std::optional(each.value)});
    }
    std::vector<state::Expect> expects{{"owner", owner_}};
    Result<> kept = co_await world_.store.commit(std::move(puts), std::move(expects));
    if (!kept) co_return base::fail(base::ErrorKind::RunLocked, "another owner");
    co_return kept;
  }

 private:
  World& world_;
  std::string owner_;
};

// One process: it captures, keeps its lease, waits until nothing of the earlier ones can land, and replays.
struct Life {
  explicit Life(World& w) : world(w), owner(++w.owner), target(w.database, w.clock, w.rng.fork(), kLate, w.odds) {
    world.store.rows["owner"] = std::to_string(owner);
    target.sign_with(lease);
  }
  World& world;
  std::int64_t owner;
  base::InlineWorker worker;
  test::SmallSource source{world.table, world.clock, world.log};
  journal::local::LocalJournal journal{world.disk, worker, "journal-t", 0, {4000}};
  state::SigningLease lease{
      world.store, world.clock, "signing", {"owner", std::to_string(owner)}, {Millis(10000), kLate}};
  state::VersionAllotter allotter{world.store, world.clock, "", 0, {"owner", std::to_string(owner)}};
  test::LateTarget target;
  Checkpoints checkpoints{world, std::to_string(owner)};
  Nothing nothing;
  OrderedReplayer replayer{
      {"t", kSchema, TtlDeletes::Apply},
      {target, journal, lease, world.aside, checkpoints, nothing, source.dynamodb, &allotter, world.clock, world.log},
      "",
      world.io.get_executor(),
      base::Rng(static_cast<std::uint64_t>(owner)),
      policy()};

  static OrderedPolicy policy() {
    OrderedPolicy policy;
    policy.batch = 5;
    policy.requests = 3;
    return policy;
  }

  Task<Result<>> capture(std::size_t from) {
    for (std::size_t n = from; n < world.stream.pages.size(); ++n) {
      co_await world.clock.sleep_for(Millis(world.rng.below(4000)));
      const Result<Position> kept = co_await journal.append(world.stream.pages[n]);
      if (!kept) co_return base::fail(kept.error());
      replayer.appended();
    }
    co_return Result<>();
  }
  Task<Result<>> replay(Position from, std::vector<item::Change> held) {
    co_await world.clock.sleep_until(lease.quiet_from());
    co_return co_await replayer.run(from, std::move(held));
  }
  // Until all is replayed, or for so long; then it is as if it had been killed.
  Task<Result<>> end(std::optional<base::Micros> after) {
    if (after) {
      co_await world.clock.sleep_for(*after);
      co_return Result<>();
    }
    while (!replayer.passed({world.stream.pages.size() + 1})) co_await replayer.moved().wait();
    co_return Result<>();
  }
  Task<Result<>> live(std::optional<base::Micros> killed_after) {
    const state::Rows rows = (co_await world.store.read("checkpoint/")).value();
    const auto row = rows.find("checkpoint/" + std::string(kReplayedName));
    const std::uint64_t replayed = row == rows.end() ? 0 : std::stoull(row->second);
    Result<journal::Opened> opened = co_await journal.open(owner, {replayed});
    if (!opened) co_return base::fail(opened.error());
    std::string at = rows.contains("checkpoint/shard/0") ? rows.at("checkpoint/shard/0") : "0";
    if (opened->checkpoints.contains("shard/0")) at = opened->checkpoints.at("shard/0");
    if (Result<> left = co_await lease.open(); !left) co_return left;
    base::TaskGroup group(co_await base::this_executor);
    group.start(lease.keep());
    group.start(capture(std::stoull(at)));
    std::vector<item::Change> held;
    for (const auto& [name, value] : rows) {
      if (name.starts_with("checkpoint/" + std::string(kHeldPrefix))) held.push_back(held_row_of(value).value());
    }
    group.start(replay({std::max<std::uint64_t>(replayed, 1)}, std::move(held)));
    co_return co_await group.run_beside(end(killed_after));
  }
};

struct Ending {
  int broken = 0;
  int requests = 0, unknown = 0;
  int held = 0;  // keys, when every page was passed
  bool equal = false;
};

// A target that answers nothing for long may end a process; the next one goes on.
bool ended_well(const Result<>& lived) {
  if (!lived) REQUIRE(lived.error().kind == base::ErrorKind::EndpointDown);
  return lived.has_value();
}

// Some processes, one killed after the other, then one that comes to the end.
Ending run_lives(std::uint64_t seed, bool touched = false) {
  World world(seed);
  base::Rng rng(seed * 7 + 1);
  world.stream.write(rng, 3 + static_cast<int>(rng.below(12)), 30, touched);
  if (touched) {
    for (const auto& [key, image] : world.stream.last) world.table.put(item::parse_item(image).value());
  }
  world.odds.refused = rng.chance(3) ? 10 : 0;
  for (std::uint64_t kills = rng.below(4); kills > 0; --kills) {
    auto life = std::make_unique<Life>(world);
    const base::Micros after = Millis(rng.below(rng.chance(2) ? 30'000 : 2'000'000));
    ended_well(test::run(world.io, world.clock, life->live(after)));
    if (rng.chance(2)) world.disk.crash(rng);
    if (rng.chance(3)) world.clock.pass(Millis(rng.below(2'000'000)));
  }
  std::size_t held = 0;
  for (bool lived = false; !lived;) {
    auto life = std::make_unique<Life>(world);
    lived = ended_well(test::run(world.io, world.clock, life->live(std::nullopt)));
    held = life->replayer.held();
  }
  world.clock.pass(2 * kLate);
  world.database.land_until(world.clock.steady());
  return {world.database.broken, world.database.requests, world.database.unknown, static_cast<int>(held),
          world.database.rows == world.stream.last};
}

// How many of the seeds a mutant spoils.
int spoiled(std::uint64_t seeds) {
  int count = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) count += run_lives(seed).equal ? 0 : 1;
  return count;
}

}  // namespace

TEST_CASE("late, lost and repeated requests, partial batches and kills: the last change of each key stands") {
  int unknown = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    const Ending ending = run_lives(seed);
    CHECK(ending.broken == 0);
    CHECK(ending.equal);
    CHECK(ending.held == 0);
    unknown += ending.unknown;
  }
  CHECK(unknown > 500);
}

TEST_CASE("level-triggered changes are read again and kept in order in the same way") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    const Ending ending = run_lives(seed, /*touched=*/true);
    CHECK(ending.broken == 0);
    CHECK(ending.equal);
  }
}

#ifdef MOVEOUT_MUTANTS
TEST_CASE("without one of its rules the target is left wrong") {
  for (const std::string name :
       {"held_key_not_held", "m4_client_retries", "no_wait_after_restart", "position_before_definite",
        "refused_leaves_old_image", "held_rows_not_kept", "held_rows_stay"}) {
    CAPTURE(name);
    const test::Mutant mutant(name.c_str());
    CHECK(spoiled(60) > 0);
  }
}
#endif

namespace {

struct One : World, Life {
  explicit One(test::LateTarget::Odds o) : World(1), Life((odds = o, static_cast<World&>(*this))) {}
};

journal::Page page_of(std::vector<std::pair<std::string, std::string>> writes) {
  journal::Page page;
  std::int64_t t = 16;
  for (auto& [key, v] : writes) {
    page.changes.push_back({key_of(key),
                            item::ChangeKind::Put,
                            {0, item::Band::Change, t += 16},
                            item::to_json(item_of(key, v)),
                            {},
                            false});
  }
  page.checkpoint = {"shard/0", "1"};
  return page;
}

}  // namespace

TEST_CASE("of many changes of a key that wait, the last one is sent") {
  One one({0, 0, 0});
  std::vector<std::pair<std::string, std::string>> writes;
  for (int i = 0; i < 500; ++i) writes.emplace_back("hot", std::to_string(i));
  one.stream.pages.push_back(page_of(std::move(writes)));
  REQUIRE(test::run(one.io, one.clock, one.live(std::nullopt)));
  CHECK(one.database.requests <= 2);
  CHECK(one.database.rows.begin()->second == item::to_json(item_of("hot", "499")));
}

TEST_CASE("a change that the target can never hold is set aside, and the position goes on") {
  One one({0, 0, 0});
  one.stream.pages.push_back(page_of({{"a", "never"}, {"b", "fine"}}));
  REQUIRE(test::run(one.io, one.clock, one.live(std::nullopt)));
  CHECK(one.aside.keys == std::set<std::string>{key_of("a").encoded()});
  CHECK(one.database.rows.size() == 1);
}

TEST_CASE("no older image stays behind when a key's last change is set aside, whatever became of the requests") {
  One one({0, 0, 0});
  one.database.rows[key_of("a").encoded()] = item::to_json(item_of("a", "old"));
  one.stream.pages.push_back(page_of({{"a", "never"}, {"b", "fine"}}));
  REQUIRE(test::run(one.io, one.clock, one.live(std::nullopt)));
  CHECK(one.aside.keys == std::set<std::string>{key_of("a").encoded()});
  CHECK(one.database.rows.size() == 1);
}

TEST_CASE("a change that nobody understands is set aside under its key, also after it came back from the journal") {
  One one({0, 0, 0});
  journal::Page page = page_of({{"a", "odd"}, {"b", "fine"}});
  page.changes[0].image.insert(1, R"("x":{"S":"\ud800"},)");
  one.stream.pages.push_back(std::move(page));
  REQUIRE(test::run(one.io, one.clock, one.live(std::nullopt)));
  CHECK(one.aside.keys == std::set<std::string>{key_of("a").encoded()});
  CHECK(one.database.rows.size() == 1);
}

TEST_CASE("a target that takes nothing for minutes ends the run, and its page is not passed") {
  One one({0, 0, 1});
  one.stream.pages.push_back(page_of({{"a", "1"}}));
  const Result<> lived = test::run(one.io, one.clock, one.live(std::nullopt));
  REQUIRE(!lived);
  CHECK(lived.error().kind == base::ErrorKind::EndpointDown);
  CHECK(one.store.rows["checkpoint/" + std::string(kReplayedName)].empty());
}

//  page 1: a ──► no answer, held for L ─────────────────────► sent again, definite
//  page 2…9: b ──► definite       position: behind page 9       position: the same; the row of a is gone
TEST_CASE("the position goes on past a held key, whose change stands in a row until it is definite") {
  One one({0, 0, 0});
  one.stream.pages.push_back(page_of({{"a", "1"}}));
  for (int n = 2; n < 10; ++n) one.stream.pages.push_back(page_of({{"b", std::to_string(n)}}));
  one.target.lose_next(key_of("a").encoded());
  const auto rows = [&one] {
    return std::ranges::count_if(one.store.rows, [](const auto& row) {
      return row.first.starts_with("checkpoint/" + std::string(kHeldPrefix));
    });
  };
  const std::string position = "checkpoint/" + std::string(kReplayedName);
  SUBCASE("to the end") {
    REQUIRE(test::run(one.io, one.clock, one.live(kLate / 2)));
    CHECK(one.store.rows[position] == "10");
    CHECK(rows() == 1);
    CHECK(one.replayer.held() == 1);
    CHECK(one.replayer.is_held(key_of("a").encoded()));
    CHECK(one.replayer.passed_but_held({10}));
    CHECK(!one.replayer.passed({10}));
  }
  SUBCASE("killed: the next process sends it before anything else") {
    REQUIRE(test::run(one.io, one.clock, one.live(kLate / 2)));
    CHECK(!one.database.rows.contains(key_of("a").encoded()));
    Life next(static_cast<World&>(one));
    REQUIRE(test::run(one.io, one.clock, next.live(std::nullopt)));
    CHECK(rows() == 0);
    CHECK(next.replayer.held() == 0);
    CHECK(one.database.rows.at(key_of("a").encoded()) == item::to_json(item_of("a", "1")));
  }
}

TEST_CASE("a change comes back from its row as it was, and damage is not guessed around") {
  item::Change change{key_of("a"),
                      item::ChangeKind::Put,
                      {1, item::Band::Change, 32},
                      "{\"pk\":{\"S\":\"\xff\"}}",
                      base::instant_of_micros(5),
                      true};
  const Result<item::Change> back = held_row_of(held_row_text(change));
  REQUIRE(back);
  CHECK(back->key == change.key);
  CHECK(back->kind == change.kind);
  CHECK(back->version == change.version);
  CHECK(back->image == change.image);
  CHECK(back->created == change.created);
  CHECK(back->ttl_delete == change.ttl_delete);
  const std::string text = held_row_text(change);
  for (std::size_t cut = 0; cut < text.size(); ++cut) CHECK(!held_row_of(text.substr(0, cut)));
  for (const char* other : {"{}", "[]", "1"}) CHECK(!held_row_of(other));
}

TEST_CASE("more held keys than rows may hold: the position waits for them") {
  HeldRows rows;
  item::Change change{key_of("a"), item::ChangeKind::Delete, {}, "", {}, false};
  std::map<std::string, HeldRows::Wanted> wanted;
  target::Checkpoints changes;
  for (std::size_t i = 0; i < HeldRows::kKeysMax; ++i) wanted["k" + std::to_string(i)] = {&change, 1};
  CHECK(rows.plan(wanted, changes));
  CHECK(changes.size() == HeldRows::kKeysMax);
  changes.clear();
  wanted["one more"] = {&change, 1};
  CHECK(!rows.plan(wanted, changes));
  CHECK(changes.empty());
}
