// Stage: what one run of a move or a load stands on.
#pragma once

#include <memory>
#include <vector>

#include "app/context.h"
#include "app/session.h"
#include "base/task.h"

namespace moveout::app {

// One run of a move, with all it stands on; destroyed before the runtime.
struct Stage {
  std::unique_ptr<state::RunLock> lock;
  std::unique_ptr<state::PosixDisk> disk;
  std::unique_ptr<state::PosixDisk> journal_disk;
  std::unique_ptr<state::PosixDisk> quarantine;
  std::unique_ptr<state::SqliteStore> store;
  std::unique_ptr<Source> source;
  std::unique_ptr<Targets> targets;
  std::vector<std::unique_ptr<move::Files>> files;  // of tables whose back-fill is by export
  std::vector<move::TableSpec> tables;
  std::unique_ptr<move::Work> work;  // a move or a load
};

// Takes the run lock and opens the state folder, made when absent.
base::Task<base::Result<>> open_state(Context& context, Stage& stage);
// What `finish --state DIR` needs to find the target again, as the same identity; nothing secret.
base::Task<base::Result<>> keep_config(const MoveConfig& config, Stage& stage);
// Usage when nothing was begun in this state.
base::Task<base::Result<>> read_config(MoveConfig& config, Stage& stage);
// Where the state is that of a load, its config read.
base::Task<base::Result<>> finish_load(Context& context, Stage& stage, base::Rng& rng);

}  // namespace moveout::app
