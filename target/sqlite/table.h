// Table: one table of one run in an SQLite file: rows, guards, checkpoints and the run's marks.
// Everything here blocks and belongs to the database's worker.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "item/batch.h"
#include "schema/columns.h"
#include "schema/row_mapper.h"
#include "target/sqlite/connection.h"
#include "target/target.h"

namespace moveout::target::sqlite {

// The format of what moveout keeps beside the rows. A newer binary goes on with an older run.
inline constexpr int kMarksFormat = 1;

// The rule of docs/consistency.md §3. `U` is the version of a row that no guard knows: (0, Backfill, base), base being
// the t of the first era's back-fill. The back-fill's own writes at exactly U insert where row and guard are both
// absent and write no guard; every other write upserts its guard row first, where its version is higher, and only then
// touches the row.
class Table {
 public:
  Table(Connection& connection, std::string name) : connection_(connection), name_(std::move(name)) {}
  const std::string& name() const { return name_; }
  // By open() or open_reader(), the last of which did not fail.
  bool is_open() const { return mapper_.has_value(); }

  // The key that the table of this name has now: its primary key, or moveout's unique index. Nothing without a table,
  // or where its key is not one that DynamoDB has.
  base::Result<std::optional<item::KeySchema>> key_there();
  // Why this run may not open the table, before anything is written.
  base::Result<> check(const std::string& run_id, std::int64_t owner, const Layout& layout, bool resuming);
  // Inside a transaction: the same check, then makes or adopts table and marks, and takes ownership.
  base::Result<Opened> open(const std::string& run_id, std::int64_t owner, const Layout& layout, Mode mode,
                            bool resuming);
  base::Result<Opened> open_reader(const Layout& layout);

  // Inside a transaction, before its first write here: RunLocked, TargetChanged. Counts the transaction.
  base::Result<> enter();
  // Applied, Stale, or Refused for reason(): then the transaction must not be committed.
  base::Result<Outcome> write(const item::Write& write);
  const std::string& reason() const { return reason_; }
  // Why this write alone would be Refused; empty: it would not.
  std::string why_not(const item::Write& write);
  base::Result<> put(const Checkpoints& checkpoints);
  // The transaction did not happen: forget what was learned in it.
  void rolled_back();
  void committed();
  // Whether the last transaction that entered is in the file. After a commit without an answer.
  base::Result<bool> landed();
  // Back-fill rows are worth sorting by key.
  bool keyed() const { return keyed_; }

  base::Result<std::vector<std::optional<Stored>>> read(const std::vector<item::Key>& keys);
  base::Result<std::vector<std::optional<item::Version>>> versions(const std::vector<item::Key>& keys);
  base::Result<std::optional<std::string>> checkpoint(const std::string& name);
  base::Result<StoredPage> scan(const std::string& cursor, std::size_t limit);
  base::Result<std::uint64_t> live_rows();

  // Inside a transaction each.
  base::Result<> seal();
  base::Result<bool> finish();  // true: nothing of moveout is left in the file

  // Before the connection closes, and after it was opened again.
  void forget_statements();

 private:
  struct Marks {
    std::string run_id;
    std::int64_t owner = 0;
    std::int64_t format = 0;
    std::string columns;
    std::optional<std::int64_t> base;
    bool sealed = false;
    std::int64_t commits = 0;
  };
  // Statements by what they do; prepared at the first use.
  enum Use : int { Enter, Insert, InsertAbsent, Replace, Delete, Select, Scan, GuardGet, GuardPut, PutBase, kUses };

  base::Result<std::optional<Marks>> marks();
  base::Result<bool> exists(const std::string& name);
  base::Result<bool> has_rows();
  base::Result<> check_name(const item::KeySchema& key);
  base::Result<> check_marks(const Marks& marks, const std::string& run_id, std::int64_t owner,
                             const item::KeySchema& key);
  base::Result<schema::Columns> columns_there(const item::KeySchema& key);
  base::Result<bool> key_enforced();
  base::Result<std::vector<item::KeyAttribute>> key_attributes(Statement& row);
  base::Result<std::optional<item::KeySchema>> key_schema(base::Result<std::vector<item::KeyAttribute>> keys);
  base::Result<> make(const Layout& layout, Mode mode);
  base::Result<> learn(const Marks& marks);
  base::Result<Checkpoints> checkpoints();

  base::Result<Statement*> use(Use use);
  std::string sql_of(Use use) const;
  base::Result<> run(Statement& statement, const char* doing);
  base::Result<Outcome> write_guarded(const item::Write& write);
  base::Result<Outcome> write_unguarded(const item::Write& write);
  base::Result<Outcome> put_row(Use how, const item::Write& write);
  base::Result<> delete_row(const item::Write& write);
  base::Result<bool> row_there(std::string_view key);
  base::Result<bool> put_guard(const item::Write& write);
  base::Result<std::optional<item::Version>> guard_of(std::string_view key);
  base::Result<> look_again();
  base::Result<std::optional<Stored>> read_one(const item::Key& key);
  base::Result<item::Item> item_in(Statement& row, int first_column, std::size_t* bytes);
  base::Result<item::Version> version_of_row(std::string_view key);
  std::string guard_name() const;
  std::string key_condition() const;
  std::string rowid_name() const;

  Connection& connection_;
  std::string name_;
  std::string run_id_;
  std::int64_t owner_ = 0;
  item::KeySchema key_;
  std::optional<schema::RowMapper> mapper_;
  Statement statements_[kUses];
  bool keyed_ = false;        // SQLite enforces the key: guards and upserts work
  bool guard_table_ = false;  // there is one
  bool guard_empty_ = false;  // and it certainly holds nothing
  bool sealed_ = false;
  bool entered_ = false;
  bool sealing_ = false;    // in the transaction under way
  bool finishing_ = false;  // likewise
  std::optional<std::int64_t> base_;
  std::optional<std::int64_t> base_committed_;
  std::int64_t commits_ = 0;  // of this table, the one under way included
  std::string reason_;
};

}  // namespace moveout::target::sqlite
