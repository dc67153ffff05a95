#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <set>

#include "base/inline_worker.h"
#include "base/memory_disk.h"
#include "base/rng.h"
#include "base/run_task.h"
#include "verify/changed_keys.h"
#include "verify/key_log.h"

using namespace moveout;
using base::ErrorKind;
using base::Result;
using verify::ChangedKeys;

namespace {

item::Key key(int n) {
  const item::KeySchema schema{{"id", item::KeyType::N}, std::nullopt};
  return item::Key::of(schema, {{"id", item::Value(item::Number::of(n))}});
}

std::vector<item::Key> keys(std::vector<int> numbers) {
  std::vector<item::Key> out;
  for (const int n : numbers) out.push_back(key(n));
  return out;
}

struct Fixture {
  boost::asio::io_context io;
  base::MemoryDisk disk;
  base::InlineWorker worker;
  std::optional<ChangedKeys> changed;

  Fixture() { open(); }
  void open() { changed.emplace(disk, worker, "changed"); }
  Result<> load() { return base::run_task(io, changed->load()); }
  Result<> add(std::vector<item::Key> some) { return base::run_task(io, changed->add(std::move(some))); }
  Result<> settled(std::vector<item::Key> again = {}) { return base::run_task(io, changed->settled(std::move(again))); }
  Result<> clear() { return base::run_task(io, changed->clear()); }
  void crash() {
    changed.reset();
    disk.crash();
    open();
  }
  std::set<item::Key> all() {
    std::set<item::Key> out;
    for (;;) {
      const std::vector<item::Key> some = changed->take(1000);
      if (some.empty()) break;
      out.insert(some.begin(), some.end());
    }
    return out;
  }
};

}  // namespace

TEST_CASE("added keys are there after a crash, distinct and oldest first") {
  Fixture f;
  REQUIRE(f.load());
  REQUIRE(f.add(keys({5})));
  REQUIRE(f.add(keys({3, 4})));
  REQUIRE(f.add(keys({5, 1})));
  f.crash();
  REQUIRE(f.load());
  CHECK(f.changed->size() == 4);
  const std::vector<item::Key> oldest = f.changed->take(1);
  CHECK(oldest == keys({5}));
  CHECK(f.all() == std::set<item::Key>{key(1), key(3), key(4)});
}

TEST_CASE("taken keys that were not settled come back after a crash") {
  Fixture f;
  REQUIRE(f.add(keys({1, 2, 3})));
  CHECK(f.changed->take(2).size() == 2);
  f.crash();
  REQUIRE(f.load());
  CHECK(f.all().size() == 3);
}

TEST_CASE("settled keys are gone for good, hot ones wait again") {
  Fixture f;
  REQUIRE(f.add(keys({1, 2, 3})));
  CHECK(f.changed->take(2) == keys({1, 2}));
  REQUIRE(f.settled(keys({2})));
  CHECK(f.changed->size() == 2);
  f.crash();
  REQUIRE(f.load());
  CHECK(f.changed->take(9) == keys({3, 2}));
  REQUIRE(f.settled());
  CHECK(f.changed->size() == 0);
  f.crash();
  REQUIRE(f.load());
  CHECK(f.changed->size() == 0);
}

TEST_CASE("a key that changes while it is being compared waits to be compared once more") {
  Fixture f;
  REQUIRE(f.add(keys({1, 2})));
  CHECK(f.changed->take(2).size() == 2);
  REQUIRE(f.add(keys({1})));
  REQUIRE(f.settled());
  f.crash();
  REQUIRE(f.load());
  CHECK(f.changed->take(9) == keys({1}));
}

TEST_CASE("clear forgets everything, also after a crash") {
  Fixture f;
  REQUIRE(f.add(keys({1, 2})));
  REQUIRE(f.clear());
  CHECK(f.changed->size() == 0);
  base::Rng rng(3);
  f.changed.reset();
  f.disk.crash(rng);
  f.open();
  REQUIRE(f.load());
  CHECK(f.changed->size() == 0);
  REQUIRE(f.add(keys({7})));
  f.crash();
  REQUIRE(f.load());
  CHECK(f.changed->take(9) == keys({7}));
}

TEST_CASE("an add that could not be synced fails, and what comes after it is not lost behind it") {
  Fixture f;
  REQUIRE(f.add(keys({1})));
  f.disk.set_fault([](base::MemoryDisk::Op op, const std::string&) -> std::optional<base::Error> {
    if (op != base::MemoryDisk::Op::Sync) return std::nullopt;
    return base::Error{ErrorKind::DiskFull, "no space"};
  });
  const Result<> failed = f.add(keys({2}));
  REQUIRE(!failed);
  CHECK(failed.error().kind == ErrorKind::DiskFull);
  f.disk.set_fault({});
  REQUIRE(f.add(keys({3})));
  f.crash();
  REQUIRE(f.load());
  const std::set<item::Key> left = f.all();
  CHECK(left.contains(key(1)));
  CHECK(left.contains(key(3)));
}

