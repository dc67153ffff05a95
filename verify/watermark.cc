#include "verify/verifier.h"

namespace moveout::verify {

base::Task<bool> FixedWait::passed(base::Steady instant, base::Millis) {
  co_await clock_.sleep_until(instant + wait_);
  co_return true;
}

}  // namespace moveout::verify
