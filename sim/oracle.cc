#include "sim/oracle.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>

#include "sim/process.h"
#include "sim/vfs.h"

namespace moveout::sim {

using base::ErrorKind;
using base::fail;
using base::Result;

namespace {

struct Closer {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Db = std::unique_ptr<sqlite3, Closer>;
using Statement = std::unique_ptr<sqlite3_stmt, Closer>;

Result<Statement> prepare(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(db, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) {
    return fail(ErrorKind::Corrupt, fmt::format("{}: {}", sql, sqlite3_errmsg(db)));
  }
  return Statement(raw);
}

std::string bytes_of(sqlite3_stmt* row, int column) {
  const void* data = sqlite3_column_blob(row, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(row, column));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

// By the declared type: TEXT S, ANY N, BLOB B, INTEGER BOOL (product.md, "What an item becomes").
Result<item::Value> value_of(sqlite3_stmt* row, int column, const std::string& declared) {
  const int stored = sqlite3_column_type(row, column);
  if (declared == "TEXT" && stored == SQLITE_TEXT) return item::Value(bytes_of(row, column));
  if (declared == "BLOB" && stored == SQLITE_BLOB) return item::Value(item::Binary{bytes_of(row, column)});
  if (declared == "INTEGER" && stored == SQLITE_INTEGER) return item::Value(sqlite3_column_int64(row, column) != 0);
  if (declared == "ANY" && (stored == SQLITE_INTEGER || stored == SQLITE_TEXT)) {
    auto number = item::Number::parse(bytes_of(row, column));
    if (!number) return fail(number.error());
    // Integers that fit are INTEGER, all others canonical text.
    std::int64_t whole = 0;
    if (number->to_int64(&whole) != (stored == SQLITE_INTEGER))
      return fail(ErrorKind::Corrupt, "a number in the wrong storage class");
    if (number->to_string() != bytes_of(row, column)) return fail(ErrorKind::Corrupt, "a number that is not canonical");
    return item::Value(*number);
  }
  return fail(ErrorKind::Corrupt, fmt::format("a value of storage class {} in a column of type {}", stored, declared));
}

struct ColumnOf {
  std::string name, type;
};

Result<std::vector<ColumnOf>> columns_of(sqlite3* db) {
  auto statement = prepare(db, "SELECT name, type FROM pragma_table_info('orders') ORDER BY cid");
  if (!statement) return fail(statement.error());
  std::vector<ColumnOf> columns;
  while (sqlite3_step(statement->get()) == SQLITE_ROW) {
    columns.push_back({bytes_of(statement->get(), 0), bytes_of(statement->get(), 1)});
  }
  return columns;
}

Result<Contents> read_rows(sqlite3* db, const item::KeySchema& schema) {
  auto columns = columns_of(db);
  if (!columns) return fail(columns.error());
  Contents contents;
  if (columns->empty()) return contents;
  auto statement = prepare(db, "SELECT * FROM orders");
  if (!statement) return fail(statement.error());
  int step = 0;
  while ((step = sqlite3_step(statement->get())) == SQLITE_ROW) {
    item::Item item;
    for (std::size_t c = 0; c < columns->size(); ++c) {
      const auto& [name, type] = (*columns)[c];
      const int at = static_cast<int>(c);
      if (sqlite3_column_type(statement->get(), at) == SQLITE_NULL) continue;
      const bool overflow = name == "attributes";
      if (!overflow) {
        auto value = value_of(statement->get(), at, type);
        if (!value) return fail(value.error());
        item[name] = std::move(*value);
        continue;
      }
      auto rest = item::parse_item(bytes_of(statement->get(), at));
      if (!rest) return fail(rest.error());
      for (auto& [attribute, value] : *rest) {
        if (!item.emplace(attribute, value).second && attribute != name) {
          return fail(ErrorKind::Corrupt, "an attribute in its column and in the overflow: " + attribute);
        }
      }
    }
    auto key = item::key_of(schema, item);
    if (!key) return fail(key.error());
    if (!contents.emplace(key->encoded(), item::to_json(item)).second) {
      return fail(ErrorKind::Corrupt, "one key in two rows of the target");
    }
  }
  if (step != SQLITE_DONE) return fail(ErrorKind::Corrupt, sqlite3_errmsg(db));
  return contents;
}

void read_versions(sqlite3* db, std::map<std::string, std::int64_t>& versions) {
  auto statement = prepare(db, "SELECT key, version FROM _moveout_guard_orders");
  if (!statement) return;  // no such table, before the copy and after `finish`
  while (sqlite3_step(statement->get()) == SQLITE_ROW) {
    versions[bytes_of(statement->get(), 0)] = sqlite3_column_int64(statement->get(), 1);
  }
}

// Enough of an item to recognise it in a report.
std::string shown(const std::string& text) { return text.size() > 160 ? text.substr(0, 160) + "…" : text; }

}  // namespace

Result<Contents> read_sqlite(Machine& machine, Scheduler& scheduler, const item::KeySchema& schema,
                             std::map<std::string, std::int64_t>* versions) {
  if (!machine.find("target.db")) return Contents();
  Faults none{base::Rng(1)};
  Machine copy(none, base::Rng(2));
  for (const char* name : {"target.db", "target.db-wal", "target.db-journal"}) {
    if (auto file = machine.find(name)) copy.find_or_make(name)->set(file->data());
  }
  Process reader(scheduler, "oracle");
  Vfs vfs(copy, reader, scheduler);
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2("target.db", &raw, SQLITE_OPEN_READWRITE, vfs.name().c_str());
  const Db db(raw);
  if (opened != SQLITE_OK) return fail(ErrorKind::Corrupt, "the oracle cannot open the target");
  if (versions != nullptr) read_versions(db.get(), *versions);
  return read_rows(db.get(), schema);
}

bool tamper_with_sqlite(Machine& machine, Scheduler& scheduler, const item::KeySchema& schema, std::uint64_t way) {
  Process stranger(scheduler, "stranger");
  Vfs vfs(machine, stranger, scheduler);
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2("target.db", &raw, SQLITE_OPEN_READWRITE, vfs.name().c_str());
  const Db db(raw);
  if (opened != SQLITE_OK) return false;
  std::string partition = schema.partition.name;
  for (std::size_t at = 0; (at = partition.find('"', at)) != std::string::npos; at += 2) partition.insert(at, 1, '"');
  const std::string one = fmt::format(R"(WHERE "{0}" = (SELECT "{0}" FROM orders LIMIT 1 OFFSET 3))", partition);
  std::string sql = "DELETE FROM orders " + one;
  if (way == 1) sql = R"(UPDATE orders SET attributes = '{"tampered":{"BOOL":true}}' )" + one;
  if (way == 2) {
    const auto stranger_key = [](item::KeyType type) {
      return type == item::KeyType::S ? "'stranger'" : type == item::KeyType::N ? "424242424242" : "x'7374'";
    };
    const std::string sort = schema.sort ? fmt::format(R"(, "{}")", schema.sort->name) : "";
    const std::string value = schema.sort ? fmt::format(", {}", stranger_key(schema.sort->type)) : "";
    sql = fmt::format(R"(INSERT INTO orders("{}"{}) VALUES({}{}))", partition, sort,
                      stranger_key(schema.partition.type), value);
  }
  return sqlite3_exec(db.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK && sqlite3_changes(db.get()) > 0;
}

Contents read_memory(const MemoryDatabase& database) {
  Contents contents;
  for (auto& [key, row] : database.rows) {
    if (!row.image) continue;
    const auto item = item::parse_item(*row.image);
    contents.emplace(key, item ? item::to_json(*item) : "not an item: " + *row.image);
  }
  return contents;
}

std::optional<std::string> find_difference(const Table& table, const Contents& target, const Expectation& expectation) {
  std::string found;
  int differences = 0;
  const auto report = [&](const std::string& key, const Row* row, const std::string* stands) {
    if (++differences > 3) return;
    const auto decoded = item::Key::from_encoded(key);
    found += fmt::format("\n  key {}: target {}; source now {}",
                         decoded ? item::to_json(decoded->attributes(table.spec().key)) : "(not a key)",
                         stands == nullptr ? "nothing" : shown(*stands),
                         row == nullptr || !row->now() ? "nothing" : shown(*row->now()));
    if (row == nullptr) return;
    for (std::size_t i = row->past.size() > 4 ? row->past.size() - 4 : 0; i < row->past.size(); ++i) {
      const std::int64_t us = row->past[i].at.count();
      found += fmt::format("\n    at {}.{:06} {}", us / 1'000'000, us % 1'000'000,
                           row->past[i].json ? shown(*row->past[i].json) : "deleted");
    }
  };
  for (auto& [place, row] : table.rows()) {
    const auto at = target.find(place.key);
    const std::string* stands = at == target.end() ? nullptr : &at->second;
    bool explained = false;
    // Its states in the interval: the one at its beginning, and every later one.
    Micros since = expectation.since;
    for (const Blind& blind : expectation.blind) {
      if (place.hash >= blind.low && place.hash <= blind.high) since = std::min(since, blind.since);
    }
    Text state = row.at(since);
    const auto fits = [&](const Text& text) {
      // What the target cannot hold is set aside: nothing older stands in its place.
      if (text && expectation.refused != nullptr && expectation.refused(*text)) return stands == nullptr;
      return text ? stands != nullptr && *stands == *text : stands == nullptr;
    };
    explained = fits(state);
    for (const Past& past : row.past) {
      if (!explained && past.at > since && past.at <= expectation.now) explained = fits(past.json);
    }
    if (!explained) report(place.key, &row, stands);
  }
  for (auto& [key, json] : target) {
    if (!table.rows().contains(place_of(key))) report(key, nullptr, &json);
  }
  if (static_cast<std::uint64_t>(differences) <= expectation.hot) return std::nullopt;
  return fmt::format("{} keys differ:{}", differences, found);
}

}  // namespace moveout::sim
