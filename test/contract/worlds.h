// The worlds the target contract is held in: each can start another "process" on the same storage.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/inline_worker.h"
#include "base/log.h"
#include "base/run_task.h"
#include "item/json.h"
#include "item/key.h"
#include "schema/columns.h"
#include "target/memory_target.h"
#include "target/sqlite/sqlite_target.h"

namespace moveout::test {

using target::Outcome;

inline const item::KeySchema kKey{{"id", item::KeyType::S}, item::KeyAttribute{"at", item::KeyType::N}};

inline target::Layout layout(std::string table = "t") {
  using item::Type;
  const schema::Columns columns{{{"id", Type::S, true},
                                 {"at", Type::N, true},
                                 {"bin", Type::B},
                                 {"num", Type::N},
                                 {"ok", Type::Bool},
                                 {"text", Type::S}}};
  return {std::move(table), kKey, schema::to_text(columns)};
}

class MemoryWorld {
 public:
  std::unique_ptr<target::Target> process() { return std::make_unique<target::MemoryTarget>(table_); }
  boost::asio::io_context io;

 private:
  std::shared_ptr<target::MemoryTable> table_ = std::make_shared<target::MemoryTable>();
};

class SqliteWorld {
 public:
  SqliteWorld() {
    // Thousands of syncs: in memory where there is a place for it.
    std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm/" : "/tmp/";
    name += "moveout-contract-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~SqliteWorld() { std::filesystem::remove_all(folder_); }
  std::string file() const { return folder_ + "/t.db"; }
  std::shared_ptr<target::sqlite::Database> database(std::string vfs = "") {
    return target::sqlite::Database::make({.path = file(), .vfs = std::move(vfs)}, worker_, io.get_executor(), log_);
  }
  std::unique_ptr<target::Target> process() { return target::sqlite::make_target(database()); }
  boost::asio::io_context io;

 private:
  std::string folder_;
  base::InlineWorker worker_;
  base::NoLog log_;
};

inline std::string item_json(const std::string& id, const std::string& rest = "") {
  std::string json = "{";
  json += R"("at":{"N":"1"},"id":{"S":)";
  item::append_json_string(json, id);
  return json + "}" + (rest.empty() ? "" : "," + rest) + "}";
}
inline item::Key key_of(const std::string& id) { return item::key_of_json(kKey, item_json(id)).value(); }

struct Put {
  std::string id;
  item::Version version;
  std::string rest;  // attributes beside the key; "-" deletes
};

inline item::Batch batch_of(const std::vector<Put>& puts) {
  item::Batch batch;
  for (const Put& put : puts) {
    batch.add_copy(key_of(put.id).encoded(), put.version, put.rest == "-" ? "" : item_json(put.id, put.rest));
  }
  return batch;
}

// Applies and answers the outcomes; fails the test on an error.
template <class World>
std::vector<Outcome> apply(World& world, target::Target& to, const std::vector<Put>& puts,
                           target::Checkpoints checkpoints = {}) {
  auto outcomes = base::run_task(world.io, to.apply(batch_of(puts), std::move(checkpoints)));
  if (!outcomes) FAIL(outcomes.error().what);
  return outcomes->each;
}

template <class World>
target::Opened open(World& world, target::Target& to, std::int64_t owner = 1, target::Mode mode = target::Mode::Run,
                    bool resuming = false, std::string run = "run-1") {
  auto opened = base::run_task(world.io, to.open(std::move(run), owner, layout(), mode, resuming));
  if (!opened) FAIL(opened.error().what);
  return *opened;
}

// What stands under a key, as canonical text; "" for nothing.
template <class World>
std::string standing(World& world, target::Target& to, const std::string& id) {
  auto found = base::run_task(world.io, to.read({key_of(id)}));
  if (!found) FAIL(found.error().what);
  REQUIRE(found->size() == 1);
  return (*found)[0] ? item::to_json((*found)[0]->item) : "";
}

// Every live row by its key, from a scan in pages of `limit`.
template <class World>
std::map<std::string, target::Stored> all_rows(World& world, target::Target& to, std::size_t limit = 7) {
  std::map<std::string, target::Stored> rows;
  std::string cursor;
  do {
    auto page = base::run_task(world.io, to.scan(cursor, limit));
    if (!page) FAIL(page.error().what);
    CHECK(page->items.size() <= limit);
    for (auto& [key, stored] : page->items) {
      const bool once = rows.emplace(key.encoded(), std::move(stored)).second;
      CHECK(once);
    }
    cursor = page->next;
  } while (!cursor.empty());
  return rows;
}

template <class World, class T>
base::ErrorKind kind_of(World& world, base::Task<base::Result<T>> task) {
  auto result = base::run_task(world.io, std::move(task));
  REQUIRE(!result);
  return result.error().kind;
}

inline std::string canonical(const std::string& json) { return item::to_json(item::parse_item(json).value()); }

inline constexpr item::Version backfill(std::int64_t t = 1000, std::uint32_t era = 0) {
  return {era, item::Band::Backfill, t};
}
inline constexpr item::Version change(std::int64_t t, std::uint32_t era = 0) { return {era, item::Band::Change, t}; }

}  // namespace moveout::test
