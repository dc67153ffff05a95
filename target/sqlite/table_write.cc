// Writing: the guard decides first, in the same transaction; then the row follows.
#include <sqlite3.h>

#include <utility>

#include "base/mutant.h"
#include "schema/sqlite_ddl.h"
#include "target/sqlite/table.h"

namespace moveout::target::sqlite {
namespace {

using base::ErrorKind;
using item::Band;
using item::Version;
using schema::sqlite_quoted;

std::int64_t packed(const Version& version) {
  if (base::mutant("band_before_era")) {
    return (static_cast<std::int64_t>(version.band) << 61) | (std::int64_t{version.era} << 53) | version.t;
  }
  return version.packed();
}

Version unpacked(std::int64_t number) {
  if (base::mutant("band_before_era")) {
    return {static_cast<std::uint32_t>((number >> 53) & 255), static_cast<Band>(number >> 61),
            number & ((std::int64_t{1} << 53) - 1)};
  }
  return Version::unpacked(number);
}

bool is_lowest(const Version& version) { return version.era == 0 && version.band == Band::Backfill; }

}  // namespace

std::string Table::key_condition() const {
  std::string condition;
  int parameter = 0;
  for (const schema::Column& column : mapper_->columns().columns) {
    if (!column.key) break;
    if (!condition.empty()) condition += " AND ";
    condition += sqlite_quoted(column.attribute) + " = ?" + std::to_string(++parameter);
  }
  return condition;
}

std::string Table::sql_of(Use use) const {
  const std::string table = sqlite_quoted(name_);
  std::string names, values, updates;
  int parameter = 0;
  const auto add = [&](const std::string& name, bool key) {
    names += (parameter == 0 ? "" : ",") + name;
    values += (parameter == 0 ? "?" : ",?") + std::to_string(parameter + 1);
    ++parameter;
    if (key) return;
    updates += (updates.empty() ? "" : ",") + name + "=excluded." + name;
    if (base::mutant("replace_keeps_old_attributes"))
      updates.replace(updates.rfind('='), std::string::npos, "=coalesce(excluded." + name + "," + name + ")");
  };
  for (const schema::Column& column : mapper_->columns().columns) add(sqlite_quoted(column.attribute), column.key);
  add(sqlite_quoted(schema::kOverflowColumn), false);
  const std::string insert = "INSERT INTO " + table + "(" + names + ") VALUES(" + values + ")";
  switch (use) {
    case Enter:
      return "UPDATE _moveout_run SET commits = ?4 WHERE tbl = ?1 AND run_id = ?2 AND owner = ?3";
    case Insert:
      return insert;
    case InsertAbsent:
      return insert + " ON CONFLICT DO NOTHING";
    case Replace:
      return insert + " ON CONFLICT(" + schema::sqlite_key_list(mapper_->columns()) + ") DO UPDATE SET " + updates;
    case Delete:
      return "DELETE FROM " + table + " WHERE " + key_condition();
    case Select:
      return "SELECT " + names + " FROM " + table + " WHERE " + key_condition();
    case Scan:
      return "SELECT " + rowid_name() + "," + names + " FROM " + table + " WHERE " + rowid_name() + " > ?1 ORDER BY " +
             rowid_name() + " LIMIT ?2";
    case GuardGet:
      return "SELECT version FROM " + guard_name() + " WHERE key = ?1";
    case GuardPut:
      return "INSERT INTO " + guard_name() +
             "(key, version, deleted) VALUES(?1, ?2, ?3) ON CONFLICT(key) DO UPDATE SET version = excluded.version, "
             "deleted = excluded.deleted" +
             (base::mutant("guard_on_key_only") ? "" : " WHERE excluded.version > version");
    case PutBase:
      return "UPDATE _moveout_run SET base = ?2 WHERE tbl = ?1";
    case kUses:
      break;
  }
  return "";
}

base::Result<Statement*> Table::use(Use use) {
  if (!statements_[use]) {
    auto prepared = connection_.prepare(sql_of(use));
    if (!prepared) return base::fail(std::move(prepared.error()));
    statements_[use] = std::move(*prepared);
  }
  return &statements_[use];
}

base::Result<> Table::run(Statement& statement, const char* doing) {
  const Reset reset(statement);
  const int code = statement.step();
  if (code != SQLITE_DONE) return base::fail(connection_.error(code, doing));
  return {};
}

void Table::forget_statements() {
  for (Statement& statement : statements_) statement = Statement();
}

base::Result<> Table::enter() {
  if (entered_) return {};
  if (run_id_.empty()) return base::fail(ErrorKind::Usage, "table \"" + name_ + "\" was opened for reading only");
  auto statement = use(Enter);
  if (!statement) return base::fail(std::move(statement.error()));
  (*statement)->bind_text(1, name_);
  (*statement)->bind_text(2, run_id_);
  (*statement)->bind(3, owner_);
  (*statement)->bind(4, commits_ + 1);
  if (auto done = run(**statement, "cannot write"); !done) return done;
  if (connection_.changes() == 0 && !base::mutant("no_owner_check")) {
    auto found = marks();
    if (!found) return base::fail(std::move(found.error()));
    if (!*found || (*found)->run_id != run_id_) {
      return base::fail(ErrorKind::TargetChanged, "table \"" + name_ + "\" has lost the marks of this run");
    }
    return base::fail(ErrorKind::RunLocked, "another process has taken over the run of table \"" + name_ + "\"");
  }
  ++commits_;
  entered_ = true;
  return {};
}

void Table::rolled_back() {
  if (entered_) --commits_;
  entered_ = sealing_ = finishing_ = false;
  base_ = base_committed_;
}

void Table::committed() {
  if (sealing_) keyed_ = sealed_ = true;
  if (finishing_) run_id_.clear();  // what is left is read like any table
  entered_ = sealing_ = finishing_ = false;
  base_committed_ = base_;
}

base::Result<bool> Table::landed() {
  auto found = marks();
  if (!found) return base::fail(std::move(found.error()));
  if (!*found || (*found)->run_id != run_id_) {
    return base::fail(ErrorKind::TargetChanged, "table \"" + name_ + "\" has lost the marks of this run");
  }
  if ((*found)->owner != owner_) {
    return base::fail(ErrorKind::RunLocked, "another process has taken over the run of table \"" + name_ + "\"");
  }
  return (*found)->commits == commits_;
}

base::Result<Outcome> Table::write(const item::Write& write) {
  const bool row_of_base = is_lowest(write.version) && !write.is_delete();
  if (row_of_base && !base_) {
    base_ = write.version.t;
    auto statement = use(PutBase);
    if (!statement) return base::fail(std::move(statement.error()));
    (*statement)->bind_text(1, name_);
    (*statement)->bind(2, *base_);
    if (auto done = run(**statement, "cannot write"); !done) return base::fail(std::move(done.error()));
  }
  if (row_of_base && write.version.t == *base_) return write_unguarded(write);
  if (!guard_table_ || !keyed_) {
    return base::fail(ErrorKind::Usage, "table \"" + name_ + "\" is filled by copy: it takes no changes");
  }
  return write_guarded(write);
}

base::Result<Outcome> Table::write_unguarded(const item::Write& write) {
  if (!guard_empty_ && !base::mutant("backfill_ignores_guard")) {
    auto guard = guard_of(write.key);
    if (!guard) return base::fail(std::move(guard.error()));
    if (*guard) return Outcome::Stale;
  }
  return put_row(keyed_ ? InsertAbsent : Insert, write);
}

base::Result<Outcome> Table::write_guarded(const item::Write& write) {
  if (is_lowest(write.version)) {
    auto guard = guard_of(write.key);
    if (!guard) return base::fail(std::move(guard.error()));
    if (!*guard && base_ && write.version.t <= *base_) {
      auto there = row_there(write.key);
      if (!there) return base::fail(std::move(there.error()));
      if (*there) return Outcome::Stale;
    }
  }
  auto newer = put_guard(write);
  if (!newer) return base::fail(std::move(newer.error()));
  if (!*newer) return Outcome::Stale;
  if (!write.is_delete()) return put_row(Replace, write);
  if (auto gone = delete_row(write); !gone) return base::fail(std::move(gone.error()));
  return Outcome::Applied;
}

base::Result<bool> Table::put_guard(const item::Write& write) {
  auto statement = use(GuardPut);
  if (!statement) return base::fail(std::move(statement.error()));
  (*statement)->bind_blob(1, write.key);
  (*statement)->bind(2, packed(write.version));
  (*statement)->bind(3, write.is_delete() ? 1 : 0);
  if (auto done = run(**statement, "cannot write"); !done) return base::fail(std::move(done.error()));
  const bool newer = connection_.changes() > 0;
  guard_empty_ = false;
  if (newer && write.is_delete() && base::mutant("tombstone_forgotten")) {
    auto forget = connection_.prepare("DELETE FROM " + guard_name() + " WHERE key = ?1");
    if (!forget) return base::fail(std::move(forget.error()));
    forget->bind_blob(1, write.key);
    if (auto done = run(*forget, "cannot write"); !done) return base::fail(std::move(done.error()));
  }
  return newer;
}

base::Result<Outcome> Table::put_row(Use how, const item::Write& write) {
  const auto refuse = [this](const std::string& why) {
    reason_ = why;
    return Outcome::Refused;
  };
  if (auto mapped = mapper_->map(write.image); !mapped) return refuse(mapped.error().what);
  auto statement = use(how);
  if (!statement) return base::fail(std::move(statement.error()));
  int parameter = 0;
  for (const schema::Cell& cell : mapper_->cells()) (*statement)->bind(++parameter, cell);
  if (mapper_->overflow().empty()) {
    (*statement)->bind_null(++parameter);
  } else {
    (*statement)->bind_text(++parameter, mapper_->overflow());
  }
  if (auto done = run(**statement, "cannot write"); !done) {
    if (done.error().kind == ErrorKind::TooLarge) return refuse("the row is over SQLite's limit");
    return base::fail(std::move(done.error()));
  }
  return connection_.changes() > 0 ? Outcome::Applied : Outcome::Stale;
}

std::string Table::why_not(const item::Write& write) {
  if (write.is_delete()) return "";
  auto mapped = mapper_->map(write.image);
  return mapped ? "" : mapped.error().what;
}

base::Result<> Table::delete_row(const item::Write& write) {
  if (auto mapped = mapper_->map_key(write.key); !mapped) return mapped;
  auto statement = use(Delete);
  if (!statement) return base::fail(std::move(statement.error()));
  int parameter = 0;
  for (std::size_t i = 0; i < mapper_->cells().size() && mapper_->columns().columns[i].key; ++i) {
    (*statement)->bind(++parameter, mapper_->cells()[i]);
  }
  return run(**statement, "cannot delete");
}

base::Result<bool> Table::row_there(std::string_view key) {
  if (auto mapped = mapper_->map_key(key); !mapped) return base::fail(std::move(mapped.error()));
  auto statement = use(Select);
  if (!statement) return base::fail(std::move(statement.error()));
  const Reset reset(**statement);
  int parameter = 0;
  for (std::size_t i = 0; i < mapper_->cells().size() && mapper_->columns().columns[i].key; ++i) {
    (*statement)->bind(++parameter, mapper_->cells()[i]);
  }
  const int code = (*statement)->step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return base::fail(connection_.error(code, "cannot read"));
  return code == SQLITE_ROW;
}

base::Result<std::optional<Version>> Table::guard_of(std::string_view key) {
  if (!guard_table_) return std::nullopt;
  auto statement = use(GuardGet);
  if (!statement) return base::fail(std::move(statement.error()));
  const Reset reset(**statement);
  (*statement)->bind_blob(1, key);
  const int code = (*statement)->step();
  if (code == SQLITE_DONE) return std::nullopt;
  if (code != SQLITE_ROW) return base::fail(connection_.error(code, "cannot read"));
  return unpacked((*statement)->integer(0));
}

base::Result<> Table::put(const Checkpoints& checkpoints) {
  for (const Checkpoint& checkpoint : checkpoints) {
    const bool forget = checkpoint.value.empty();
    auto statement = connection_.prepare(
        forget ? "DELETE FROM _moveout_checkpoint WHERE tbl = ?1 AND name = ?2"
               : "INSERT INTO _moveout_checkpoint VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value");
    if (!statement) return base::fail(std::move(statement.error()));
    statement->bind_text(1, name_);
    statement->bind_text(2, checkpoint.name);
    if (!forget) statement->bind_text(3, checkpoint.value);
    if (auto done = run(*statement, "cannot write a checkpoint"); !done) return done;
  }
  return {};
}

}  // namespace moveout::target::sqlite
