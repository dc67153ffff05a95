// SetAside: which keys a run has put into quarantine. The target has nothing of them (docs/consistency.md §3), so that
// a key which is missing there is a class of its own, and no difference.
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/task.h"

namespace moveout::verify {

class SetAside {
 public:
  virtual ~SetAside() = default;
  // contract: what holds() tells is no older than this call. An error ends the verification.
  virtual base::Task<base::Result<>> learn() = 0;
  // contract: whether the key (item::Key::encoded()) is set aside.
  virtual bool holds(std::string_view key) const = 0;
};

}  // namespace moveout::verify