TEST_CASE("a torn append is cut off, and later ones are whole") {
  for (std::size_t torn = 1; torn < 40; ++torn) {
    for (const bool restart : {false, true}) {
      CAPTURE(torn);
      CAPTURE(restart);
      Fixture f;
      REQUIRE(f.add(keys({1})));
      f.disk.set_torn(torn);
      f.disk.set_fault([](base::MemoryDisk::Op op, const std::string&) -> std::optional<base::Error> {
        if (op != base::MemoryDisk::Op::Append) return std::nullopt;
        return base::Error{ErrorKind::DiskFull, "no space"};
      });
      CHECK(!f.add(keys({2})));
      f.disk.set_fault({});
      if (restart) {
        f.open();
        REQUIRE(f.load());
      }
      REQUIRE(f.add(keys({3})));
      f.crash();
      REQUIRE(f.load());
      const std::set<item::Key> left = f.all();
      CHECK(left.contains(key(1)));
      CHECK(left.contains(key(3)));
    }
  }
}

TEST_CASE("damage in the middle is named, not read as the end") {
  Fixture f;
  REQUIRE(f.add(keys({1})));
  REQUIRE(f.add(keys({2})));
  REQUIRE(f.add(keys({3})));
  const std::uint64_t size = f.disk.size("changed.1").value();
  int named = 0;
  for (std::uint64_t at = 0; at + 33 < size; ++at) {
    CAPTURE(at);
    f.disk.flip("changed.1", at);
    f.open();
    const Result<> loaded = f.load();
    REQUIRE(!loaded);
    CHECK(loaded.error().kind == ErrorKind::Corrupt);
    f.disk.flip("changed.1", at);
    ++named;
  }
  CHECK(named > 20);
  f.open();
  REQUIRE(f.load());
  CHECK(f.all().size() == 3);
}

TEST_CASE("many more keys than are held in memory come out once each, in order, and the file shrinks") {
  Fixture f;
  const int count = 120'000;
  for (int from = 0; from < count; from += 4000) {
    std::vector<item::Key> some;
    for (int n = from; n < from + 4000; ++n) some.push_back(key(n + 1'000'000));
    REQUIRE(f.add(std::move(some)));
  }
  CHECK(f.changed->size() == static_cast<std::uint64_t>(count));
  const std::uint64_t full = f.disk.size("changed.1").value();
  std::set<item::Key> seen;
  int rounds = 0;
  while (f.changed->size() > 10) {
    const std::vector<item::Key> some = f.changed->take(3000);
    REQUIRE(!some.empty());
    if (rounds++ == 5) {
      f.crash();
      REQUIRE(f.load());
      continue;
    }
    for (const item::Key& one : some) CHECK(seen.insert(one).second);
    REQUIRE(f.settled());
  }
  CHECK(seen.size() == static_cast<std::size_t>(count));
  CHECK(f.disk.size("changed.0").value() + f.disk.size("changed.1").value() < full / 3);
}

TEST_CASE("whatever happens, no key that was added and not settled is lost") {
  rc::check([] {
    Fixture f;
    base::Rng rng(*rc::gen::arbitrary<std::uint64_t>());
    // For each key, what may not be forgotten: added (returned) and not settled since it was taken.
    std::set<item::Key> owed;
    std::set<item::Key> taken;
    std::uint64_t fail_in = 0;
    f.disk.set_fault([&](base::MemoryDisk::Op, const std::string&) -> std::optional<base::Error> {
      if (fail_in == 0 || --fail_in != 0) return std::nullopt;
      return base::Error{ErrorKind::DiskFull, "no space"};
    });
    RC_ASSERT(f.load().has_value());
    for (int step = 0; step < 60; ++step) {
      f.disk.set_torn(rng.below(60));
      fail_in = rng.chance(6) ? 1 + rng.below(5) : 0;
      switch (rng.below(5)) {
        case 0:
        case 1: {
          std::vector<item::Key> some;
          for (std::uint64_t n = rng.below(6); n > 0; --n) some.push_back(key(static_cast<int>(rng.below(30))));
          const std::set<item::Key> added(some.begin(), some.end());
          if (f.add(std::move(some))) owed.insert(added.begin(), added.end());
          // One that is added while it is out for comparison must wait again.
          for (const item::Key& one : added) taken.erase(one);
          break;
        }
        case 2: {
          for (item::Key& one : f.changed->take(1 + rng.below(5))) taken.insert(std::move(one));
          break;
        }
        case 3: {
          std::vector<item::Key> again;
          for (const item::Key& one : taken) {
            if (rng.chance(4)) again.push_back(one);
          }
          // When it fails, what was compared may be there again or not; what has to be compared again is.
          if (!f.settled(again)) fail_in = 0;
          for (const item::Key& one : again) taken.erase(one);
          for (const item::Key& one : taken) owed.erase(one);
          taken.clear();
          break;
        }
        case 4: {
          fail_in = 0;
          if (!rng.chance(3)) break;
          f.changed.reset();
          f.disk.crash(rng);
          f.open();
          RC_ASSERT(f.load().has_value());
          taken.clear();
          break;
        }
      }
    }
    fail_in = 0;
    f.changed.reset();
    f.disk.crash(rng);
    f.open();
    RC_ASSERT(f.load().has_value());
    const std::set<item::Key> left = f.all();
    for (const item::Key& one : owed) RC_ASSERT(left.contains(one));
  });
}
