// Settler: says of single keys whether both sides agree, while both of them move (docs/consistency.md §5).
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "target/target.h"
#include "verify/source.h"
#include "verify/verifier.h"

namespace moveout::verify {

//   glances: R, T … ──► R1 ──► wait: applied has passed R1 ──► V1, T1 ──► glances ──► R2 ──► wait ──► V2, T2 ──► …
// Equal as soon as R = T, which most keys are at a glance, without any wait. Different when Rn = Rn+1 ≠ Tn = Tn+1 and
// the target's version did not move from Vn to Vn+1: then no change of the key was under way, and the target will stay
// as it is. Where the target keeps no versions, no change of the key may have been captured from before Tn to after
// Tn+1. Everything else is read again; what the source changes between glances is not waited for.
// What is missing in the target at a verdict, and was set aside, is `quarantined`: the version did not move, so nothing
// newer of it is on its way.
// Where nothing is known of what is applied, there are no glances and the wait lies between two looks: R1, V1, T1 ──►
// wait ──► R2, V2, T2.
class Settler {
 public:
  Settler(const Config& config, Source& source, target::Target& target, Watermark& watermark, base::Clock& clock)
      : config_(config), source_(source), target_(target), watermark_(watermark), clock_(clock) {}

  // Adds what is found of these keys (sorted, distinct) to the report. Keys that neither side has count as matched when
  // `absent_matches`. One wait a round serves all keys.
  base::Task<base::Result<>> settle(std::vector<item::Key> keys, std::uint64_t seed, bool absent_matches,
                                    Report& report);
  // One glance alone: those that are not equal now.
  base::Task<base::Result<std::vector<item::Key>>> unequal(std::vector<item::Key> keys, std::uint64_t seed);

 private:
  struct Pending;
  static std::vector<Pending> pending_of(std::vector<item::Key> keys);
  static void take(std::vector<Pending>& into, std::vector<Pending> more);
  base::Task<base::Result<>> glance(std::vector<Pending>& pending, std::vector<Pending>& moving, std::uint64_t seed,
                                    bool absent_matches, Report& report);
  base::Task<base::Result<>> glance_once(std::vector<Pending>& pending, std::vector<Pending>& moving,
                                         std::uint64_t seed, bool absent_matches, Report& report);
  base::Task<base::Result<>> look_and_wait(std::vector<Pending>& pending, std::vector<Pending>& moving,
                                           std::uint64_t seed, bool absent_matches, Report& report);
  base::Task<base::Result<bool>> wait(base::Steady looked, std::vector<Pending>& pending, std::vector<Pending>& moving,
                                      std::uint64_t seed, bool absent_matches, Report& report);
  base::Task<base::Result<>> look_now(std::vector<Pending>& pending, std::uint64_t seed);
  base::Task<base::Result<>> read_source(std::vector<Pending>& pending, std::uint64_t seed);
  base::Task<base::Result<>> read_target(std::vector<Pending>& pending, std::uint64_t seed);

  const Config& config_;
  Source& source_;
  target::Target& target_;
  Watermark& watermark_;
  base::Clock& clock_;
};

}  // namespace moveout::verify
