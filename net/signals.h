// Signals: SIGINT and SIGTERM for one coroutine.
#pragma once

#include "base/task.h"

namespace moveout::net {

// The exit code of a process that a second signal stops at once (base::exit_code_of(Stopped)).
inline constexpr int exit_at_once = 4;

// Waits for SIGINT or SIGTERM and returns its number. The next one ends the process at once with exit_at_once, from the
// signal handler itself, so that it works when the executor hangs.
// Cancelled before a signal came: the process's earlier handlers are back. One waiter in a process at a time.
base::Task<int> wait_for_stop_signal();

}  // namespace moveout::net
