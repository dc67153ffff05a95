// TableMove: one table through the phases: capture, back-fill, replay, verify, in sync, following.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/task_group.h"
#include "move/seams.h"
#include "move/table_state.h"
#include "target/target.h"

namespace moveout::move {

// Single executor. One of run(), copy(), finish() once. Cancelling the task that awaits it stops everything cleanly:
// what was acknowledged stays, the same command goes on from there.
class TableMove {
 public:
  TableMove(TableSpec spec, Options options, Seams seams, Owner owner, std::unique_ptr<target::Target> target,
            base::Rng rng);
  ~TableMove();

  // The whole move. Returns at the first *in sync* with until_in_sync, else follows until cancelled or an error.
  base::Task<base::Result<>> run();
  // The back-fill alone.
  base::Task<base::Result<>> copy();
  // Removes what moveout added to the target.
  base::Task<base::Result<>> finish();

  Snapshot snapshot() const;
  TableResult result() const;
  const TableSpec& spec() const;
  // Paused: the back-fill asks for no new pages. Capture and replay go on, so that no change is trimmed unread.
  void pause(bool on);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moveout::move
