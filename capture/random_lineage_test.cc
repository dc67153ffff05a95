// Random lineages with splits, rolls, hidden children, expiries and crashes, against the true order of each key.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <functional>
#include <map>

#include "capture/capture_world.h"

using namespace moveout;
using namespace moveout::capture;
using namespace std::chrono_literals;

namespace {

// Keys live in the shard whose range holds them: a split halves the range, a roll hands it on.
struct Range {
  std::string shard;
  int from = 0, to = 0;
};

// Every version a key's record was ever delivered with, by its sequence number.
class Versions final : public Sink {
 public:
  Versions(Sink& inner, base::Rng rng) : inner_(inner), rng_(rng) {}
  base::Task<base::Result<>> deliver(CapturedPage page) override {
    for (const item::Change& change : page.changes) {
      if (change.kind == item::ChangeKind::Delete) {
        deletes.insert({change.key.encoded(), change.version});
        continue;
      }
      // The image holds the record's sequence number.
      const auto [at, fresh] = puts.try_emplace(change.image, change.version);
      if (!fresh && at->second != change.version) contradicts = true;
    }
    // Before or after it is durable: a crash may come at either.
    const bool crash = rng_.chance(one_in);
    if (crash && rng_.chance(2)) co_return base::fail(base::ErrorKind::Unavailable, "crash before");
    base::Result<> done = co_await inner_.deliver(std::move(page));
    if (crash) co_return base::fail(base::ErrorKind::Unavailable, "crash after");
    co_return done;
  }
  std::uint64_t one_in = 0;
  bool contradicts = false;
  std::map<std::string, item::Version> puts;
  std::set<std::pair<std::string, item::Version>> deletes;

 private:
  Sink& inner_;
  base::Rng rng_;
};

// What the source does in one run: writes, and shards that end.
class Source {
 public:
  Source(World& world, base::Rng rng) : world_(world), rng_(rng) {
    world_.stream.add("s0");
    ranges_.push_back({"s0", 0, 8});
  }
  void act() {
    if (rng_.chance(6)) return end_shard();
    const int key = static_cast<int>(rng_.below(8));
    const Range& range = *std::ranges::find_if(ranges_, [&](const Range& r) { return key >= r.from && key < r.to; });
    const std::string name = "k" + std::to_string(key);
    if (rng_.chance(5)) {
      world_.stream.remove(range.shard, name);
      ++deletes;
      last[name] = "";
    } else {
      last[name] = std::to_string(world_.stream.next_seq);
      world_.stream.put(range.shard, name);
    }
  }
  void show_one() {
    if (hidden_.empty()) return;
    world_.stream.shard(hidden_.back()).listed = true;
    hidden_.pop_back();
  }
  void show_all() {
    while (!hidden_.empty()) show_one();
  }
  std::map<std::string, std::string> last;  // the sequence number of each key's newest image; empty: deleted
  std::size_t deletes = 0;

 private:
  void end_shard() {
    const std::size_t i = rng_.below(ranges_.size());
    const Range old = ranges_[i];
    world_.stream.close(old.shard);
    world_.stream.shard(old.shard).listed_open = rng_.chance(3);
    if (rng_.chance(2) && old.to - old.from > 1) {
      const int middle = (old.from + old.to) / 2;
      ranges_[i] = {child(old.shard), old.from, middle};
      ranges_.push_back({child(old.shard), middle, old.to});
    } else {
      ranges_[i].shard = child(old.shard);
    }
  }
  std::string child(const std::string& parent) {
    const std::string id = "s" + std::to_string(++made_);
    world_.stream.add(id, parent);
    if (rng_.chance(2)) {
      world_.stream.shard(id).listed = false;
      hidden_.push_back(id);
    }
    return id;
  }

  World& world_;
  base::Rng rng_;
  std::vector<Range> ranges_;
  std::vector<std::string> hidden_;
  int made_ = 0;
};

}  // namespace

// Of each key the target's highest version is that of the source's newest change, whatever the lineage, and every
// redelivery of a record carries the version it had before.
TEST_CASE("random lineages: the newest change of every key has the highest version, and redeliveries keep theirs") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    World w;
    w.config.history_parent_wait = 2000ms;
    Versions versions(w.target, rng.fork());
    w.sink = &versions;
    versions.one_in = 4 + rng.below(30);
    w.stream.page_records = 1 + rng.below(4);
    w.stream.empty_before_records = static_cast<int>(rng.below(3));
    Source source(w, rng.fork());
    for (int i = 0; i < 20; ++i) source.act();
    w.start();
    for (int step = 0; step < 60; ++step) {
      for (std::uint64_t n = rng.below(6); n > 0; --n) source.act();
      if (rng.chance(4)) source.show_one();
      w.stream.iterator_life = rng.chance(5) ? 100ms : 15min;
      w.run(base::Millis(rng.below(1500)));
      if (w.ended || rng.chance(20)) w.restart();
    }
    source.show_all();
    versions.one_in = 0;
    w.stream.iterator_life = 15min;
    w.restart();
    w.run(60s);
    RC_ASSERT(!w.ended.has_value());
    RC_ASSERT(!versions.contradicts);
    RC_ASSERT(versions.deletes.size() == source.deletes);
    for (const auto& [key, seq] : source.last) RC_ASSERT(w.target.seq_of(key) == seq);
    RC_ASSERT(w.capture->at_tip_since(w.clock.steady() - 20s));
  }));
}
