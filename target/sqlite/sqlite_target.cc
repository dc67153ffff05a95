#include "target/sqlite/sqlite_target.h"

#include <utility>

#include "target/sqlite/database.h"

namespace moveout::target::sqlite {
namespace {

class SqliteTarget final : public Target {
 public:
  explicit SqliteTarget(std::shared_ptr<FileDatabase> database) : database_(std::move(database)) {}

  base::Task<base::Result<Opened>> open(std::string run_id, std::int64_t owner, Layout layout, Mode mode,
                                        bool resuming) override {
    table_ = layout.table;
    return database_->open(std::move(run_id), owner, std::move(layout), mode, resuming);
  }
  base::Task<base::Result<Opened>> open_reader(Layout layout) override {
    table_ = layout.table;
    return database_->open_reader(std::move(layout));
  }
  base::Task<base::Result<std::optional<item::KeySchema>>> key_of_table(std::string table) override {
    return database_->key_of_table(std::move(table));
  }
  base::Task<base::Result<std::optional<std::string>>> checkpoint(std::string name) override {
    return database_->look<std::optional<std::string>>(
        table_, [name = std::move(name)](Table& table) { return table.checkpoint(name); });
  }
  base::Task<base::Result<Outcomes>> apply(item::Batch batch, Checkpoints checkpoints) override {
    return database_->apply(table_, std::move(batch), std::move(checkpoints));
  }
  base::Task<base::Result<std::vector<std::optional<Stored>>>> read(std::vector<item::Key> keys) override {
    return database_->look<std::vector<std::optional<Stored>>>(
        table_, [keys = std::move(keys)](Table& table) { return table.read(keys); });
  }
  base::Task<base::Result<std::vector<std::optional<item::Version>>>> versions(std::vector<item::Key> keys) override {
    return database_->look<std::vector<std::optional<item::Version>>>(
        table_, [keys = std::move(keys)](Table& table) { return table.versions(keys); });
  }
  base::Task<base::Result<StoredPage>> scan(std::string cursor, std::size_t limit) override {
    return database_->look<StoredPage>(
        table_, [cursor = std::move(cursor), limit](Table& table) { return table.scan(cursor, limit); });
  }
  base::Task<base::Result<std::optional<std::uint64_t>>> live_rows() override {
    return database_->look<std::optional<std::uint64_t>>(
        table_, [](Table& table) -> base::Result<std::optional<std::uint64_t>> {
          auto rows = table.live_rows();
          if (!rows) return base::fail(std::move(rows.error()));
          return *rows;
        });
  }
  base::Task<base::Result<>> seal() override { return database_->seal(table_); }
  base::Task<base::Result<>> finish() override { return database_->finish(table_); }

  // Everything of DynamoDB fits into SQLite; what is malformed shows when it is mapped.
  std::optional<std::string> refusal(const item::Write&) const override { return std::nullopt; }
  Guard guard() const override { return Guard::PerWrite; }
  bool commits_checkpoints() const override { return true; }

 private:
  std::shared_ptr<FileDatabase> database_;
  std::string table_;
};

}  // namespace

std::shared_ptr<Database> Database::make(DatabaseOptions options, base::Worker& worker, base::Executor executor,
                                         base::Log& log) {
  return std::make_shared<FileDatabase>(std::move(options), worker, std::move(executor), log);
}

std::unique_ptr<Target> make_target(std::shared_ptr<Database> database) {
  return std::make_unique<SqliteTarget>(std::static_pointer_cast<FileDatabase>(std::move(database)));
}

}  // namespace moveout::target::sqlite
