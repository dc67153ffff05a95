#include "aws/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "aws/decode.h"
#include "aws/errors.h"
#include "aws/retry_tokens.h"
#include "sigv4/signer.h"

namespace moveout::aws {
namespace {

using base::ErrorKind;
using base::Micros;
using base::Millis;

// A page damaged on its way is whole the next time; one that stays malformed never heals.
constexpr int kMalformedTries = 3;
constexpr int kChecksumTries = 8;
// A refused connection costs the server nothing: ask often, so that a restart is noticed at once.
constexpr Millis kRefusedWaitMax(1000);
constexpr Millis kLogEvery(10000);
// x-amz-retry-after may lengthen a wait by this much (the SDKs' bound).
constexpr Millis kRetryAfterMax(5000);
// A smaller difference than this is no reason for a refused signature: AWS allows five minutes.
constexpr Micros kSkewMin = std::chrono::seconds(30);

double seconds_of(Micros duration) { return static_cast<double>(duration.count()) / 1e6; }

std::optional<Millis> retry_after_of(const http::Headers& headers) {
  const std::string_view text = headers.get("x-amz-retry-after");
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || ec != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return Millis(std::min(value, std::int64_t{3600000}));
}

// What one attempt came to.
struct Attempt {
  Verdict verdict;
  std::shared_ptr<const std::string> body;  // of a success
  http::Headers headers;                    // of a REST call's success
  std::optional<Millis> retry_after;
  sigv4::Credentials credentials;  // it was signed with
};

Attempt failed(Fault fault, ErrorKind kind, std::string what) {
  Attempt attempt;
  attempt.verdict = {fault, {kind, std::move(what)}, {}};
  return attempt;
}

// One call's memory over its attempts.
struct Call {
  Call(std::string operation_name, std::string request_body, CallOptions call_options, const RetryPolicy& policy,
       base::Rng& rng)
      : operation(std::move(operation_name)),
        body(std::move(request_body)),
        options(std::move(call_options)),
        transient(policy.transient, rng),
        throttled(policy.throttled, rng),
        refused({policy.transient.base, std::min(policy.transient.cap, kRefusedWaitMax)}, rng) {}

  std::string operation;
  std::string body;
  CallOptions options;
  std::optional<RestCall> rest;
  base::Backoff transient;
  base::Backoff throttled;
  base::Backoff refused;
  int attempts = 0;
  int malformed = 0;
  int checksums = 0;
  bool credentials_renewed = false;
  bool clock_corrected = false;
  bool logged = false;
  int tokens_spent = 0;  // by the latest retry
  std::optional<base::Steady> first_failure;
};

}  // namespace

struct Client::State {
  State(ClientConfig c, http::Transport& t, CredentialsProvider& p, base::Clock& k, base::Rng r, base::Log& l)
      : config(std::move(c)), transport(t), credentials(p), clock(k), rng(r), log(l) {}

  CallContext context(const Call& call) const {
    return {call.operation, config.service, config.region, endpoint, call.options.subject};
  }

  base::Task<Attempt> attempt(Call& call);
  Attempt read(Call& call, http::Response response);
  Attempt read_rest(Call& call, http::Response response);
  base::Task<base::Result<Answer>> run(Call& call);
  // Nothing: try again after `wait`. Else the call's error.
  std::optional<base::Error> decide(Call& call, const Attempt& attempt, Micros* wait);
  std::optional<base::Error> renew_credentials(Call& call, const Attempt& attempt);
  std::optional<base::Error> correct_clock(Call& call, const Attempt& attempt);
  std::optional<base::Error> wait_for_retry(Call& call, const Attempt& attempt, Micros* wait);
  base::Error given_up(const Call& call, const Attempt& attempt, Micros elapsed) const;
  void log_retry(Call& call, const Attempt& attempt, Micros elapsed);
  void succeeded(const Call& call);

