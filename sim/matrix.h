// Matrix: the faults by the phases they must strike in (docs/consistency.md §8), counted over many runs.
#pragma once

#include <string>
#include <vector>

#include "sim/world.h"

namespace moveout::sim {

struct Totals {
  std::uint64_t runs = 0;
  std::uint64_t failed = 0;
  std::uint64_t named_stops = 0;
  std::uint64_t claims = 0;
  std::uint64_t verdicts = 0;
  std::uint64_t accusations = 0;
  std::uint64_t lives = 0;
  Tally tally;
  std::vector<int> kills, fault_kinds;
  std::array<std::vector<std::uint64_t>, kPhases> writes;

  void add(const Figures& run);
  // The matrix and the medians.
  std::string text() const;
  // Where these runs fall short of docs/consistency.md §8: due cells of the matrix that stayed at 0, medians too low.
  std::vector<std::string> shortfalls() const;
};

}  // namespace moveout::sim
