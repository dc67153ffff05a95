// Mutant: switches one on for as long as it lives. Tests of mutants stand within #ifdef MOVEOUT_MUTANTS.
#pragma once

#include "base/mutant.h"

namespace moveout::test {

#ifdef MOVEOUT_MUTANTS
struct Mutant {
  explicit Mutant(const char* name) { base::active_mutant() = name; }
  Mutant(const Mutant&) = delete;
  Mutant& operator=(const Mutant&) = delete;
  ~Mutant() { base::active_mutant().clear(); }
};
#endif

}  // namespace moveout::test