  ClientConfig config;
  http::Transport& transport;
  CredentialsProvider& credentials;
  base::Clock& clock;
  base::Rng rng;
  base::Log& log;
  std::string endpoint = config.endpoint.to_string();
  ClientCounters counters;
  RetryTokens tokens;
  sigv4::Signer signer;
  Gunzip gunzip;
  Micros skew{0};             // server's clock − ours, as far as it had to be corrected
  sigv4::Credentials latest;  // what the provider gave last
  std::optional<base::Steady> logged_at;
  bool reached = false;  // the endpoint answered something once
};

base::Task<Attempt> Client::State::attempt(Call& call) {
  base::Result<sigv4::Credentials> keys = co_await credentials.get();
  if (!keys) co_return failed(Fault::Definite, keys.error().kind, keys.error().what);
  latest = *keys;

  http::Request request;
  if (call.rest) {
    request = call.rest->request;
  } else {
    request.endpoint = config.endpoint;
    request.headers.reserve(8);
    request.headers.add("Content-Type", config.content_type);
    request.headers.add("X-Amz-Target", config.target_prefix + "." + call.operation);
    request.headers.add("Accept-Encoding", config.accept_gzip ? "gzip" : "identity");
    // What is sent once only needs no copy for another time.
    request.body = config.retry.retry ? call.body : std::move(call.body);
  }
  request.timeout = config.timeout;
  if (call.options.permit != nullptr && !call.options.permit->may_sign()) {
    co_return failed(Fault::Definite, ErrorKind::Conflict, "this process may not sign a write now");
  }
  signer.sign(request, *keys, config.region, config.service, clock.now() + skew);
  if (call.options.signed_at != nullptr) *call.options.signed_at = clock.steady();

  ++call.attempts;
  ++counters.requests;
  base::Result<http::Response> response = co_await transport.send(std::move(request));
  Attempt result;
  if (response) {
    result = call.rest ? read_rest(call, std::move(*response)) : read(call, std::move(*response));
  } else {
    switch (response.error().kind) {
      case ErrorKind::Unavailable:
        result = failed(Fault::Transient, ErrorKind::Unavailable, response.error().what);
        break;
      case ErrorKind::EndpointDown:
        result = failed(Fault::NotReached, ErrorKind::EndpointDown, response.error().what);
        break;
      case ErrorKind::Corrupt:
        result = failed(Fault::Malformed, ErrorKind::Corrupt, response.error().what);
        break;
      default:
        result = failed(Fault::Definite, response.error().kind, response.error().what);
    }
  }
  result.credentials = std::move(*keys);
  co_return result;
}

// From bytes as received to a verdict: checksum, coding, status, content; in this order, since the checksum is of the
// bytes as sent.
Attempt Client::State::read(Call& call, http::Response response) {
  Attempt attempt;
  attempt.retry_after = retry_after_of(response.headers);
  const auto refuse = [&](Fault fault, ErrorKind kind, std::string what) {
    attempt.verdict = {fault, {kind, std::move(what)}, {}};
    return attempt;
  };
  const std::string where = fmt::format("{} at {}", call.operation, endpoint);

  const std::string_view checksum = response.headers.get("x-amz-crc32");
  if (!checksum.empty() && !crc32_matches(checksum, *response.body)) {
    ++counters.crc_mismatches;
    return refuse(
        Fault::ChecksumMismatch, ErrorKind::Corrupt,
        fmt::format("{}: the checksum x-amz-crc32 does not fit the {} bytes received", where, response.body->size()));
  }
  const std::string_view coding = response.headers.get("content-encoding");
  if (coding == "gzip" || coding == "x-gzip") {
    base::Result<std::string> decoded = gunzip.decode(*response.body);
    if (!decoded) return refuse(Fault::Malformed, decoded.error().kind, where + ": " + decoded.error().what);
    response.body = std::make_shared<std::string>(std::move(*decoded));
  } else if (!coding.empty() && coding != "identity") {
    return refuse(Fault::Malformed, ErrorKind::Corrupt, where + ": a content coding that was not asked for");
  }
  if (response.status < 200 || response.status > 299) {
    attempt.verdict = judge(response, *response.body, context(call));
    return attempt;
  }
  attempt.body = std::move(response.body);
  if (call.options.check) {
    base::Result<> checked = call.options.check(attempt.body);
    if (!checked) {
      const Fault fault = checked.error().kind == ErrorKind::Corrupt ? Fault::Malformed : Fault::Definite;
      return refuse(fault, checked.error().kind, where + ": " + checked.error().what);
    }
  }
  return attempt;
}

// The bytes are the object's own, whatever its headers say of a coding.
Attempt Client::State::read_rest(Call& call, http::Response response) {
  Attempt attempt;
  attempt.retry_after = retry_after_of(response.headers);
  if (response.status < 200 || response.status > 299) {
    attempt.verdict = judge(response, read_xml_error(response), context(call));
    return attempt;
  }
  if (call.rest->check) {
    const base::Result<> checked = call.rest->check(response);
    if (!checked) {
      const Fault fault = checked.error().kind == ErrorKind::Corrupt ? Fault::Malformed : Fault::Definite;
      attempt.verdict = {
          fault,
          {checked.error().kind, fmt::format("{} at {}: {}", call.operation, endpoint, checked.error().what)},
          {}};
      return attempt;
    }
  }
  attempt.body = std::move(response.body);
  attempt.headers = std::move(response.headers);
  return attempt;
}

std::optional<base::Error> Client::State::decide(Call& call, const Attempt& attempt, Micros* wait) {
  *wait = Micros(0);
  const base::Error& error = attempt.verdict.error;
  const bool retry = config.retry.retry;
  // Whether the server acted on a write is open when its answer cannot be read.
  const auto unknown = [&] { return base::Error{ErrorKind::Unavailable, error.what}; };
  switch (attempt.verdict.fault) {
    case Fault::None:
    case Fault::Definite:
      return error;
    case Fault::CredentialsStale:
      return renew_credentials(call, attempt);
    case Fault::ClockSkew:
      return correct_clock(call, attempt);
    case Fault::Throttled:
      ++counters.throttles;
      if (!retry || call.options.return_throttles) return error;
      break;
    case Fault::Malformed:
      ++counters.malformed;
      if (!retry) return unknown();
      if (++call.malformed >= kMalformedTries) {
        return base::Error{error.kind, fmt::format("{}; so {} times over", error.what, call.malformed)};
      }
      break;
    case Fault::ChecksumMismatch:
      if (!retry) return unknown();
      if (++call.checksums >= kChecksumTries) {
        return base::Error{error.kind, fmt::format("{}; so {} times over", error.what, call.checksums)};
      }
      break;
    case Fault::Transient:
    case Fault::NotReached:
      if (!retry) return error;
      break;
  }
  return wait_for_retry(call, attempt, wait);
}

// Several calls may hear of the same stale keys: only the first of them asks the source again.
std::optional<base::Error> Client::State::renew_credentials(Call& call, const Attempt& attempt) {
  if (attempt.credentials == latest) credentials.invalidate();
  if (call.credentials_renewed || !config.retry.retry) return attempt.verdict.error;
  call.credentials_renewed = true;
  ++counters.retries;
  log.info("aws.credentials_renewed", {{"endpoint", endpoint}, {"operation", call.operation}});
  return std::nullopt;
}

std::optional<base::Error> Client::State::correct_clock(Call& call, const Attempt& attempt) {
  const base::Error& error = attempt.verdict.error;
  if (!attempt.verdict.server_time) {
    return base::Error{error.kind, error.what + "; is this machine's clock right? The answer does not say the time"};
  }
  const Micros measured = *attempt.verdict.server_time - clock.now();
  const bool skewed = std::chrono::abs(measured) >= kSkewMin;
  // Keys that ran out answer "request expired" as well.
  if (!skewed && error.kind == ErrorKind::CredentialsExpired) return renew_credentials(call, attempt);
  const std::string size =
      fmt::format("this machine's clock is {:.0f} s {} the server's", seconds_of(std::chrono::abs(measured)),
                  measured.count() > 0 ? "behind" : "ahead of");
  if (std::chrono::abs(measured - skew) >= std::chrono::seconds(1)) {
    ++counters.skew_corrections;
    log.warn("aws.clock_skew", {{"endpoint", endpoint},
                                {"skew_s", fmt::format("{:.0f}", seconds_of(measured))},
                                {"corrected", "in what is signed"},
                                {"advice", "set the clock by NTP"}});
  }
  skew = measured;
  if (!config.retry.retry) {
    return base::Error{ErrorKind::Throttled,
                       fmt::format("{}; {}, which the next request takes into account", error.what, size)};
  }
  if (call.clock_corrected) {
    return base::Error{
        ErrorKind::Denied,
        fmt::format("{}; {}; signing by the server's time did not help, so set the clock by NTP and give "
                    "the same command again",
                    error.what, size)};
  }
  call.clock_corrected = true;
  ++counters.retries;
  return std::nullopt;
}

std::optional<base::Error> Client::State::wait_for_retry(Call& call, const Attempt& attempt, Micros* wait) {
  const base::Steady now = clock.steady();
  if (!call.first_failure) call.first_failure = now;
  const Micros elapsed = now - *call.first_failure;
  const Fault fault = attempt.verdict.fault;
  reached = reached || fault != Fault::NotReached;
  const bool never = !reached && config.retry.give_up_unreached > base::Millis(0);
  const Micros limit = never ? config.retry.give_up_unreached : config.retry.give_up_after;
  const Micros left = limit - elapsed;
  if (left <= Micros(0)) return given_up(call, attempt, elapsed);

  call.tokens_spent = 0;
  if (fault == Fault::NotReached) {
    *wait = call.refused.next();
  } else {
    const bool throttled = fault == Fault::Throttled;
    const int cost = throttled ? RetryTokens::kThrottle : RetryTokens::kRetry;
    if (tokens.take(cost)) {
      call.tokens_spent = cost;
      *wait = throttled ? call.throttled.next() : call.transient.next();
    } else {
      // The endpoint fails more than it answers: a mover does not give up, but its retries must not be the load.
      const Micros cap = throttled ? config.retry.throttled.cap : config.retry.transient.cap;
      *wait = cap / 2 + Micros(static_cast<std::int64_t>(rng.unit() * static_cast<double>(cap.count()) / 2));
    }
  }
  if (attempt.retry_after) *wait = std::clamp<Micros>(*attempt.retry_after, *wait, *wait + kRetryAfterMax);
  *wait = std::min(*wait, left);
  ++counters.retries;
  log_retry(call, attempt, elapsed);
  return std::nullopt;
}

base::Error Client::State::given_up(const Call& call, const Attempt& attempt, Micros elapsed) const {
  const base::Error& seen = attempt.verdict.error;
  const std::string tries = fmt::format("{} tries in {:.0f} s", call.attempts, seconds_of(elapsed));
  if (attempt.verdict.fault == Fault::Throttled) {
    return {ErrorKind::Throttled, fmt::format("{}; still so after {}", seen.what, tries)};
  }
  return {ErrorKind::EndpointDown,
          fmt::format("{} gives no usable answer to {} ({}); seen last: {}; when it is back, the same command goes on",
                      endpoint, call.operation, tries, seen.what)};
}

// One line at once and then one every ten seconds, whatever the number of calls that wait.
void Client::State::log_retry(Call& call, const Attempt& attempt, Micros elapsed) {
  const base::Steady now = clock.steady();
  if (logged_at && now - *logged_at < kLogEvery) return;
  logged_at = now;
  call.logged = true;
  const std::vector<base::LogField> fields = {
      {"endpoint", endpoint},
      {"operation", call.operation},
      {"attempt", call.attempts},
      {"for_s", fmt::format("{:.0f}", seconds_of(elapsed))},
      {"gives_up_after_s", fmt::format("{:.0f}", seconds_of(config.retry.give_up_after))},
      {"seen", attempt.verdict.error.what}};
  if (attempt.verdict.fault == Fault::Throttled) {
    log.info("aws.throttled", fields);
  } else {
    log.warn("aws.retrying", fields);
  }
}

void Client::State::succeeded(const Call& call) {
  reached = true;
  tokens.refund(call.tokens_spent);
  if (!call.logged) return;
  log.info("aws.recovered", {{"endpoint", endpoint},
                             {"operation", call.operation},
                             {"attempts", call.attempts},
                             {"after_s", fmt::format("{:.1f}", seconds_of(clock.steady() - *call.first_failure))}});
}

Client::Client(ClientConfig config, http::Transport& transport, CredentialsProvider& credentials, base::Clock& clock,
               base::Rng rng, base::Log& log)
    : state_(std::make_unique<State>(std::move(config), transport, credentials, clock, rng, log)) {}

Client::~Client() = default;

base::Task<base::Result<Answer>> Client::call(std::string operation, std::string body, bool return_throttles) {
  CallOptions options;
  options.return_throttles = return_throttles;
  co_return co_await call(std::move(operation), std::move(body), std::move(options));
}

base::Task<base::Result<Answer>> Client::call(std::string operation, std::string body, CallOptions options) {
  State& state = *state_;
  Call call(std::move(operation), std::move(body), std::move(options), state.config.retry, state.rng);
  co_return co_await state.run(call);
}

base::Task<base::Result<Answer>> Client::call(std::string operation, RestCall rest, CallOptions options) {
  State& state = *state_;
  Call call(std::move(operation), {}, std::move(options), state.config.retry, state.rng);
  call.rest = std::move(rest);
  co_return co_await state.run(call);
}

base::Task<base::Result<Answer>> Client::State::run(Call& call) {
  for (;;) {
    Attempt result = co_await attempt(call);
    if (result.verdict.fault == Fault::None) {
      succeeded(call);
      co_return Answer{std::move(result.body), call.attempts, std::move(result.headers)};
    }
    Micros wait(0);
    std::optional<base::Error> error = decide(call, result, &wait);
    if (error) co_return base::fail(std::move(*error));
    if (wait > Micros(0)) co_await clock.sleep_for(wait);
  }
}

base::Task<> Client::pause_before_retry(int n) {
  State& state = *state_;
  base::Backoff backoff(state.config.retry.transient, state.rng);
  Micros wait(0);
  for (int i = 0; i < n; ++i) wait = backoff.next();
  co_await state.clock.sleep_for(wait);
}

const ClientCounters& Client::counters() const { return state_->counters; }
const ClientConfig& Client::config() const { return state_->config; }

}  // namespace moveout::aws
