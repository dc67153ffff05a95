// Which proxy a request goes through: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, as curl and the AWS CLI read them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/http.h"

namespace moveout::net {

struct Proxy {
  http::Endpoint endpoint;    // plain HTTP to the proxy; what goes through CONNECT is encrypted end to end
  std::string authorization;  // a Proxy-Authorization value, or empty; a secret
};

struct ProxyRules {
  std::optional<Proxy> for_http;
  std::optional<Proxy> for_https;
  // Lower case: "*", a host (itself and its subdomains, a leading dot allowed), host:port, an address.
  std::vector<std::string> except;

  // Nothing for loopback and for the metadata addresses of AWS, which no proxy can serve.
  const Proxy* pick(const http::Endpoint& endpoint) const;
};

// https_proxy, http_proxy, no_proxy; the lower-case name wins where both stand, an empty value counts as none.
// Usage error for a proxy URL that cannot be used (an https:// or socks proxy among them).
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
base::Result<ProxyRules> proxies_from(const Environment& environment);

}  // namespace moveout::net
