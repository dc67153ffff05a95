// Move: all tables of one run side by side.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "move/table_move.h"
#include "move/work.h"

namespace moveout::move {

enum class Job { Run, Copy, Finish };

// Single executor. Constructed by app/ and by the simulator alike; cancelling run() stops it cleanly.
class Move final : public Work {
 public:
  using MakeTarget = std::function<std::unique_ptr<target::Target>(const TableSpec& table)>;

  // urls: one line that says what is moved where; the state refuses to serve another one. fresh_run_id: used when the
  // state is empty.
  Move(std::string urls, std::string fresh_run_id, std::vector<TableSpec> tables, Options options, Seams seams,
       MakeTarget make_target, base::Rng rng);
  ~Move() override;

  // Takes the owner epoch, then moves every table; the first error stops all. Each table's result is told to Events.
  base::Task<base::Result<>> run(Job job);
  std::vector<std::pair<std::string, Snapshot>> snapshots() const override;
  std::vector<TableResult> results() const override;
  void pause(bool on) override;

 private:
  std::string urls_;
  std::string fresh_run_id_;
  std::vector<TableSpec> specs_;
  Options options_;
  Seams seams_;
  MakeTarget make_target_;
  base::Rng rng_;
  bool paused_ = false;
  std::vector<std::unique_ptr<TableMove>> tables_;
};

}  // namespace moveout::move
