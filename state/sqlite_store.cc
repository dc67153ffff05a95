#include "state/sqlite_store.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "item/hash.h"

namespace moveout::state {
namespace {

using base::ErrorKind;

constexpr int kApplicationId = 0x6d6f7574;  // "mout": `file` and SQLite's tools show whose the file is
constexpr const char* kBeginAnew = ": restore it, or begin anew with another --state";
constexpr int kBusyMillis = 10000;  // a reader of the state (status, verify) holds it for milliseconds

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return ErrorKind::DiskFull;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorKind::Corrupt;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ErrorKind::Usage;
    default:
      return ErrorKind::Unavailable;
  }
}

// One row's mark: SQLite has no page checksums, and a flipped bit in a checkpoint must not pass for a position.
item::Hash128 row_hash(std::string_view name, std::string_view value) {
  std::string text(name);
  text += '\0';
  text += value;
  return item::hash_of(text, 0x6d6f76656f757431);
}

std::string hex(const item::Hash128& hash) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high),
                static_cast<unsigned long long>(hash.low));
  return text;
}

// The least string above every one that starts with `prefix`; empty when there is none.
std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

}  // namespace

// Everything here runs on the worker.
struct SqliteStore::Db {
  std::string path;
  std::string vfs;
  sqlite3* db = nullptr;
  item::Hash128 total;    // the sum of all rows' hashes, as committed
  bool in_doubt = false;  // a commit's fate is unknown: the next call opens the file anew

  ~Db() { sqlite3_close(db); }

  base::Error error(int code, const char* doing) const {
    return {kind_of(code), "state " + path + ": " + doing + ": " + (db ? sqlite3_errmsg(db) : sqlite3_errstr(code))};
  }
  base::Result<> exec(const char* sql, const char* doing) {
    const int code = sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return base::fail(error(code, doing));
    return {};
  }

  // Steps through `sql` with its text parameters; `row` sees each row.
  template <class Row>
  base::Result<> query(const char* sql, const std::vector<std::string_view>& parameters, const char* doing, Row&& row) {
    sqlite3_stmt* raw = nullptr;
    int code = sqlite3_prepare_v2(db, sql, -1, &raw, nullptr);
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
    for (int i = 0; code == SQLITE_OK && i < static_cast<int>(parameters.size()); ++i) {
      const std::string_view text = parameters[static_cast<std::size_t>(i)];
      code = sqlite3_bind_text64(raw, i + 1, text.data() ? text.data() : "", text.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    if (code != SQLITE_OK) return base::fail(error(code, doing));
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) row(raw);
    if (code != SQLITE_DONE) return base::fail(error(code, doing));
    return {};
  }

  static std::string text_of(sqlite3_stmt* statement, int column) {
    const auto* text = static_cast<const char*>(sqlite3_column_blob(statement, column));
    return text ? std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))) : std::string();
  }

  base::Result<> open();
  base::Result<> make_or_check();
  base::Result<Rows> read(const std::string& prefix);
  base::Result<item::Hash128> write(const std::vector<Put>& puts, const std::vector<Expect>& expects);
  base::Result<std::optional<std::string>> value_of(const std::string& name);
  base::Result<> check_total();
  base::Result<> commit(const std::vector<Put>& puts, const std::vector<Expect>& expects);
  base::Result<> ready();
};

base::Result<> SqliteStore::Db::open() {
  sqlite3_close(std::exchange(db, nullptr));
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &db, flags, vfs.empty() ? nullptr : vfs.c_str());
  if (code != SQLITE_OK) return base::fail(error(code, "cannot open"));
  sqlite3_busy_timeout(db, kBusyMillis);
  // EXTRA where the file system cannot hold a WAL: there the journal's removal must be durable too.
  std::string journal;
  if (auto wal = query("PRAGMA journal_mode=WAL", {}, "cannot open", [&](auto* row) { journal = text_of(row, 0); });
      !wal) {
    return wal;
  }
  if (auto sync = exec(journal == "wal" ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=EXTRA", "cannot open");
      !sync) {
    return sync;
  }
  if (auto checked = make_or_check(); !checked) return checked;
  // What a failed sync of an earlier connection left in the page cache alone becomes durable, or this fails.
  return exec("PRAGMA wal_checkpoint(FULL)", "cannot sync");
}

