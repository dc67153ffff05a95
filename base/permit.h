// Permit: whether this process may still sign a write. What a lease gives, and what it takes away from a process that
// slept.
#pragma once

namespace moveout::base {

class Permit {
 public:
  virtual ~Permit() = default;
  // contract: holds for a signing at this very moment: no wait between the answer and the instant that is signed.
  // Cheap.
  virtual bool may_sign() const = 0;
};

}  // namespace moveout::base
