// VerifyOracle: what `moveout verify` said of the two sides, held against what they were while it looked. It knows all
// that the source ever was, and the target at the beginning and at the end: a row that has the same image and the same
// version at both stood like that all the time between.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/oracle.h"
#include "verify/verifier.h"

namespace moveout::sim {

// A key of the target at one instant.
struct Standing {
  std::optional<std::string> json;  // nothing: no live row
  std::int64_t version = -1;        // of the write that made it so; −1: the target does not know
  friend bool operator==(const Standing&, const Standing&) = default;
};
using Standings = std::map<std::string, Standing>;  // by Key::encoded()

// One verdict: of one verification, over all the processes it took.
struct Pass {
  Micros begin{0}, end{0};
  Standings before, after;  // at these times
  verify::Report report;
  std::string told_by;
  bool run_lived = false;  // at any time in between
};

// Nothing when the verdict is right. Wrong is
// - a key that is called neither different nor hot and stood different at every instant of the pass;
// - a key that is called different and was not, or not in the way that is said; without a run: not for 5 s;
// - a number of keys that does not fit the keys there were;
// - anything hot while nothing moved.
std::optional<std::string> find_wrong_verdict(const Table& table, const Pass& pass);

// A key that a verification beside a run called different, although what the run then wrote over it had been written to
// the source before the verification read the source for the last time, and nothing was written there since: the change
// was only on its way.
struct Accused {
  std::string key;
  Standing stood;    // in the target when it was accused
  Micros last_read;  // of the source
};
bool was_only_on_its_way(const Table& table, const Accused& accused, const Standings& now);

}  // namespace moveout::sim
