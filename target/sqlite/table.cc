// The marks of a run and the shape of its table: making, adopting, sealing, finishing.
#include "target/sqlite/table.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "schema/sqlite_ddl.h"

namespace moveout::target::sqlite {
namespace {

using base::ErrorKind;
using schema::sqlite_quoted;

constexpr const char* kRunTable =
    "CREATE TABLE IF NOT EXISTS _moveout_run(tbl TEXT PRIMARY KEY, run_id TEXT NOT NULL, owner INTEGER NOT NULL, "
    "format INTEGER NOT NULL, columns TEXT NOT NULL, base INTEGER, sealed INTEGER NOT NULL, commits INTEGER NOT NULL) "
    "STRICT, WITHOUT ROWID";
constexpr const char* kCheckpointTable =
    "CREATE TABLE IF NOT EXISTS _moveout_checkpoint(tbl TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY(tbl, name)) "
    "STRICT, WITHOUT ROWID";

std::vector<schema::Column> keys_of(const schema::Columns& columns) {
  std::vector<schema::Column> keys;
  for (const schema::Column& column : columns.columns) {
    if (column.key) keys.push_back(column);
  }
  return keys;
}

std::optional<item::Type> type_of_declared(std::string_view declared) {
  for (const item::Type type : {item::Type::S, item::Type::N, item::Type::B, item::Type::Bool}) {
    if (declared == schema::sqlite_type(type)) return type;
  }
  return std::nullopt;
}

}  // namespace

std::string Table::guard_name() const { return sqlite_quoted("_moveout_guard_" + name_); }

base::Result<bool> Table::exists(const std::string& name) {
  return connection_.query_text("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?1", {name}, nullptr);
}

base::Result<bool> Table::has_rows() {
  return connection_.query_text("SELECT 1 FROM " + sqlite_quoted(name_) + " LIMIT 1", {}, nullptr);
}

base::Result<std::optional<Table::Marks>> Table::marks() {
  auto there = exists("_moveout_run");
  if (!there) return base::fail(std::move(there.error()));
  if (!*there) return std::nullopt;
  auto row = connection_.prepare(
      "SELECT run_id, owner, format, columns, base, sealed, commits FROM _moveout_run WHERE tbl = ?1");
  if (!row) return base::fail(std::move(row.error()));
  row->bind_text(1, name_);
  const int code = row->step();
  if (code == SQLITE_DONE) return std::nullopt;
  if (code != SQLITE_ROW) return base::fail(connection_.error(code, "cannot read the run's marks"));
  Marks marks;
  marks.run_id = row->bytes(0);
  marks.owner = row->integer(1);
  marks.format = row->integer(2);
  marks.columns = row->bytes(3);
  if (!row->is_null(4)) marks.base = row->integer(4);
  marks.sealed = row->integer(5) != 0;
  marks.commits = row->integer(6);
  return marks;
}

base::Result<> Table::check_name(const item::KeySchema& key) {
  if (auto good = schema::check_table_name(name_, schema::Dialect::Sqlite); !good) return good;
  if (auto good = schema::check_keys(key, schema::Dialect::Sqlite); !good) return good;
  std::string other;
  auto twin = connection_.query_text(
      "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view', 'index') AND name = ?1 COLLATE NOCASE AND NOT "
      "(type = 'table' AND name = ?1)",
      {name_}, &other);
  if (!twin) return base::fail(std::move(twin.error()));
  if (!*twin) return {};
  return base::fail(ErrorKind::Usage, "SQLite cannot hold table \"" + name_ + "\" beside \"" + other +
                                          "\", which is there: name another with to: (or ?table= in the URL)");
}

base::Result<> Table::check_marks(const Marks& marks, const std::string& run_id, std::int64_t owner,
                                  const item::KeySchema& key) {
  if (marks.run_id != run_id) {
    return base::fail(ErrorKind::Usage, "table \"" + name_ + "\" belongs to run " + marks.run_id +
                                            ": finish that run (moveout finish), or choose another table (?table=)");
  }
  if (marks.format > kMarksFormat) {
    return base::fail(ErrorKind::Usage, "table \"" + name_ + "\" was begun by a newer moveout");
  }
  if (marks.owner > owner) {
    return base::fail(ErrorKind::RunLocked, "another process has taken over the run of table \"" + name_ + "\"");
  }
  auto columns = schema::from_text(marks.columns);
  if (!columns) return base::fail(std::move(columns.error()));
  if (keys_of(*columns) != schema::keys_only(key).columns) {
    return base::fail(ErrorKind::SchemaChanged, "the key of the source is not the one table \"" + name_ +
                                                    "\" was made for: choose another table (?table=)");
  }
  auto there = exists(name_);
  if (!there) return base::fail(std::move(there.error()));
  if (!*there) {
    return base::fail(ErrorKind::TargetChanged, "table \"" + name_ + "\" is gone, though this run has written to it");
  }
  return {};
}

base::Result<> Table::check(const std::string& run_id, std::int64_t owner, const Layout& layout, bool resuming) {
  if (auto good = check_name(layout.key); !good) return good;
  auto found = marks();
  if (!found) return base::fail(std::move(found.error()));
  if (*found) return check_marks(**found, run_id, owner, layout.key);
  if (resuming) {
    return base::fail(ErrorKind::TargetChanged, "table \"" + name_ +
                                                    "\" has no mark of this run, which was half done: "
                                                    "bring the file back, or begin anew with another --state");
  }
  auto there = exists(name_);
  if (!there) return base::fail(std::move(there.error()));
  if (!*there) return {};
  auto populated = has_rows();
  if (!populated) return base::fail(std::move(populated.error()));
  if (*populated) {
    return base::fail(ErrorKind::Usage, "table \"" + name_ +
                                            "\" holds rows, and not of this run: choose another table "
                                            "(?table=) or another file");
  }
  auto columns = columns_there(layout.key);
  return columns ? base::Result<>() : base::fail(std::move(columns.error()));
}

base::Result<schema::Columns> Table::columns_there(const item::KeySchema& key) {
  const auto unlike = [&](const std::string& why) {
    return base::fail(ErrorKind::Usage, "table \"" + name_ + "\" is not one that moveout can write or read: " + why);
  };
  auto strict = connection_.query_text("SELECT 1 FROM pragma_table_list(?1) WHERE type = 'table' AND strict AND NOT wr",
                                       {name_}, nullptr);
  if (!strict) return base::fail(std::move(strict.error()));
  if (!*strict) return unlike("it is no STRICT table with row ids");
  auto row = connection_.prepare("SELECT name, type, hidden FROM pragma_table_xinfo(?1)");
  if (!row) return base::fail(std::move(row.error()));
  row->bind_text(1, name_);
  schema::Columns columns = schema::keys_only(key);
  std::size_t keys_seen = 0;
  bool overflow = false;
  int code;
  while ((code = row->step()) == SQLITE_ROW) {
    const std::string name(row->bytes(0));
    const std::optional<item::Type> type = type_of_declared(row->bytes(1));
    if (!type || row->integer(2) != 0) return unlike("column \"" + name + "\" is of a type of its own");
    if (name == schema::kOverflowColumn && *type == item::Type::S) {
      overflow = true;
      continue;
    }
    const schema::Column as_key{name, *type, /*key=*/true};
    if (std::count(columns.columns.begin(), columns.columns.end(), as_key) != 0) {
      ++keys_seen;
    } else {
      columns.columns.push_back({name, *type, /*key=*/false});
    }
  }
  if (code != SQLITE_DONE) return base::fail(connection_.error(code, "cannot read the table's columns"));
  if (keys_seen != schema::keys_only(key).columns.size()) return unlike("its key columns are not those of the source");
  if (!overflow) return unlike("it has no column \"attributes\" of type TEXT");
  return columns;
}

base::Result<std::optional<item::KeySchema>> Table::key_there() {
  auto row = connection_.prepare("SELECT name, type FROM pragma_table_xinfo(?1) WHERE pk > 0 ORDER BY pk");
  if (!row) return base::fail(std::move(row.error()));
  row->bind_text(1, name_);
  auto keys = key_attributes(*row);
  if (!keys || !keys->empty()) return key_schema(std::move(keys));
  auto indexed = connection_.prepare(
      "SELECT x.name, x.type FROM pragma_index_info(?2) i JOIN pragma_table_xinfo(?1) x ON x.cid = i.cid ORDER BY "
      "i.seqno");
  if (!indexed) return base::fail(std::move(indexed.error()));
  indexed->bind_text(1, name_);
  const std::string index = "_moveout_key_" + name_;
  indexed->bind_text(2, index);
  return key_schema(key_attributes(*indexed));
}

// Name and declared type of each row.
base::Result<std::vector<item::KeyAttribute>> Table::key_attributes(Statement& row) {
  std::vector<item::KeyAttribute> keys;
  int code;
  while ((code = row.step()) == SQLITE_ROW) {
    const std::optional<item::Type> type = type_of_declared(row.bytes(1));
    if (!type || *type == item::Type::Bool) {
      return base::fail(ErrorKind::Usage,
                        "table \"" + name_ + "\": its key column \"" + std::string(row.bytes(0)) +
                            "\" is of a type that no DynamoDB key has: choose another table (?table=)");
    }
    const item::KeyType as_key = *type == item::Type::S   ? item::KeyType::S
                                 : *type == item::Type::N ? item::KeyType::N
                                                          : item::KeyType::B;
    keys.push_back({std::string(row.bytes(0)), as_key});
  }
  if (code != SQLITE_DONE) return base::fail(connection_.error(code, "cannot read the table's key"));
  return keys;
}

base::Result<std::optional<item::KeySchema>> Table::key_schema(base::Result<std::vector<item::KeyAttribute>> keys) {
  if (!keys) return base::fail(std::move(keys.error()));
  if (keys->empty()) return std::nullopt;
  if (keys->size() > 2) {
    return base::fail(ErrorKind::Usage, "table \"" + name_ + "\": its key has more than two columns");
  }
  item::KeySchema key{(*keys)[0], std::nullopt};
  if (keys->size() == 2) key.sort = (*keys)[1];
  return key;
}

base::Result<bool> Table::key_enforced() {
  const std::vector<schema::Column> keys = keys_of(mapper_->columns());
  auto unique = connection_.prepare("SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND NOT partial");
  if (!unique) return base::fail(std::move(unique.error()));
  unique->bind_text(1, name_);
  int code;
  while ((code = unique->step()) == SQLITE_ROW) {
    const std::string index(unique->bytes(0));
    auto same = connection_.query_text(
        "SELECT 1 FROM (SELECT count(*) AS columns, sum(name IN (?2, ?3)) AS keys FROM pragma_index_info(?1)) "
        "WHERE columns = keys AND columns = " +
            std::to_string(keys.size()),
        {index, keys.front().attribute, keys.back().attribute}, nullptr);
    if (!same || *same) return same;
  }
  if (code != SQLITE_DONE) return base::fail(connection_.error(code, "cannot read the table's indexes"));
  return false;
}

base::Result<> Table::make(const Layout& layout, Mode mode) {
  auto there = exists(name_);
  if (!there) return base::fail(std::move(there.error()));
  schema::Columns columns = schema::keys_only(layout.key);
  if (*there) {
    auto found = columns_there(layout.key);
    if (!found) return base::fail(std::move(found.error()));
    columns = std::move(*found);
  } else if (!layout.columns_json.empty()) {
    auto chosen = schema::from_text(layout.columns_json);
    if (!chosen) return base::fail(std::move(chosen.error()));
    columns = std::move(*chosen);
    MOVEOUT_ASSERT(keys_of(columns) == schema::keys_only(layout.key).columns);
  }
  if (!*there) {
    const auto key = mode == Mode::Run ? schema::SqliteKey::Primary : schema::SqliteKey::Deferred;
    if (auto made = connection_.exec(sqlite_create_table(name_, columns, key), "cannot make the table"); !made) {
      return made;
    }
  }
  mapper_.emplace(columns);
  if (auto made = connection_.exec(kRunTable, "cannot make the run's marks"); !made) return made;
  if (auto made = connection_.exec(kCheckpointTable, "cannot make the run's marks"); !made) return made;
  if (mode == Mode::Run) {
    const std::string sql = "CREATE TABLE IF NOT EXISTS " + guard_name() +
                            "(key BLOB PRIMARY KEY, version INTEGER NOT NULL, deleted INTEGER NOT NULL) STRICT, "
                            "WITHOUT ROWID";
    if (auto made = connection_.exec(sql, "cannot make the guard table"); !made) return made;
    // A table that was there may have no key yet.
    auto enforced = key_enforced();
    if (!enforced) return base::fail(std::move(enforced.error()));
    if (!*enforced) return connection_.exec(sqlite_key_index(name_, columns), "cannot build the key");
  }
  return {};
}

base::Result<> Table::learn(const Marks& marks) {
  if (!mapper_) {
    auto columns = schema::from_text(marks.columns);
    if (!columns) return base::fail(std::move(columns.error()));
    mapper_.emplace(std::move(*columns));
  }
  auto enforced = key_enforced();
  if (!enforced) return base::fail(std::move(enforced.error()));
  keyed_ = *enforced;
  auto guards = exists("_moveout_guard_" + name_);
  if (!guards) return base::fail(std::move(guards.error()));
  guard_table_ = *guards;
  guard_empty_ = !guard_table_;
  if (guard_table_) {
    auto any = connection_.query_text("SELECT 1 FROM " + guard_name() + " LIMIT 1", {}, nullptr);
    if (!any) return base::fail(std::move(any.error()));
    guard_empty_ = !*any;
  }
  base_ = base_committed_ = marks.base;
  commits_ = marks.commits;
  sealed_ = marks.sealed;
  return {};
}

base::Result<Opened> Table::open(const std::string& run_id, std::int64_t owner, const Layout& layout, Mode mode,
                                 bool resuming) {
  forget_statements();
  mapper_.reset();
  run_id_.clear();
  if (auto may = check(run_id, owner, layout, resuming); !may) return base::fail(std::move(may.error()));
  auto found = marks();
  if (!found) return base::fail(std::move(found.error()));
  Opened opened;
  Marks now;
  if (*found) {
    now = std::move(**found);
  } else {
    opened.created = true;
    if (auto made = make(layout, mode); !made) return base::fail(std::move(made.error()));
    now.columns = schema::to_text(mapper_->columns());
  }
  auto put = connection_.prepare(
      "INSERT INTO _moveout_run(tbl, run_id, owner, format, columns, sealed, commits) VALUES(?1, ?2, ?3, ?4, ?5, 0, 0) "
      "ON CONFLICT(tbl) DO UPDATE SET owner = excluded.owner");
  if (!put) return base::fail(std::move(put.error()));
  put->bind_text(1, name_);
  put->bind_text(2, run_id);
  put->bind(3, owner);
  put->bind(4, kMarksFormat);
  put->bind_text(5, now.columns);
  if (auto done = run(*put, "cannot take ownership"); !done) return base::fail(std::move(done.error()));
  if (auto learned = learn(now); !learned) return base::fail(std::move(learned.error()));
  run_id_ = run_id;
  owner_ = owner;
  key_ = layout.key;
  auto kept = checkpoints();
  if (!kept) return base::fail(std::move(kept.error()));
  opened.checkpoints = std::move(*kept);
  opened.columns_json = now.columns;
  opened.sealed = sealed_;
  return opened;
}

base::Result<Opened> Table::open_reader(const Layout& layout) {
  forget_statements();
  mapper_.reset();
  run_id_.clear();
  auto there = exists(name_);
  if (!there) return base::fail(std::move(there.error()));
  if (!*there) return base::fail(ErrorKind::NotFound, "no table \"" + name_ + "\" in the target");
  auto columns = columns_there(layout.key);
  if (!columns) return base::fail(std::move(columns.error()));
  key_ = layout.key;
  keyed_ = guard_table_ = sealed_ = false;  // look_again() knows
  mapper_.emplace(std::move(*columns));
  Opened opened;
  opened.columns_json = schema::to_text(mapper_->columns());
  auto found = marks();
  if (!found) return base::fail(std::move(found.error()));
  if (*found) {
    opened.sealed = (*found)->sealed;
    auto kept = checkpoints();
    if (!kept) return base::fail(std::move(kept.error()));
    opened.checkpoints = std::move(*kept);
  }
  return opened;
}

base::Result<Checkpoints> Table::checkpoints() {
  auto row = connection_.prepare("SELECT name, value FROM _moveout_checkpoint WHERE tbl = ?1 ORDER BY name");
  if (!row) return base::fail(std::move(row.error()));
  row->bind_text(1, name_);
  Checkpoints checkpoints;
  int code;
  while ((code = row->step()) == SQLITE_ROW) {
    checkpoints.push_back({std::string(row->bytes(0)), std::string(row->bytes(1))});
  }
  if (code != SQLITE_DONE) return base::fail(connection_.error(code, "cannot read the checkpoints"));
  return checkpoints;
}

// For a reader too: the run may finish, and take its table of checkpoints, between two calls.
base::Result<std::optional<std::string>> Table::checkpoint(const std::string& name) {
  auto there = exists("_moveout_checkpoint");
  if (!there) return base::fail(std::move(there.error()));
  if (!*there) return std::nullopt;
  auto row = connection_.prepare("SELECT value FROM _moveout_checkpoint WHERE tbl = ?1 AND name = ?2");
  if (!row) return base::fail(std::move(row.error()));
  row->bind_text(1, name_);
  row->bind_text(2, name);
  const int code = row->step();
  if (code == SQLITE_DONE) return std::nullopt;
  if (code != SQLITE_ROW) return base::fail(connection_.error(code, "cannot read a checkpoint"));
  return std::string(row->bytes(0));
}

base::Result<> Table::seal() {
  if (!keyed_) {
    const std::string index = sqlite_key_index(name_, mapper_->columns());
    auto built = connection_.exec(index, "cannot build the key");
    if (!built) {
      // A key that came twice: of one version there is one content, so the first of each stays.
      if ((connection_.last_code() & 0xff) != SQLITE_CONSTRAINT) return built;
      const std::string table = sqlite_quoted(name_), row = rowid_name();
      built = connection_.exec("DELETE FROM " + table + " WHERE " + row + " NOT IN (SELECT min(" + row + ") FROM " +
                                   table + " GROUP BY " + schema::sqlite_key_list(mapper_->columns()) + ");" + index,
                               "cannot build the key");
      if (!built) return built;
    }
  }
  auto mark = connection_.prepare("UPDATE _moveout_run SET sealed = 1 WHERE tbl = ?1");
  if (!mark) return base::fail(std::move(mark.error()));
  mark->bind_text(1, name_);
  if (auto done = run(*mark, "cannot mark the table as sealed"); !done) return done;
  sealing_ = true;
  return {};
}

base::Result<bool> Table::finish() {
  forget_statements();
  finishing_ = true;
  if (auto gone = connection_.exec("DROP TABLE IF EXISTS " + guard_name(), "cannot drop the guards"); !gone) {
    return base::fail(std::move(gone.error()));
  }
  auto marked = exists("_moveout_run");
  if (!marked) return base::fail(std::move(marked.error()));
  if (!*marked) return true;
  for (const char* sql :
       {"DELETE FROM _moveout_checkpoint WHERE tbl = ?1", "DELETE FROM _moveout_run WHERE tbl = ?1"}) {
    auto gone = connection_.query_text(sql, {name_}, nullptr);
    if (!gone) return base::fail(std::move(gone.error()));
  }
  auto others = connection_.query_text("SELECT 1 FROM _moveout_run LIMIT 1", {}, nullptr);
  if (!others) return base::fail(std::move(others.error()));
  if (*others) return false;
  if (auto gone = connection_.exec("DROP TABLE _moveout_checkpoint; DROP TABLE _moveout_run", "cannot drop the marks");
      !gone) {
    return base::fail(std::move(gone.error()));
  }
  return true;
}

}  // namespace moveout::target::sqlite
