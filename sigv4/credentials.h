// What a request is signed with.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"

namespace moveout::sigv4 {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;             // empty: long-term keys
  std::optional<base::Instant> expires;  // nothing: never

  friend bool operator==(const Credentials&, const Credentials&) = default;
};

}  // namespace moveout::sigv4
