// Connection and Statement: SQLite as values of this program. Everything here blocks: call on the worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "schema/row_mapper.h"

struct sqlite3;
struct sqlite3_stmt;

namespace moveout::target::sqlite {

// A prepared statement, used again and again. Parameters and columns count as SQLite counts them: from 1, from 0.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  explicit operator bool() const { return statement_ != nullptr; }

  // The bytes stay where they are until reset().
  void bind_text(int parameter, std::string_view text);
  void bind_blob(int parameter, std::string_view bytes);
  void bind(int parameter, std::int64_t value);
  void bind_null(int parameter);
  void bind(int parameter, const schema::Cell& cell);

  // One step: SQLITE_ROW, SQLITE_DONE or an error code.
  int step();
  void reset();

  std::int64_t integer(int column) const;
  // Text and blobs; valid until the next step or reset.
  std::string_view bytes(int column) const;
  bool is_null(int column) const;
  schema::Cell cell(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Resets when it goes: a statement left half-stepped keeps its transaction open.
class Reset {
 public:
  explicit Reset(Statement& statement) : statement_(statement) {}
  Reset(const Reset&) = delete;
  Reset& operator=(const Reset&) = delete;
  ~Reset() { statement_.reset(); }

 private:
  Statement& statement_;
};

class Connection {
 public:
  enum class Access { Write, Read };

  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { close(); }

  // Write: makes the file when absent. Read: NotFound when absent. Nothing in it is changed yet.
  // Usage: not an SQLite file, or no right to open it.
  base::Result<> open(const std::string& path, const std::string& vfs, int cache_mb, Access access);
  // WAL, synchronous=FULL.
  base::Result<> prepare_for_writing();
  // What a failed sync of an earlier process left in the page cache alone is written into the file and synced.
  base::Result<> make_durable();
  void close();
  bool is_open() const { return db_ != nullptr; }

  base::Result<> exec(const std::string& sql, const char* doing);
  base::Result<Statement> prepare(const std::string& sql);
  // Prepared, bound to the texts, stepped once: the first column of the first row, or nothing ("" for NULL).
  base::Result<bool> query_text(const std::string& sql, const std::vector<std::string_view>& texts, std::string* out);

  // What `code` (or the last error, for code 0) means for the caller.
  base::Error error(int code, const char* doing) const;
  int last_code() const;
  std::int64_t changes() const;
  bool in_transaction() const;

 private:
  sqlite3* db_ = nullptr;
  std::string path_;
};

}  // namespace moveout::target::sqlite
