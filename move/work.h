// Work: a job under way, as whoever shows it, or pauses it, sees it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "move/seams.h"

namespace moveout::move {

// Single executor.
class Work {
 public:
  virtual ~Work() = default;
  // contract: one a table, named; at any time.
  virtual std::vector<std::pair<std::string, Snapshot>> snapshots() const = 0;
  virtual std::vector<TableResult> results() const = 0;
  // contract: the back-fill asks for no more; idempotent.
  virtual void pause(bool on) = 0;
};

}  // namespace moveout::move
