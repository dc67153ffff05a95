#include "aws/fetch.h"

#include <fmt/format.h>

#include <algorithm>

#include "aws/times.h"

namespace moveout::aws {

using base::ErrorKind;

base::Task<base::Result<http::Response>> fetch(http::Transport& transport, base::Clock& clock, http::Request request,
                                               Patience patience, std::string who) {
  request.timeout = patience.timeout;
  const std::string where = who + " at " + request.endpoint.to_string();
  base::Error seen{ErrorKind::Unavailable, where};
  base::Millis wait = patience.wait;
  for (int attempt = 1;; ++attempt) {
    base::Result<http::Response> response = co_await transport.send(request);
    if (response) {
      const int status = response->status;
      if (response->body->size() > kAnswerBytesMax) {
        co_return base::fail(ErrorKind::Corrupt, where + " answered more than 64 KB");
      }
      if (status >= 300 && status < 400) {
        co_return base::fail(
            ErrorKind::Corrupt,
            fmt::format("{} answered with a redirect (HTTP status {}), which is not followed: it could "
                        "lead keys anywhere",
                        where, status));
      }
      if (status < 500 && status != 429) co_return std::move(*response);
      seen = {ErrorKind::Unavailable, fmt::format("{} answered HTTP status {}", where, status)};
    } else {
      seen = {response.error().kind, where + ": " + response.error().what};
      if (seen.kind != ErrorKind::Unavailable && seen.kind != ErrorKind::EndpointDown) co_return base::fail(seen);
    }
    if (attempt >= patience.attempts) co_return base::fail(seen);
    co_await clock.sleep_for(wait);
    wait *= 2;
  }
}

bool is_header_safe(std::string_view text, std::size_t size_max) {
  return !text.empty() && text.size() <= size_max &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7F'; });
}

base::Result<sigv4::Credentials> checked_keys(sigv4::Credentials keys, std::string_view expires, bool must_expire) {
  const auto refuse = [](const std::string& why) { return base::fail(ErrorKind::Corrupt, why); };
  if (!is_header_safe(keys.access_key_id, 256)) return refuse("no access key id that could be one");
  if (!is_header_safe(keys.secret_access_key, 1024)) return refuse("no secret access key that could be one");
  if (!keys.session_token.empty() && !is_header_safe(keys.session_token, 32768)) {
    return refuse("a session token that cannot be one");
  }
  keys.expires.reset();
  if (!expires.empty()) {
    keys.expires = parse_iso_time(expires);
    if (!keys.expires) return refuse("an expiration that is not a time like 2030-01-02T03:04:05Z");
  } else if (must_expire) {
    return refuse("no expiration");
  }
  return keys;
}

}  // namespace moveout::aws
