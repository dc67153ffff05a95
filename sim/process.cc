#include "sim/process.h"

namespace moveout::sim {

bool Process::step() {
  if (dead_) return false;
  ++boundaries_;
  if (kill_in_ != 0 && --kill_in_ == 0) kill();
  return !dead_;
}

Task<> Process::gate() {
  step();
  while (dead_ || paused_) co_await changed_.wait();
}

void Process::kill() {
  if (dead_) return;
  dead_ = true;
  if (on_kill) on_kill();
}

void Process::resume() {
  paused_ = false;
  changed_.notify_all();
}

}  // namespace moveout::sim
