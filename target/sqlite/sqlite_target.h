// SqliteTarget: one table of one SQLite file (docs/sqlite.md). Data, guard and checkpoints in one transaction.
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "base/worker.h"
#include "target/target.h"

namespace moveout::target::sqlite {

struct DatabaseOptions {
  std::string path;
  std::string vfs;  // name of a registered SQLite VFS, empty for the system's
  int cache_mb = 8;
};

// One connection and its worker, shared by the targets of all tables that go into this file. Applies that wait together
// are committed together (group commit).
class Database {
 public:
  // The file is opened (and made) at the first use. The worker outlives it.
  static std::shared_ptr<Database> make(DatabaseOptions options, base::Worker& worker, base::Executor executor,
                                        base::Log& log);
  virtual ~Database() = default;
};

std::unique_ptr<Target> make_target(std::shared_ptr<Database> database);

}  // namespace moveout::target::sqlite
