// Vfs: a SQLite VFS on a simulated machine, for one process: the real stores and targets run on it.
#pragma once

#include <memory>
#include <string>

#include "sim/machine.h"
#include "sim/process.h"
#include "sim/sim_clock.h"

namespace moveout::sim {

// Registered while it lives. Every call is a boundary at which the process can die; what a dead process calls fails
// and has no effect.
class Vfs {
 public:
  Vfs(Machine& machine, Process& process, const Scheduler& scheduler);
  Vfs(const Vfs&) = delete;
  Vfs& operator=(const Vfs&) = delete;
  // The connections are closed before.
  ~Vfs();
  const std::string& name() const;
  // The process died: its locks go.
  void release();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace moveout::sim
