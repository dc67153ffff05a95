#include "journal/local/segments.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/memory_disk.h"
#include "base/rng.h"

using namespace moveout;
using namespace moveout::journal;
using namespace moveout::journal::local;
using base::ErrorKind;
using base::Result;

namespace {

const item::KeySchema kSchema{{"pk", item::KeyType::S}, {}};

item::Change change_of(const std::string& key, std::string image, std::int64_t t) {
  item::Change change;
  change.key = item::Key::of(kSchema, {{"pk", item::Value(key)}});
  change.kind = image.empty() ? item::ChangeKind::Delete : item::ChangeKind::Put;
  change.version = {3, item::Band::Change, t};
  change.image = std::move(image);
  change.created = base::instant_of_micros(1'700'000'000'000'000 + t);
  change.ttl_delete = change.image.empty() && t % 2 == 0;
  return change;
}

// A page that can be told from all others; some have no changes, as a shard's end has none.
Page page_of(std::uint64_t id, std::size_t changes, std::size_t bytes = 20) {
  Page page;
  for (std::size_t i = 0; i < changes; ++i) {
    std::string image =
        i % 5 == 4 ? "" : std::to_string(id) + ":" + std::string(bytes, static_cast<char>('a' + i % 26));
    page.changes.push_back(change_of("k" + std::to_string(i), std::move(image), static_cast<std::int64_t>(16 * id)));
  }
  page.checkpoint = {"shard/" + std::to_string(id % 3), std::to_string(id)};
  return page;
}

bool same(const Page& one, const Page& other) {
  return one.checkpoint == other.checkpoint && one.changes.size() == other.changes.size() &&
         std::equal(one.changes.begin(), one.changes.end(), other.changes.begin(),
                    [](const item::Change& a, const item::Change& b) {
                      return a.key == b.key && a.kind == b.kind && a.version == b.version && a.image == b.image &&
                             a.created == b.created && a.ttl_delete == b.ttl_delete;
                    });
}

std::vector<Page> read_all(Segments& segments, Position from, std::size_t bytes = 300) {
  std::vector<Page> pages;
  for (;;) {
    Result<std::vector<Entry>> entries = segments.read(from, bytes);
    REQUIRE(entries);
    if (entries->empty()) return pages;
    for (Entry& entry : *entries) {
      CHECK(entry.position == from);
      from = from.next();
      pages.push_back(std::move(entry.page));
    }
  }
}

constexpr Options kSmall{2000};
Segments segments_on(base::Disk& disk, std::uint32_t generation = 0) { return {disk, "journal-t", generation, kSmall}; }

}  // namespace

TEST_CASE("what was appended is read in its order, across segments and from any place") {
  base::MemoryDisk disk;
  Segments segments = segments_on(disk);
  const Result<Opened> opened = segments.open(1, {0});
  REQUIRE(opened);
  CHECK(opened->end == Position{1});
  std::vector<Page> pages;
  for (std::uint64_t id = 1; id <= 60; ++id) {
    pages.push_back(page_of(id, id % 7, id % 11 * 40));
    REQUIRE(segments.append({pages.back()}));
  }
  CHECK(disk.list()->size() > 3);
  for (const std::uint64_t from : {1, 2, 30, 59, 60, 61}) {
    const std::vector<Page> read = read_all(segments, {from});
    REQUIRE(read.size() == 61 - from);
    for (std::size_t i = 0; i < read.size(); ++i) CHECK(same(read[i], pages[from - 1 + i]));
  }
}

TEST_CASE("a page larger than a piece is whole or not there") {
  base::MemoryDisk disk;
  Segments segments = segments_on(disk);
  REQUIRE(segments.open(1, {0}));
  const Page small = page_of(1, 3), large = page_of(2, 9, 100'000);
  REQUIRE(segments.append({small}));
  REQUIRE(segments.append({large}));
  const std::string file = disk.list()->back();
  const std::string whole = disk.read(file, 0, 10'000'000).value();
  for (const std::size_t cut : {1, 50, 300'000, 600'000}) {
    base::MemoryDisk other;
    // The small page's file, then what is left of the large one's.
    for (const std::string& name : *disk.list()) REQUIRE(other.append(name, disk.read(name, 0, 10'000'000).value()));
    REQUIRE(other.truncate(file, whole.size() - cut));
    Segments again = segments_on(other);
    const Result<Opened> opened = again.open(2, {1});
    REQUIRE(opened);
    CHECK(opened->end == Position{2});
    CHECK(opened->checkpoints == std::map<std::string, std::string>{{"shard/1", "1"}});
    CHECK(same(read_all(again, {1}).at(0), small));
  }
}

// owner 1   append A ── append B (asleep before it asks who owns the journal) ────────► B: deposed
// owner 2                                      open ── reads A, maybe B ── append C
TEST_CASE("a deposed owner's append fails and is never read after its successor's") {
  base::MemoryDisk disk;
  Segments old = segments_on(disk);
  REQUIRE(old.open(1, {0}));
  REQUIRE(old.append({page_of(1, 2)}));
  Segments next = segments_on(disk);
  REQUIRE(next.open(2, {1}));
  const Result<> late = old.append({page_of(2, 2)});
  REQUIRE(!late);
  CHECK(late.error().kind == ErrorKind::RunLocked);
  REQUIRE(next.append({page_of(3, 2)}));
  CHECK(old.append({page_of(4, 2)}).error().kind == ErrorKind::RunLocked);
  const std::vector<Page> pages = read_all(next, {1});
  REQUIRE(pages.size() == 2);
  CHECK(same(pages[0], page_of(1, 2)));
  CHECK(same(pages[1], page_of(3, 2)));
  // Nor by the one after.
  Segments last = segments_on(disk);
  REQUIRE(last.open(3, {1}));
  CHECK(read_all(last, {1}).size() == 2);
  CHECK(segments_on(disk).open(2, {1}).error().kind == ErrorKind::RunLocked);
}

TEST_CASE("a full disk refuses the page and nothing of it stays; with room again it goes on") {
  base::MemoryDisk disk;
  Segments segments = segments_on(disk);
  REQUIRE(segments.open(1, {0}));
  REQUIRE(segments.append({page_of(1, 2)}));
  for (const base::MemoryDisk::Op broken : {base::MemoryDisk::Op::Append, base::MemoryDisk::Op::Sync}) {
    disk.set_torn(90);
    disk.set_fault([&](base::MemoryDisk::Op op, const std::string&) -> std::optional<base::Error> {
      if (op == broken) return base::Error{ErrorKind::DiskFull, "no space"};
      return std::nullopt;
    });
    for (int i = 0; i < 3; ++i) CHECK(segments.append({page_of(100, 2)}).error().kind == ErrorKind::DiskFull);
  }
  disk.set_fault({});
  REQUIRE(segments.append({page_of(2, 2)}));
  CHECK(read_all(segments, {1}).size() == 2);
  disk.crash();
  Segments again = segments_on(disk);
  REQUIRE(again.open(2, {1}));
  const std::vector<Page> pages = read_all(again, {1});
  REQUIRE(pages.size() == 2);
  CHECK(same(pages[1], page_of(2, 2)));
}

// process 1   append: written, sync fails, dies
// process 2   the pages are in the cache: it reads them, a second sync says yes, power is lost
TEST_CASE("what was read after a failed sync is durable once the journal is open") {
  base::MemoryDisk disk;
  {
    Segments segments = segments_on(disk);
    REQUIRE(segments.open(1, {0}));
    REQUIRE(segments.append({page_of(1, 2)}));
    REQUIRE(segments.append({page_of(2, 2)}));
  }
  Segments next = segments_on(disk);
  REQUIRE(next.open(2, {1}));
  const std::vector<std::string> files = *disk.list();
  // The last append of process 1 stands in a file of process 2.
  CHECK(std::ranges::any_of(files, [&](const std::string& file) {
    return file == "journal-t.0.2.1" && disk.read(file, 0, 10'000)->find("2:aaaa") != std::string::npos;
  }));
  CHECK(read_all(next, {1}).size() == 2);
}

TEST_CASE("trimming gives whole segments back and keeps the rest") {
  base::MemoryDisk disk;
  Segments segments = segments_on(disk);
  REQUIRE(segments.open(1, {0}));
  for (std::uint64_t id = 1; id <= 50; ++id) REQUIRE(segments.append({page_of(id, 5)}));
  const std::size_t before = disk.list()->size();
  REQUIRE(segments.trim({40}));
  CHECK(disk.list()->size() < before);
  CHECK(read_all(segments, {40}).size() == 11);
  Segments again = segments_on(disk);
  const Result<Opened> opened = again.open(2, {40});
  REQUIRE(opened);
  CHECK(opened->first <= Position{40});
  CHECK(opened->end == Position{51});
  CHECK(read_all(again, {40}).size() == 11);
  // What is still needed is gone: nothing is guessed.
  CHECK(segments_on(disk).open(3, {1}).error().kind == ErrorKind::Corrupt);
}

namespace {

std::uint64_t bytes_on(base::MemoryDisk& disk) {
  std::uint64_t bytes = 0;
  for (const std::string& file : *disk.list()) bytes += *disk.size(file);
  return bytes;
}

}  // namespace

//  appended   1 ……… 400                     replay is at most 5 pages behind, then at the end
TEST_CASE("a journal takes the space of what waits in it, and next to none when nothing does") {
  base::MemoryDisk disk;
  Segments segments(disk, "journal-t", 3, {64 << 10});
  REQUIRE(segments.open(1, {0}));
  std::uint64_t most = 0;
  for (std::uint64_t id = 1; id <= 400; ++id) {
    REQUIRE(segments.append({page_of(id, 5, 1000)}));
    if (id > 5) REQUIRE(segments.trim({id - 5}));
    most = std::max(most, bytes_on(disk));
  }
  CHECK(most < 3 * (64 << 10));
  REQUIRE(segments.trim(segments.end()));
  CHECK(disk.list()->size() == 1);
  CHECK(bytes_on(disk) < (64 << 10) / 64);
  // Nothing more is given back by doing nothing, and appends go on.
  const std::vector<std::string> files = *disk.list();
  REQUIRE(segments.trim(segments.end()));
  CHECK(*disk.list() == files);
  REQUIRE(segments.append({page_of(401, 5)}));
  Segments again(disk, "journal-t", 3, {64 << 10});
  const Result<Opened> opened = again.open(2, {401});
  REQUIRE(opened);
  CHECK(opened->end == Position{402});
  CHECK(read_all(again, {401}).size() == 1);
}

//  earlier owner   begins another segment ─ lists: deposed ─► the spent one stays
//  later owner                    its claim ─┘        reads the spent one
TEST_CASE("a deposed owner gives nothing back that its successor may be reading") {
  base::MemoryDisk disk;
  Segments earlier(disk, "journal-t", 3, {64 << 10}), later(disk, "journal-t", 3, {64 << 10});
  REQUIRE(earlier.open(1, {0}));
  for (std::uint64_t id = 1; id <= 5; ++id) REQUIRE(earlier.append({page_of(id, 5, 1000)}));
  REQUIRE(later.open(2, {6}));
  const std::vector<std::string> files = *disk.list();
  CHECK(earlier.trim({6}).error().kind == ErrorKind::RunLocked);
  for (const std::string& file : files) CHECK(*disk.size(file) > 0);
  REQUIRE(later.append({page_of(6, 5)}));
  CHECK(read_all(later, {6}).size() == 1);
}

TEST_CASE("pages that were replayed and are gone, or a journal that is gone, are damage") {
  base::MemoryDisk disk;
  CHECK(segments_on(disk).open(1, {1}).error().kind == ErrorKind::Corrupt);
  Segments segments = segments_on(disk);
  REQUIRE(segments.open(2, {0}));
  REQUIRE(segments.append({page_of(1, 2)}));
  CHECK(segments_on(disk).open(3, {5}).error().kind == ErrorKind::Corrupt);
}

TEST_CASE("another generation begins at page 1 and takes the files of the earlier ones away") {
  base::MemoryDisk disk;
  Segments old = segments_on(disk, 0);
  REQUIRE(old.open(1, {0}));
  for (std::uint64_t id = 1; id <= 20; ++id) REQUIRE(old.append({page_of(id, 5)}));
  REQUIRE(disk.append("journal-t.1.2.3.4", "another table's"));
  Segments next = segments_on(disk, 1);
  const Result<Opened> opened = next.open(2, {0});
  REQUIRE(opened);
  CHECK(opened->end == Position{1});
  CHECK(opened->checkpoints.empty());
  CHECK(disk.list()->size() == 2);
  CHECK(old.append({page_of(21, 1)}).error().kind == ErrorKind::RunLocked);
}

namespace {

// A journal's life in the model: what was acknowledged, and what may be there besides.
struct Model {
  std::vector<Page> pages;               // acknowledged, from page 1 on
  std::vector<std::vector<Page>> doubt;  // appends that failed since: one of them may be there
  Position replayed{0};
  std::map<std::string, std::string> state;  // checkpoints of the replayed pages

  void replay(Position until) {
    for (std::uint64_t n = std::max<std::uint64_t>(replayed.number, 1); n < until.number; ++n) {
      state[pages[n - 1].checkpoint.first] = pages[n - 1].checkpoint.second;
    }
    replayed = until;
  }
};

// Opens and compares; takes over what it finds. `lost`: pages at the end may be missing (a bit flipped there).
bool open_and_compare(Segments& segments, std::int64_t owner, Model& model, bool lost) {
  const Result<Opened> opened = segments.open(owner, model.replayed);
  if (!opened) {
    CHECK(opened.error().kind == ErrorKind::Corrupt);
    CHECK(lost);
    return false;
  }
  const std::size_t found = opened->end.number - 1;
  const Position from{std::max<std::uint64_t>(model.replayed.number, 1)};
  const std::vector<Page> read = read_all(segments, from);
  REQUIRE(read.size() == found - (from.number - 1));
  if (!lost) REQUIRE(found >= model.pages.size());
  bool explained = false;
  model.doubt.emplace_back();
  for (const std::vector<Page>& doubt : model.doubt) {
    std::vector<Page> all = model.pages;
    all.insert(all.end(), doubt.begin(), doubt.end());
    if (explained || found > all.size()) continue;
    explained = std::equal(read.begin(), read.end(), all.begin() + static_cast<std::ptrdiff_t>(from.number - 1),
                           all.begin() + static_cast<std::ptrdiff_t>(found), same);
    all.resize(found);
    if (explained) model.pages = std::move(all);
  }
  REQUIRE(explained);
  model.doubt.clear();
  std::map<std::string, std::string> expected, got = model.state;
  for (const Page& page : model.pages) expected[page.checkpoint.first] = page.checkpoint.second;
  for (const auto& [name, value] : opened->checkpoints) got[name] = value;
  CHECK(got == expected);
  return true;
}

}  // namespace

TEST_CASE("whatever fails and whenever the power goes: what was acknowledged is there, and nothing else but the last") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    base::Rng rng(seed);
    base::MemoryDisk disk;
    Model model;
    std::uint64_t id = 0;
    const std::uint64_t fails = rng.chance(3) ? 0 : 4 + rng.below(60);
    for (std::int64_t owner = 1; owner <= 6; ++owner) {
      auto segments = std::make_unique<Segments>(disk, "journal-t", 0, kSmall);
      disk.set_fault({});
      REQUIRE(open_and_compare(*segments, owner, model, false));
      if (model.replayed.number == 0) model.replayed = {1};
      disk.set_torn(rng.below(200));
      disk.set_fault([&](base::MemoryDisk::Op, const std::string&) -> std::optional<base::Error> {
        if (fails != 0 && rng.chance(fails)) return base::Error{ErrorKind::DiskFull, "by chance"};
        return std::nullopt;
      });
      for (std::uint64_t step = rng.below(40); step > 0; --step) {
        if (rng.chance(6) && model.replayed.number < model.pages.size()) {
          model.replay({model.replayed.number + rng.below(model.pages.size() - model.replayed.number + 1)});
          (void)segments->trim(model.replayed);
          continue;
        }
        std::vector<Page> pages;
        for (std::uint64_t n = 1 + rng.below(3); n > 0; --n)
          pages.push_back(page_of(++id, rng.below(6), rng.below(90)));
        const Result<> appended = segments->append(pages);
        if (appended) model.doubt.clear();
        if (appended) model.pages.insert(model.pages.end(), pages.begin(), pages.end());
        if (!appended) model.doubt.push_back(pages);
      }
      if (rng.chance(2)) disk.crash(rng);
    }
  }
}

TEST_CASE("a flipped bit is damage, or costs no more than the last append") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    base::Rng rng(seed);
    base::MemoryDisk disk;
    Model model;
    Segments segments = segments_on(disk);
    REQUIRE(open_and_compare(segments, 1, model, false));
    model.replayed = {1};
    for (std::uint64_t id = 1; id <= 25; ++id) {
      model.pages.push_back(page_of(id, 4));
      REQUIRE(segments.append({model.pages.back()}));
    }
    const std::vector<std::string> files = *disk.list();
    const std::string file = rng.chance(2) ? files.back() : files[rng.below(files.size())];
    disk.flip(file, rng.below(*disk.size(file)));
    const std::size_t before = model.pages.size();
    Segments again = segments_on(disk);
    if (open_and_compare(again, 2, model, true)) CHECK(before - model.pages.size() <= 1);
  }
}
