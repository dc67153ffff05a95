// Process: one incarnation of a program in the world. Every seam call passes its gate, so it can be killed or paused at
// any await.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/signal.h"
#include "sim/scheduler.h"

namespace moveout::sim {

class Process {
 public:
  Process(Scheduler& scheduler, std::string name) : name_(std::move(name)), changed_(scheduler.executor()) {}

  // Before and after every seam call. Waits while the process is paused. Once it is dead the wait ends only by
  // cancellation: nothing a dead process does has an effect, and nothing it waits for comes.
  Task<> gate();
  // The same where no wait is possible (inside a blocking call): false = dead, do nothing.
  bool step();

  void kill();
  void pause() { paused_ = true; }
  void resume();
  // Dies at the n-th boundary from now; 0: not at all.
  void kill_at(std::uint64_t boundary) { kill_in_ = boundary; }

  bool dead() const { return dead_; }
  bool paused() const { return paused_; }
  const std::string& name() const { return name_; }
  std::uint64_t boundaries() const { return boundaries_; }
  // Called once, inside the boundary at which it dies.
  std::function<void()> on_kill;

 private:
  std::string name_;
  base::Signal changed_;
  std::uint64_t boundaries_ = 0;
  std::uint64_t kill_in_ = 0;
  bool dead_ = false;
  bool paused_ = false;
};

}  // namespace moveout::sim