base::Result<> SqliteStore::Db::make_or_check() {
  std::string verdict;
  std::int64_t format = 0, application = 0, tables = 0;
  const auto number = [](std::int64_t& out) {
    return [&out](sqlite3_stmt* row) { out = sqlite3_column_int64(row, 0); };
  };
  auto done = query("PRAGMA quick_check(1)", {}, "cannot check", [&](auto* row) { verdict = text_of(row, 0); });
  if (done) done = query("PRAGMA user_version", {}, "cannot read", number(format));
  if (done) done = query("PRAGMA application_id", {}, "cannot read", number(application));
  if (done) done = query("SELECT count(*) FROM sqlite_schema", {}, "cannot read", number(tables));
  if (!done) return done;
  if (verdict != "ok") {
    return base::fail(ErrorKind::Corrupt, "state " + path + " is damaged (" + verdict + ")" + kBeginAnew);
  }
  if (tables == 0 && application == 0) {
    const std::string sql =
        "BEGIN IMMEDIATE; CREATE TABLE rows(name TEXT PRIMARY KEY, value TEXT NOT NULL, "
        "hash TEXT NOT NULL) STRICT, WITHOUT ROWID; CREATE TABLE total(hash TEXT NOT NULL) STRICT; "
        "INSERT INTO total VALUES('" +
        hex({}) + "'); PRAGMA application_id=" + std::to_string(kApplicationId) +
        "; PRAGMA user_version=" + std::to_string(kStateFormat) + "; COMMIT";
    return exec(sql.c_str(), "cannot make");
  }
  if (application != kApplicationId)
    return base::fail(ErrorKind::Usage, path + " is an SQLite file, but no state of moveout");
  if (format > kStateFormat) {
    return base::fail(ErrorKind::Usage, "state " + path + " has format " + std::to_string(format) +
                                            ", made by a newer moveout; this one knows up to " +
                                            std::to_string(kStateFormat));
  }
  return check_total();
}

// All rows, against the sum that every commit carries along: a lost or stale page shows.
base::Result<> SqliteStore::Db::check_total() {
  std::string kept;
  auto done = query("SELECT hash FROM total", {}, "cannot read", [&](auto* row) { kept = text_of(row, 0); });
  if (!done) return done;
  auto rows = read("");
  if (!rows) return base::fail(rows.error());
  total = {};
  for (const auto& [name, value] : *rows) total += row_hash(name, value);
  if (kept != hex(total)) return base::fail(ErrorKind::Corrupt, "state " + path + " has lost rows" + kBeginAnew);
  return {};
}

base::Result<Rows> SqliteStore::Db::read(const std::string& prefix) {
  Rows rows;
  bool damaged = false;
  const std::string end = after_prefix(prefix);
  const auto take = [&](sqlite3_stmt* row) {
    std::string name = text_of(row, 0), value = text_of(row, 1);
    damaged = damaged || text_of(row, 2) != hex(row_hash(name, value));
    rows.emplace(std::move(name), std::move(value));
  };
  const auto done = end.empty()
                        ? query("SELECT name, value, hash FROM rows WHERE name >= ?1", {prefix}, "cannot read", take)
                        : query("SELECT name, value, hash FROM rows WHERE name >= ?1 AND name < ?2", {prefix, end},
                                "cannot read", take);
  if (!done) return base::fail(done.error());
  if (damaged) return base::fail(ErrorKind::Corrupt, "state " + path + " holds a damaged row" + kBeginAnew);
  return rows;
}

base::Result<std::optional<std::string>> SqliteStore::Db::value_of(const std::string& name) {
  std::optional<std::string> value;
  auto done = query("SELECT value FROM rows WHERE name = ?1", {name}, "cannot read",
                    [&](auto* row) { value = text_of(row, 0); });
  if (!done) return base::fail(done.error());
  return value;
}

