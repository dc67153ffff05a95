// The list of mutants: named mistakes that the product's rooms can make on purpose, each with what brings it to light.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/plan.h"

namespace moveout::sim {

struct Mutant {
  std::string_view name;
  std::string_view mistake;     // in plain words, for docs/proof.md
  void (*sharpen)(Plan& plan);  // makes sure that a plan holds what exposes it; null: any plan does
};

const std::vector<Mutant>& mutants();
// Nothing for a name that is not in the list.
const Mutant* find_mutant(std::string_view name);
// Applies a mutant's sharpening to a plan.
void sharpen(Plan& plan, std::string_view mutant);

}  // namespace moveout::sim
