// SigningLease: until when this process may sign writes that nothing guards, and from when on none of them can land
// (docs/consistency.md §3, M4).
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/permit.h"
#include "base/signal.h"
#include "base/task.h"
#include "state/store.h"

namespace moveout::state {

// The lease is renewed by commits on the condition that the owner epoch is still this process's, and each gives
// `duration` from the moment before the commit. So whoever takes the epoch knows: what an earlier owner signs, it signs
// before that moment + duration, however long it slept. The row stands as long as something signed may still land;
// where it is absent there is nothing to wait for.
struct LeaseRules {
  base::Millis duration{10000};
  base::Millis late_max{0};  // L
};

// Single executor.
class SigningLease final : public base::Permit {
 public:
  // row: "table/orders/signing". owner: the row that must still hold this process's epoch.
  SigningLease(Store& store, base::Clock& clock, std::string row, Expect owner, LeaseRules rules);
  // What an earlier process left. After the epoch was taken, before anything else.
  base::Task<base::Result<>> open();
  // Keeps the lease as long as writes are asked for, and takes the row away when nothing can land any more. Until
  // cancelled, or RunLocked.
  base::Task<base::Result<>> keep();
  // Returns when a write may be signed, for a while. RunLocked: another process has taken the run over.
  base::Task<base::Result<>> granted();
  bool may_sign() const override;
  // From then on nothing lands that an earlier process signed, or this one has signed so far.
  base::Steady quiet_from() const;

 private:
  base::Task<base::Result<>> renew();
  base::Task<base::Result<>> commit(std::optional<std::string> value);
  bool lasts(base::Micros more) const;

  Store& store_;
  base::Clock& clock_;
  std::string row_;
  Expect owner_;
  LeaseRules rules_;
  bool row_stands_ = false;
  bool busy_ = false;
  std::optional<base::Signal> freed_;
  base::Steady until_ = base::Steady::min();
  // The same on the wall: a machine that was suspended wakes with a steady clock that stood still.
  base::Instant until_wall_ = base::Instant::min();
  std::optional<base::Steady> earlier_;  // from then on nothing of an earlier process lands
  mutable std::optional<base::Steady> asked_, signed_;
};

}  // namespace moveout::state