// Inside the transaction; answers the new sum.
base::Result<item::Hash128> SqliteStore::Db::write(const std::vector<Put>& puts, const std::vector<Expect>& expects) {
  std::string kept;
  auto done = query("SELECT hash FROM total", {}, "cannot read", [&](auto* row) { kept = text_of(row, 0); });
  // Another process wrote here: what is known of the sum is read anew.
  if (done && kept != hex(total)) done = check_total();
  if (!done) return base::fail(done.error());
  for (const Expect& expect : expects) {
    auto value = value_of(expect.name);
    if (!value) return base::fail(value.error());
    if (*value != expect.value)
      return base::fail(ErrorKind::Conflict, "state row " + expect.name + " is not as expected");
  }
  item::Hash128 sum = total;
  const auto none = [](auto*) {};
  for (const Put& put : puts) {
    auto old = value_of(put.name);
    if (!old) return base::fail(old.error());
    if (*old) sum -= row_hash(put.name, **old);
    if (put.value) {
      const item::Hash128 hash = row_hash(put.name, *put.value);
      sum += hash;
      done = query("INSERT INTO rows VALUES(?1, ?2, ?3) ON CONFLICT(name) DO UPDATE SET value = ?2, hash = ?3",
                   {put.name, *put.value, hex(hash)}, "cannot write", none);
    } else {
      done = query("DELETE FROM rows WHERE name = ?1", {put.name}, "cannot write", none);
    }
    if (!done) return base::fail(done.error());
  }
  done = query("UPDATE total SET hash = ?1", {hex(sum)}, "cannot write", none);
  if (!done) return base::fail(done.error());
  return sum;
}

base::Result<> SqliteStore::Db::commit(const std::vector<Put>& puts, const std::vector<Expect>& expects) {
  auto done = exec("BEGIN IMMEDIATE", "cannot begin");
  if (!done) return done;
  base::Result<item::Hash128> sum = write(puts, expects);
  if (sum) {
    done = exec("COMMIT", "cannot commit");
    if (done) {
      total = *sum;
      return {};
    }
    // A failed sync: the rows may be durable or not. Only a new connection knows.
    in_doubt = done.error().kind == ErrorKind::Unavailable;
  } else {
    done = base::fail(sum.error());
  }
  // SQLite may have rolled back itself; then there is nothing left to undo.
  if (sqlite3_get_autocommit(db) == 0) {
    if (auto undone = exec("ROLLBACK", "cannot roll back"); !undone) in_doubt = true;
  }
  return done;
}

base::Result<> SqliteStore::Db::ready() {
  if (!in_doubt) return {};
  auto opened = open();
  if (opened) in_doubt = false;
  return opened;
}

SqliteStore::SqliteStore(base::Worker& worker, std::unique_ptr<Db> db) : worker_(worker), db_(std::move(db)) {}
SqliteStore::~SqliteStore() = default;

base::Task<base::Result<std::unique_ptr<SqliteStore>>> SqliteStore::open(base::Worker& worker, std::string path,
                                                                         std::string vfs) {
  auto db = std::make_unique<Db>();
  db->path = std::move(path);
  db->vfs = std::move(vfs);
  Db* const raw = db.get();
  base::Result<> opened = co_await worker.call([raw] { return raw->open(); });
  if (!opened) co_return base::fail(std::move(opened.error()));
  co_return std::unique_ptr<SqliteStore>(new SqliteStore(worker, std::move(db)));
}

base::Task<base::Result<Rows>> SqliteStore::read(std::string prefix) {
  Db* const db = db_.get();
  co_return co_await worker_.call([db, &prefix]() -> base::Result<Rows> {
    if (auto ready = db->ready(); !ready) return base::fail(ready.error());
    return db->read(prefix);
  });
}

base::Task<base::Result<>> SqliteStore::commit(std::vector<Put> puts, std::vector<Expect> expects) {
  Db* const db = db_.get();
  co_return co_await worker_.call([db, &puts, &expects]() -> base::Result<> {
    if (auto ready = db->ready(); !ready) return ready;
    return db->commit(puts, expects);
  });
}

}  // namespace moveout::state
