// moveout-sim: runs worlds. --seed N replays one; --seeds A..B and --minutes M run many; --caught shows the teeth.

#include <malloc.h>

#include <string>
#include <vector>

#include "sim/report.h"

int main(int argc, char** argv) {
  // One world after the other takes and gives back the same memory: a tenth of the time went to the kernel for it.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 32 << 20);
  const std::vector<std::string> words(argv + 1, argv + argc);
  return moveout::sim::run_command(words);
}
