#include "backfill/file_backfill.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "backfill/part_at.h"
#include "test/doubles/backfill_world.h"
#include "test/doubles/small_files.h"

using namespace moveout;
using backfill::FileBackfill;
using base::ErrorKind;
using base::Result;

namespace {

struct Files {
  test::World world;
  test::SmallFiles files;
  std::map<item::Key, item::Item> items;
  int workers = 1;

  explicit Files(std::uint64_t seed, std::size_t parts = 4) : world(seed) {
    base::Rng rng(seed);
    files.files.resize(parts);
    files.page_items = 1 + rng.below(5);
    workers = static_cast<int>(1 + rng.below(4));
    files.set(world.config.key, world.config.version);
    const std::uint64_t count = rng.below(60);
    for (std::uint64_t n = 0; n < count; ++n) {
      item::Item item = test::random_item(rng, n);
      items[item::Key::of(world.config.key, item)] = item;
      files.files[rng.below(parts)].push_back(std::move(item));
    }
  }
  std::unique_ptr<FileBackfill> make() {
    return std::make_unique<FileBackfill>(backfill::FileConfig{workers, ""}, files, world.writer, world.log,
                                          world.target.checkpoints);
  }
  bool equal() const {
    return items.size() == world.target.rows.size() && std::ranges::all_of(items, [&](const auto& item) {
             const auto row = world.target.rows.find(item.first);
             return row != world.target.rows.end() && row->second.item == item.second;
           });
  }
};

}  // namespace

TEST_CASE("every file's items arrive, and the checkpoints say that all are done") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Files all(seed);
    const auto one = all.make();
    REQUIRE(test::run(all.world.io, all.world.clock, one->run()));
    CHECK(all.equal());
    CHECK(one->progress().items == all.items.size());
    CHECK(one->progress().parts_done == 4);
    // Another process finds nothing to do, and says the same figures.
    const auto again = all.make();
    all.files.opened = 0;
    REQUIRE(test::run(all.world.io, all.world.clock, again->run()));
    CHECK(all.files.opened == 0);
    CHECK(again->progress().items == all.items.size());
    CHECK(test::run(all.world.io, all.world.clock, again->check_ends()));
  }
}

// page · page · the write fails → another process goes on behind the last acknowledged page
TEST_CASE("a back-fill that failed goes on behind what was acknowledged, and nothing is counted twice") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Files all(seed);
    std::size_t calls = 0;
    std::size_t fails_at = 0;
    all.world.target.before = [&](const std::string&) -> std::optional<base::Error> {
      if (++calls != fails_at) return std::nullopt;
      return base::Error{ErrorKind::DiskFull, "full"};
    };
    for (;; fails_at += 3) {
      const auto one = all.make();
      const Result<> ran = test::run(all.world.io, all.world.clock, one->run());
      if (ran) {
        CHECK(one->progress().items == all.items.size());
        break;
      }
      CHECK(ran.error().kind == ErrorKind::DiskFull);
    }
    CHECK(all.equal());
  }
}

TEST_CASE("what stands before a broken place is written and counted, and the mended file goes on from there") {
  Files all(7, 1);
  REQUIRE(all.items.size() > 12);
  all.files.broken = {0, 11};
  const auto one = all.make();
  const Result<> ran = test::run(all.world.io, all.world.clock, one->run());
  REQUIRE(!ran);
  CHECK(ran.error().kind == ErrorKind::Corrupt);
  CHECK(one->progress().items == 11);
  CHECK(all.world.target.rows.size() == 11);
  all.files.broken.reset();
  const auto again = all.make();
  REQUIRE(test::run(all.world.io, all.world.clock, again->run()));
  CHECK(again->progress().items == all.items.size());
  CHECK(all.equal());
}

TEST_CASE("a file that grew after it was loaded is another one") {
  Files all(3, 2);
  REQUIRE(test::run(all.world.io, all.world.clock, all.make()->run()));
  base::Rng rng(1);
  all.files.files[1].push_back(test::random_item(rng, 1000));
  const Result<> ends = test::run(all.world.io, all.world.clock, all.make()->check_ends());
  REQUIRE(!ends);
  CHECK(ends.error().kind == ErrorKind::Usage);
  CHECK(ends.error().what.find("file 1") != std::string::npos);
}

TEST_CASE("a damaged checkpoint, or one of a file that is not there, stops") {
  for (const auto& [name, value] : std::map<std::string, std::string>{{"file/9", "1 0 0 open\nx"},
                                                                      {"file/0", "1 0 0 open\n"},
                                                                      {"file/0", "2 0 0 open\nx"},
                                                                      {"file/x", "1 0 0 open\nx"}}) {
    CAPTURE(name);
    Files all(1);
    all.world.target.checkpoints[name] = value;
    const Result<> ran = test::run(all.world.io, all.world.clock, all.make()->run());
    REQUIRE(!ran);
    CHECK(ran.error().kind == ErrorKind::Corrupt);
  }
}

TEST_CASE("a part's row reads back as it was") {
  const backfill::PartAt at{"offset 7\nmore", 5, 100, true};
  CHECK(backfill::parse_part(backfill::format_part(at)).value() == at);
  CHECK(backfill::part_of_row(backfill::part_row(12)).value() == 12);
}
