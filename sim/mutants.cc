#include "sim/mutants.h"

#include <algorithm>

namespace moveout::sim {

namespace {

void rate(Plan& plan, Fault fault, std::uint64_t one_in) { plan.one_in[static_cast<std::size_t>(fault)] = one_in; }

void add_kill(Plan& plan, Phase phase, std::uint64_t boundary) {
  plan.blows.push_back({Fault::Kill, phase, boundary, 0, false});
}

}  // namespace

const std::vector<Mutant>& mutants() {
  static const std::vector<Mutant> all = {};
  return all;
}

const Mutant* find_mutant(std::string_view name) {
  const auto& all = mutants();
  const auto at = std::find_if(all.begin(), all.end(), [&](const Mutant& mutant) { return mutant.name == name; });
  return at == all.end() ? nullptr : &*at;
}

void sharpen(Plan& plan, std::string_view mutant) {
  const Mutant* found = find_mutant(mutant);
  if (found != nullptr && found->sharpen != nullptr) found->sharpen(plan);
}

}  // namespace moveout::sim
