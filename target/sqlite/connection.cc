#include "target/sqlite/connection.h"

#include <sqlite3.h>

#include <filesystem>
#include <system_error>
#include <utility>

namespace moveout::target::sqlite {
namespace {

using base::ErrorKind;
using schema::Cell;

// Another process may read for long, but writes only by accident: then wait a little before saying so.
constexpr int kBusyMillis = 10000;
// Pages in the WAL before they are copied into the file (64 MB): every leaf of the key that many transactions touch is
// copied once, not once a transaction.
constexpr int kWalPages = 16384;

ErrorKind kind_of(int code) {
  switch (code) {
    case SQLITE_IOERR_WRITE:
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
    case SQLITE_IOERR_TRUNCATE:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMOPEN:
      return ErrorKind::DiskFull;
    case SQLITE_READONLY_DBMOVED:
      return ErrorKind::TargetChanged;
    case SQLITE_IOERR_CORRUPTFS:
      return ErrorKind::Corrupt;
    default:
      break;
  }
  switch (code & 0xff) {
    case SQLITE_FULL:
      return ErrorKind::DiskFull;
    case SQLITE_CORRUPT:
      return ErrorKind::Corrupt;
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ErrorKind::Usage;
    case SQLITE_ERROR:  // a table or column that is no longer there
    case SQLITE_SCHEMA:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return ErrorKind::TargetChanged;
    case SQLITE_TOOBIG:
      return ErrorKind::TooLarge;
    default:
      return ErrorKind::Unavailable;
  }
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

// SQLite takes a null pointer for NULL, whatever the size.
void Statement::bind_text(int parameter, std::string_view text) {
  const char* const data = text.data() == nullptr ? "" : text.data();
  MOVEOUT_ASSERT(sqlite3_bind_text64(statement_.get(), parameter, data, text.size(), SQLITE_STATIC, SQLITE_UTF8) ==
                 SQLITE_OK);
}

void Statement::bind_blob(int parameter, std::string_view bytes) {
  const char* const data = bytes.data() == nullptr ? "" : bytes.data();
  MOVEOUT_ASSERT(sqlite3_bind_blob64(statement_.get(), parameter, data, bytes.size(), SQLITE_STATIC) == SQLITE_OK);
}

void Statement::bind(int parameter, std::int64_t value) {
  MOVEOUT_ASSERT(sqlite3_bind_int64(statement_.get(), parameter, value) == SQLITE_OK);
}

void Statement::bind_null(int parameter) {
  MOVEOUT_ASSERT(sqlite3_bind_null(statement_.get(), parameter) == SQLITE_OK);
}

void Statement::bind(int parameter, const Cell& cell) {
  switch (cell.kind) {
    case Cell::Kind::Null:
      return bind_null(parameter);
    case Cell::Kind::Integer:
      return bind(parameter, cell.integer);
    case Cell::Kind::Text:
      return bind_text(parameter, cell.bytes);
    case Cell::Kind::Blob:
      return bind_blob(parameter, cell.bytes);
  }
}

int Statement::step() { return sqlite3_step(statement_.get()); }
void Statement::reset() { sqlite3_reset(statement_.get()); }
std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

std::string_view Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  static constexpr std::string_view kEmpty = "";
  if (data == nullptr) return kEmpty;
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Cell Statement::cell(int column) const {
  switch (sqlite3_column_type(statement_.get(), column)) {
    case SQLITE_INTEGER:
      return {Cell::Kind::Integer, integer(column), {}};
    case SQLITE_TEXT:
      return {Cell::Kind::Text, 0, bytes(column)};
    case SQLITE_BLOB:
    case SQLITE_FLOAT:  // nobody of ours writes one: as a blob it fits no column and is refused
      return {Cell::Kind::Blob, 0, bytes(column)};
    default:
      return {};
  }
}

base::Result<> Connection::open(const std::string& path, const std::string& vfs, int cache_mb, Access access) {
  close();
  path_ = path;
  std::error_code ec;
  // A VFS of its own has files of its own.
  if (vfs.empty() && access == Access::Read && !std::filesystem::exists(path, ec)) {
    return base::fail(ErrorKind::NotFound, "no file " + path);
  }
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (access == Access::Write) flags |= SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(path.c_str(), &db_, flags, vfs.empty() ? nullptr : vfs.c_str());
  base::Result<> opened;
  if (code != SQLITE_OK) opened = base::fail(error(code, "cannot open it"));
  if (opened) {
    sqlite3_busy_timeout(db_, kBusyMillis);
    // The first touch of the file: says whether it is a database at all.
    opened = exec("SELECT count(*) FROM sqlite_schema", "cannot open it");
  }
  if (opened) opened = exec("PRAGMA cache_size=-" + std::to_string(cache_mb * 1024), "cannot open it");
  if (!opened) close();
  return opened;
}

base::Result<> Connection::prepare_for_writing() {
  std::string journal;
  auto wal = query_text("PRAGMA journal_mode=WAL", {}, &journal);
  if (!wal) return base::fail(std::move(wal.error()));
  // EXTRA where the file system cannot hold a WAL: there the journal's removal must be durable too.
  auto done = exec(journal == "wal" ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=EXTRA", "cannot open it");
  if (done) done = exec("PRAGMA wal_autocheckpoint=" + std::to_string(kWalPages), "cannot open it");
  return done;
}

base::Result<> Connection::make_durable() { return exec("PRAGMA wal_checkpoint(PASSIVE)", "cannot sync it"); }

void Connection::close() {
  // Statements are gone before: Table::forget_statements(). close_v2 would let a forgotten one keep the file open.
  if (db_ != nullptr) MOVEOUT_ASSERT(sqlite3_close(std::exchange(db_, nullptr)) == SQLITE_OK);
}

base::Result<> Connection::exec(const std::string& sql, const char* doing) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return base::fail(error(code, doing));
  return {};
}

base::Result<Statement> Connection::prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(db_, sql.c_str(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return base::fail(error(code, "cannot prepare a statement"));
  return Statement(statement);
}

base::Result<bool> Connection::query_text(const std::string& sql, const std::vector<std::string_view>& texts,
                                          std::string* out) {
  auto statement = prepare(sql);
  if (!statement) return base::fail(std::move(statement.error()));
  for (std::size_t i = 0; i < texts.size(); ++i) statement->bind_text(static_cast<int>(i) + 1, texts[i]);
  const int code = statement->step();
  if (code == SQLITE_DONE) return false;
  if (code != SQLITE_ROW) return base::fail(error(code, "cannot read it"));
  if (out != nullptr) *out = statement->bytes(0);
  return true;
}

base::Error Connection::error(int code, const char* doing) const {
  std::string why = db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
  if ((code & 0xff) == SQLITE_NOTADB) why = "it is not an SQLite file";
  // "unable to open database file" alone does not say whether a folder is missing or may not be entered.
  if ((code & 0xff) == SQLITE_CANTOPEN && db_ != nullptr) {
    const int number = sqlite3_system_errno(db_);
    std::error_code ec;
    why += std::filesystem::is_directory(path_, ec) ? " (it is a folder)"
           : number != 0                            ? " (" + std::generic_category().message(number) + ")"
                                                    : "";
  }
  if ((code & 0xff) == SQLITE_IOERR) why += " (SQLite code " + std::to_string(code) + ")";
  return {kind_of(code), "target sqlite:" + path_ + ": " + doing + ": " + why};
}

int Connection::last_code() const { return sqlite3_extended_errcode(db_); }

std::int64_t Connection::changes() const { return sqlite3_changes64(db_); }

bool Connection::in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

}  // namespace moveout::target::sqlite
