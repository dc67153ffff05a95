// The contract has teeth: each mutant of the SQLite target fails it.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/mutant.h"

#ifdef MOVEOUT_MUTANTS
namespace {

// Set for a run of this program by the test below.
const bool set_from_outside = [] {
  if (const char* name = std::getenv("MOVEOUT_CONTRACT_MUTANT")) moveout::base::active_mutant() = name;
  return true;
}();

int run_contract(const std::string& mutant) {
  const std::string command =
      "MOVEOUT_CONTRACT_MUTANT=" + mutant +
      " /proc/self/exe --test-case-exclude='the contract catches*,whatever write*' >/dev/null 2>&1";
  // The shell is another program: name this one.
  char self[4096];
  const ssize_t size = ::readlink("/proc/self/exe", self, sizeof self - 1);
  REQUIRE(size > 0);
  std::string exact = command;
  exact.replace(exact.find("/proc/self/exe"), 14, "'" + std::string(self, static_cast<std::size_t>(size)) + "'");
  return std::system(exact.c_str());
}

}  // namespace

TEST_CASE("the contract catches every mutant of the SQLite target") {
  REQUIRE(set_from_outside);
  CHECK(run_contract("none") == 0);
  for (const char* mutant : {"backfill_ignores_guard", "guard_on_key_only", "tombstone_forgotten", "no_owner_check",
                             "band_before_era", "replace_keeps_old_attributes", "checkpoint_before_data"}) {
    CAPTURE(mutant);
    CHECK(run_contract(mutant) != 0);
  }
}
#endif
