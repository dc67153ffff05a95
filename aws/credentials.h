// Credentials: where a signature's keys come from. The providers ask in turn, as the AWS SDKs do.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/task.h"
#include "sigv4/credentials.h"

namespace moveout::aws {

class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  // contract: valid now, refreshed before they expire; cheap when cached. Usage with all places looked at when there
  // are none; CredentialsExpired when there were some and they cannot be refreshed.
  virtual base::Task<base::Result<sigv4::Credentials>> get() = 0;
  // contract: the server said these are expired: the next get() asks the source again.
  virtual void invalidate() = 0;
};

}  // namespace moveout::aws
