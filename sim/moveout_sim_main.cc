// moveout-sim: runs worlds. --seed N replays one; --seeds A..B and --minutes M run many; --mutants shows the teeth.

#include <string>
#include <vector>

#include "sim/report.h"

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  return moveout::sim::run_command(words);
}
