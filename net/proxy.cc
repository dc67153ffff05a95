#include "net/proxy.h"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cstdint>

namespace moveout::net {

using base::ErrorKind;
using base::fail;
using base::Result;

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

bool never_proxied(const std::string& host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  boost::system::error_code ec;
  const auto address = boost::asio::ip::make_address(host, ec);
  if (ec) return false;
  // Instance metadata, ECS credentials, EKS Pod Identity.
  static constexpr std::array<std::string_view, 5> metadata = {"169.254.169.254", "169.254.170.2", "169.254.170.23",
                                                               "fd00:ec2::254", "fd00:ec2::23"};
  const std::string text = address.to_string();
  return address.is_loopback() || std::find(metadata.begin(), metadata.end(), text) != metadata.end();
}

bool excepts(std::string_view rule, const std::string& host, std::uint16_t port) {
  if (rule == "*") return true;
  const std::size_t colon = rule.rfind(':');
  // One colon is a port; more are an IPv6 address.
  if (colon != std::string_view::npos && rule.find(':') == colon) {
    unsigned value = 0;
    const auto [end, ec] = std::from_chars(rule.data() + colon + 1, rule.data() + rule.size(), value);
    if (ec != std::errc() || end != rule.data() + rule.size() || value != port) return false;
    rule = rule.substr(0, colon);
  }
  if (rule.starts_with("*.")) rule.remove_prefix(1);
  if (rule.starts_with('.')) rule.remove_prefix(1);
  if (rule.empty() || !host.ends_with(rule)) return false;
  return host.size() == rule.size() || host[host.size() - rule.size() - 1] == '.';
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += i + j <= bytes.size() ? letters[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto [end, ec] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (ec != std::errc() || end != text.data() + i + 3) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

// The URL may hold a password: it is never repeated in the error.
Result<Proxy> parse_proxy(std::string_view name, std::string_view url) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorKind::Usage, std::string(name) + ": " + std::string(why));
  };
  if (url.find("://") != std::string_view::npos && !lower(url).starts_with("http://")) {
    return wrong("only an http:// proxy can be used");
  }
  if (const std::size_t scheme = url.find("://"); scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  Proxy proxy;
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    const std::optional<std::string> user = percent_decode(url.substr(0, at));
    if (!user) return wrong("the user or password is not percent-encoded as it should be");
    proxy.authorization = "Basic " + base64(user->find(':') == std::string::npos ? *user + ":" : *user);
    url.remove_prefix(at + 1);
  }
  auto endpoint = http::parse_endpoint("http://" + std::string(url));
  if (!endpoint) return wrong("not http://host[:port]");
  proxy.endpoint = std::move(*endpoint);
  return proxy;
}

}  // namespace

const Proxy* ProxyRules::pick(const http::Endpoint& endpoint) const {
  const std::optional<Proxy>& proxy = endpoint.tls ? for_https : for_http;
  if (!proxy) return nullptr;
  const std::string host = lower(endpoint.host);
  if (never_proxied(host)) return nullptr;
  const bool excepted = std::any_of(except.begin(), except.end(),
                                    [&](const std::string& rule) { return excepts(rule, host, endpoint.port); });
  return excepted ? nullptr : &*proxy;
}

Result<ProxyRules> proxies_from(const Environment& environment) {
  const auto value_of = [&](std::string_view small, std::string_view large) {
    std::optional<std::string> value = environment(small);
    if (!value) value = environment(large);
    return value.value_or(std::string());
  };
  ProxyRules rules;
  if (const std::string url = value_of("https_proxy", "HTTPS_PROXY"); !url.empty()) {
    auto proxy = parse_proxy("HTTPS_PROXY", url);
    if (!proxy) return fail(proxy.error());
    rules.for_https = std::move(*proxy);
  }
  if (const std::string url = value_of("http_proxy", "HTTP_PROXY"); !url.empty()) {
    auto proxy = parse_proxy("HTTP_PROXY", url);
    if (!proxy) return fail(proxy.error());
    rules.for_http = std::move(*proxy);
  }
  const std::string list = lower(value_of("no_proxy", "NO_PROXY"));
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find_first_of(", ", at), list.size());
    if (end > at) rules.except.emplace_back(list.substr(at, end - at));
    at = end + 1;
  }
  return rules;
}

}  // namespace moveout::net
