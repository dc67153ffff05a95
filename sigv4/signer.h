// Signer: AWS Signature Version 4 in the Authorization header, of whole requests.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/http.h"
#include "sigv4/canonical.h"
#include "sigv4/credentials.h"
#include "sigv4/signing_key.h"

namespace moveout::sigv4 {

// Not thread-safe: holds the hashing contexts, scratch memory and the latest signing keys. One for each executor.
class Signer {
 public:
  // Adds Host, X-Amz-Date, X-Amz-Security-Token, Authorization, and for "s3" X-Amz-Content-SHA256; replaces what an
  // earlier signing put there. All headers present are signed but those that hops change (Connection, User-Agent, …),
  // so headers are complete before. The target is encoded as sent: its path is encoded once by the caller (uri_encode).
  // For other services a caller's X-Amz-Content-SHA256 is taken as the payload's hash.
  void sign(http::Request& request, const Credentials& credentials, std::string_view region, std::string_view service,
            base::Instant when);

 private:
  Sha256 sha256_;
  SigningKeys keys_;
  Canonical canonical_;
  std::string text_;
};

}  // namespace moveout::sigv4
