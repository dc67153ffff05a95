// FileDatabase: the one connection to an SQLite file, and the group commit of what waits for it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/signal.h"
#include "target/sqlite/connection.h"
#include "target/sqlite/sqlite_target.h"
#include "target/sqlite/table.h"

namespace moveout::target::sqlite {

class FileDatabase final : public Database {
 public:
  FileDatabase(DatabaseOptions options, base::Worker& worker, base::Executor executor, base::Log& log);
  ~FileDatabase() override;

  base::Task<base::Result<Opened>> open(std::string run_id, std::int64_t owner, Layout layout, Mode mode,
                                        bool resuming);
  base::Task<base::Result<Opened>> open_reader(Layout layout);
  base::Task<base::Result<std::optional<item::KeySchema>>> key_of_table(std::string table);
  base::Task<base::Result<Outcomes>> apply(std::string table, item::Batch batch, Checkpoints checkpoints);
  base::Task<base::Result<>> seal(std::string table);
  base::Task<base::Result<>> finish(std::string table);

  // One consistent look at an opened table.
  template <class T>
  base::Task<base::Result<T>> look(std::string table, std::function<base::Result<T>(Table&)> work) {
    co_return co_await worker_.call([this, &table, &work]() -> base::Result<T> {
      auto found = begin(table, "BEGIN");
      if (!found) return base::fail(std::move(found.error()));
      base::Result<T> result = work(**found);
      if (auto ended = connection_.exec("COMMIT", "cannot read"); !ended && result) return base::fail(ended.error());
      return result;
    });
  }

 private:
  struct Request {
    std::string table;
    item::Batch batch;
    Checkpoints checkpoints;
    base::Result<Outcomes> result = Outcomes();
    bool done = false;       // the result stands
    bool abandoned = false;  // nobody waits any more
  };
  struct Group {
    std::vector<std::shared_ptr<Request>> requests;
    bool ran = false;
  };
  class Waiting;
  class Leading;

  base::Task<> lead();
  std::shared_ptr<Group> take_group();

  // On the worker.
  base::Result<> connect(Connection::Access access);
  enum class Opening { Before, Now };  // the table was opened before, or is being opened
  base::Result<Table*> begin(const std::string& table, const char* how, Opening opening = Opening::Before);
  template <class Work>
  base::Result<> transact(const std::string& table, const char* doing, Work&& work, Opening opening = Opening::Before);
  void commit_group(std::vector<std::shared_ptr<Request>>& requests);
  base::Result<> write_group(std::vector<std::shared_ptr<Request>>& requests);
  base::Result<> end_group(const std::vector<std::shared_ptr<Request>>& requests);
  void enter_all(std::vector<std::shared_ptr<Request>>& requests);
  void refuse(Table& table, Request& request, std::size_t index);
  base::Result<> settle(const std::vector<std::shared_ptr<Request>>& requests, base::Error error);
  void roll_back();
  Table& table_of(const std::string& name);

  DatabaseOptions options_;
  base::Worker& worker_;
  base::Log& log_;
  base::Signal changed_;
  std::deque<std::shared_ptr<Request>> queue_;
  bool leading_ = false;

  // The worker's alone.
  Connection connection_;
  bool writable_ = false;
  std::map<std::string, std::unique_ptr<Table>> tables_;
  base::Result<> broken_;  // a commit's fate could not be learned: nothing goes on before open()
};

}  // namespace moveout::target::sqlite
