// Client: one AWS JSON service at one endpoint: signs, sends, checks, understands errors, retries what is harmless to
// retry.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aws/credentials.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/task.h"
#include "http/http.h"

namespace moveout::aws {

struct RetryPolicy {
  base::BackoffPolicy transient{base::Millis(25), base::Millis(20000)};
  base::BackoffPolicy throttled{base::Millis(1000), base::Millis(20000)};
  // A mover goes on: tries until this long after the first failure, then EndpointDown (or the throttle itself).
  base::Millis give_up_after{300000};
  // False: one attempt, and every answer that is not definite comes back as Unavailable (M4's unguarded writes).
  bool retry = true;
};

struct ClientConfig {
  http::Endpoint endpoint;
  std::string region = "us-east-1";
  std::string service = "dynamodb";                 // the signing name
  std::string target_prefix = "DynamoDB_20120810";  // X-Amz-Target's first half
  std::string content_type = "application/x-amz-json-1.0";
  RetryPolicy retry;
  bool accept_gzip = true;
  base::Millis timeout{60000};
};

struct Answer {
  std::shared_ptr<const std::string> body;  // decoded, crc checked
  int attempts = 1;
};

// Counted for metrics and for the scan's AIMD.
struct ClientCounters {
  std::uint64_t requests = 0;
  std::uint64_t retries = 0;
  std::uint64_t throttles = 0;
  std::uint64_t crc_mismatches = 0;
};

// Single executor. Errors: Throttled, Unavailable, EndpointDown, Denied (names the action), CredentialsExpired,
// NotFound, Conflict (ConditionalCheckFailed, ResourceInUse), TooLarge, Expired, Trimmed, Usage (ValidationException
// and the like: the server's message is quoted), Corrupt (a malformed answer, after retries). A clock skew is named
// with its size.
class Client {
 public:
  Client(ClientConfig config, http::Transport& transport, CredentialsProvider& credentials, base::Clock& clock,
         base::Rng rng, base::Log& log);
  ~Client();
  // One call, for instance ("Scan", body). With throttle_out, a throttle is returned at once as Throttled: the caller
  // paces.
  base::Task<base::Result<Answer>> call(std::string operation, std::string body, bool return_throttles = false);
  const ClientCounters& counters() const;
  const ClientConfig& config() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moveout::aws
