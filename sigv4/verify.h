// Verifier: the server's side of SigV4, for the proxy and for servers in tests.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/http.h"
#include "sigv4/canonical.h"
#include "sigv4/signer.h"
#include "sigv4/signing_key.h"

namespace moveout::sigv4 {

enum class Refusal {
  Missing,     // no Authorization header
  Incomplete,  // a part is absent or malformed, or a header that must be signed is not
  UnknownKey,  // no such access key, or not its session token
  WrongScope,  // signed for another day, region or service
  Skewed,      // too far from our clock: not valid yet, or no longer
  Payload,     // the payload hash is not the body's, or the body is unsigned
  Mismatch,    // the signature is not the request's
};
// The name DynamoDB uses for it, to stand behind "#" in __type.
std::string_view name_of(Refusal refusal);

struct VerifyOptions {
  std::string region = {};                     // empty: any
  std::string service = {};                    // empty: any
  base::Micros skew{std::chrono::minutes(5)};  // either way, at most 15 min
  bool unsigned_payload = false;               // accept UNSIGNED-PAYLOAD (S3 over TLS)
};

struct Verified {
  std::string access_key_id;
  std::string region;
  std::string service;
  base::Instant signed_at;
};

// Not thread-safe, as Signer.
class Verifier {
 public:
  using Lookup = std::function<std::optional<Credentials>(std::string_view access_key_id)>;
  Verifier(VerifyOptions options, Lookup lookup);

  // Host, X-Amz-Date and every X-Amz-* header that is there must be signed; signatures in the query are refused.
  std::expected<Verified, Refusal> verify(const http::Request& request, base::Instant now);

 private:
  VerifyOptions options_;
  Lookup lookup_;
  Sha256 sha256_;
  SigningKeys keys_;
  Canonical canonical_;
  std::string text_;
};

}  // namespace moveout::sigv4
