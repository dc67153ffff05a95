// The command line of moveout-sim and what it prints.
#pragma once

#include <string>
#include <vector>

namespace moveout::sim {

// Exit code: 0 all right, 1 a run was wrong (or a mutant survived, or a due cell stayed at 0), 2 wrong usage.
int run_command(const std::vector<std::string>& words);

}  // namespace moveout::sim
