// SqliteStore: the Store in one SQLite file, WAL, synchronous=FULL.
#pragma once

#include <memory>
#include <string>

#include "base/worker.h"
#include "state/store.h"

namespace moveout::state {

// The state's format; a newer binary goes on with an older run, an older binary refuses a newer one (Usage).
inline constexpr int kStateFormat = 1;

class SqliteStore final : public Store {
 public:
  // Opens or makes the file. vfs: name of a registered SQLite VFS, empty for the system's. The worker and this outlive
  // each other's calls.
  static base::Task<base::Result<std::unique_ptr<SqliteStore>>> open(base::Worker& worker, std::string path,
                                                                     std::string vfs = "");
  ~SqliteStore() override;
  base::Task<base::Result<Rows>> read(std::string prefix) override;
  base::Task<base::Result<>> commit(std::vector<Put> puts, std::vector<Expect> expects) override;

 private:
  struct Db;
  SqliteStore(base::Worker& worker, std::unique_ptr<Db> db);
  base::Worker& worker_;
  std::unique_ptr<Db> db_;
};

}  // namespace moveout::state
