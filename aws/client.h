// Client: one AWS service at one endpoint: signs, sends, checks, understands errors, retries what is harmless to
// retry.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aws/credentials.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/permit.h"
#include "base/rng.h"
#include "base/task.h"
#include "http/http.h"

namespace moveout::aws {

struct RetryPolicy {
  base::BackoffPolicy transient{base::Millis(25), base::Millis(20000)};
  base::BackoffPolicy throttled{base::Millis(1000), base::Millis(20000)};
  // A mover goes on: tries until this long after the first failure, then EndpointDown (or the throttle itself).
  base::Millis give_up_after{300000};
  // Until the endpoint was reached once by this client: a mistyped one is told soon. 0 = as give_up_after.
  base::Millis give_up_unreached{0};
  // False: one attempt, and every answer that is not definite comes back as Unavailable (M4's unguarded writes). What
  // was certainly not applied keeps its kind: Throttled (a refused signing time too: the clock is corrected for the
  // next request), EndpointDown for a connection refused, CredentialsExpired.
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
  http::Headers headers = {};  // of a REST call
};

// A call that is not JSON by POST: S3. Sent and judged by the same rules; the body comes back as it was sent, nothing
// decoded, and errors are XML.
struct RestCall {
  http::Request request;  // method, endpoint, target, headers, body; the timeout is the configuration's
  // Reads a successful answer, as CallOptions::check.
  std::function<base::Result<>(const http::Response& response)> check;
};

// Counted for metrics and for the scan's AIMD.
struct ClientCounters {
  std::uint64_t requests = 0;  // attempts sent
  std::uint64_t retries = 0;
  std::uint64_t throttles = 0;
  std::uint64_t crc_mismatches = 0;
  std::uint64_t malformed = 0;         // answers that `check` or the decoder refused
  std::uint64_t skew_corrections = 0;  // of the signing clock
};

struct CallOptions {
  // A throttle is returned at once as Throttled: the caller paces.
  bool return_throttles = false;
  // What the call is about, for errors: `table "orders"`.
  std::string subject;
  // Reads a successful body; runs before call() returns, may write into the caller's frame. Corrupt: the same request
  // is sent again, three times in all.
  std::function<base::Result<>(const std::shared_ptr<const std::string>& body)> check;
  // Told of each attempt when it is signed, by the monotonic clock: from then on it counts (L, docs/consistency.md §3).
  // Lives as long as the call.
  base::Steady* signed_at = nullptr;
  // Asked at each signing; when it says no, nothing is sent and the call is a Conflict. Lives as long as the call.
  const base::Permit* permit = nullptr;
};

// Single executor. Errors: Throttled, Unavailable, EndpointDown, Denied (names the action), CredentialsExpired,
// NotFound, Conflict (ConditionalCheckFailed, ResourceInUse), TooLarge, Expired, Trimmed, Usage (ValidationException
// and the like: the server's message is quoted), Corrupt (a malformed answer, after retries). A clock skew is measured
// by the server's Date and corrected in what is signed; when that does not help the error is Denied and names its size.
class Client {
 public:
  Client(ClientConfig config, http::Transport& transport, CredentialsProvider& credentials, base::Clock& clock,
         base::Rng rng, base::Log& log);
  ~Client();
  // One call, for instance ("Scan", body). With return_throttles, a throttle is returned at once as Throttled: the
  // caller paces.
  base::Task<base::Result<Answer>> call(std::string operation, std::string body, bool return_throttles = false);
  base::Task<base::Result<Answer>> call(std::string operation, std::string body, CallOptions options);
  // The same for a REST service; `operation` names it in errors and logs ("GetObject"). Harmless to send twice.
  base::Task<base::Result<Answer>> call(std::string operation, RestCall rest, CallOptions options);
  // Waits as before the n-th retry (from 1): for UnprocessedKeys and the like, which arrive in answers that are
  // successes.
  base::Task<> pause_before_retry(int n);
  const ClientCounters& counters() const;
  const ClientConfig& config() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moveout::aws
