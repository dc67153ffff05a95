// Runs: one seed, many seeds in several processes, and mutants that must be caught.
#pragma once

#include <cstdint>
#include <string>

#include "sim/matrix.h"

namespace moveout::sim {

struct RunOptions {
  std::string profile;  // the mutant whose plan it is; empty: none
  bool mutated = true;  // … and which is switched on
  bool print = false;   // the trace
  std::string dump;     // a folder for the machine's files; empty: none
};
Verdict run_one(std::uint64_t seed, const RunOptions& options);
// A line of figures, and what failed.
std::string describe(const Verdict& verdict);

struct Range {
  std::uint64_t from = 1, to = 0;
  double minutes = 0;  // instead of `to`: as many as fit
  int jobs = 1;        // processes
  bool verbose = false;
};
// Runs every seed of the range and prints those that fail. `lost`: seeds whose process died under them.
struct Ran {
  Totals totals;
  std::uint64_t last = 0;
  std::uint64_t lost = 0;
};
Ran run_range(const Range& range, const RunOptions& options);

// Each seed in two processes, in opposite orders: their traces must be the same, line by line. True when they are.
bool replays_alike(std::uint64_t from, std::uint64_t to);

// A mutant on one seed: brought to light as it must be, and the same plan passes without it. Prints why not.
struct Caught {
  bool caught = false;
  bool clean = true;  // the plan passes without the mutant
  Finding by = Finding::None;
  std::string how;  // the first line of what was found
};
Caught try_mutant(const std::string& name, std::uint64_t seed);

}  // namespace moveout::sim
