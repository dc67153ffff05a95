// Signals that ask the program to stop.
#pragma once

#include "base/task.h"

namespace moveout::net {

// Returns the number of the SIGINT or SIGTERM that came. From then on a second one ends the process at once, with exit
// code 4: whatever was acknowledged is durable already. One waiter a process.
base::Task<int> wait_for_stop_signal();

}  // namespace moveout::net
