// Mutants: the smallest edits that bring a named mistake back, to show that the simulator would catch it.
// Compiled in only with MOVEOUT_MUTANTS; the release binary does not have the switch (tools check that).
#pragma once

#include <string>
#include <string_view>

namespace moveout::base {

#ifdef MOVEOUT_MUTANTS
// The one mutant that is on in this process; empty for none. Set before a run, by the simulator alone.
inline std::string& active_mutant() {
  static std::string name;
  return name;
}
inline bool mutant(std::string_view name) { return active_mutant() == name; }
#else
constexpr bool mutant(std::string_view) { return false; }
#endif

}  // namespace moveout::base
