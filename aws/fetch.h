// Fetch: one question to a service that gives credentials. Internal to aws/.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "aws/environment.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/task.h"
#include "http/http.h"
#include "sigv4/credentials.h"

namespace moveout::aws {

// What the providers reach the world by. Lives longer than every provider.
struct Reach {
  Environment environment;
  http::Transport& services;  // STS and IAM Identity Center: through the user's proxies
  http::Transport& metadata;  // link-local and loopback addresses: never through a proxy
  base::Clock& clock;
  base::Log& log;
};

// An answer with keys is under 4 KB; session tokens are the most of it.
inline constexpr std::size_t kAnswerBytesMax = std::size_t{64} << 10;

struct Patience {
  int attempts = 3;
  base::Millis timeout{10000};  // of each attempt
  base::Millis wait{200};       // before the second attempt; doubled from then on
};

// Sends until an answer came whole: 2xx or 4xx. Errors, which name `who` and quote nothing of the answer: Corrupt for a
// redirect (never followed: it could lead keys and tokens anywhere) and for more than 64 KB; Unavailable or
// EndpointDown after the last attempt (5xx and 429 count as none); Usage as the transport says it.
base::Task<base::Result<http::Response>> fetch(http::Transport& transport, base::Clock& clock, http::Request request,
                                               Patience patience, std::string who);

// Can go into a header unharmed: printable ASCII, not empty, at most `size_max` bytes.
bool is_header_safe(std::string_view text, std::size_t size_max);

// What every answer with keys must keep: both keys there, nothing in them that could not be sent, an end that is a time
// (empty: none, unless needed). Corrupt, quoting nothing, otherwise.
base::Result<sigv4::Credentials> checked_keys(sigv4::Credentials keys, std::string_view expires, bool must_expire);

}  // namespace moveout::aws
