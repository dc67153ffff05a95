#include "aws/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "aws/answers.h"
#include "aws/errors.h"
#include "sigv4/canonical.h"

namespace moveout::aws {
namespace {

using base::ErrorKind;
using base::Millis;
using Looked = base::Result<Look>;

constexpr const char* kRelative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
constexpr const char* kFull = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
constexpr const char* kTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
constexpr const char* kToken = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
constexpr const char* kRolePath = "/latest/meta-data/iam/security-credentials/";

std::unexpected<base::Error> wrong(std::string what) { return base::fail(ErrorKind::Usage, std::move(what)); }

// {"AccessKeyId","SecretAccessKey","Token","Expiration"}
base::Result<sigv4::Credentials> keys_of(const std::string& body, bool must_expire) {
  const auto object = read_object(body);
  if (!object) return base::fail(ErrorKind::Corrupt, "the answer is not a JSON object");
  const std::string code = text_in(*object, "Code").value_or("");
  if (!code.empty() && code != "Success") return base::fail(ErrorKind::Denied, "it says " + shown_text(code));
  sigv4::Credentials keys;
  const auto id = required_text_in(*object, "AccessKeyId");
  const auto secret = required_text_in(*object, "SecretAccessKey");
  const auto token = required_text_in(*object, "Token");
  const auto expires = text_in(*object, "Expiration");
  for (const auto* text : {&id, &secret, &token, &expires}) {
    if (!*text) return base::fail(text->error());
  }
  return checked_keys({*id, *secret, *token, {}}, *expires, must_expire);
}

struct Url {
  http::Endpoint endpoint;
  std::string target;
};

base::Result<Url> parse_url(const std::string& text) {
  const std::size_t scheme = text.find("://");
  const std::size_t slash = scheme == std::string::npos ? scheme : text.find('/', scheme + 3);
  auto endpoint = http::parse_endpoint(text.substr(0, slash));
  if (!endpoint) return base::fail(endpoint.error());
  Url url{std::move(*endpoint), slash == std::string::npos ? "/" : text.substr(slash)};
  if (!is_header_safe(url.target, 2048)) return wrong("the path holds what cannot be sent");
  return url;
}

// Over plain HTTP keys come from this machine only, or from the addresses that ECS and EKS keep for this purpose.
bool may_be_plain(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  if (host == "169.254.170.2" || host == "169.254.170.23" || host == "fd00:ec2::23") return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

base::Result<Url> container_url(const Environment& environment) {
  if (const std::string path = environment.get(kRelative); !path.empty()) {
    if (!path.starts_with('/') || !is_header_safe(path, 2048)) {
      return wrong(std::string(kRelative) + " is not a path that begins with /");
    }
    return Url{{false, "169.254.170.2", 80}, path};
  }
  base::Result<Url> url = parse_url(environment.get(kFull));
  if (!url) return wrong(std::string(kFull) + ": " + url.error().what);
  if (!url->endpoint.tls && !may_be_plain(url->endpoint.host)) {
    return wrong(
        fmt::format("{}: plain http to {} would show keys to the network; https is expected, or a loopback "
                    "address, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]",
                    kFull, url->endpoint.host));
  }
  return url;
}

// Empty: none is needed.
base::Result<std::string> container_authorization(const Environment& environment) {
  std::string token;
  std::string where = kToken;
  if (const std::string path = environment.get(kTokenFile); !path.empty()) {
    base::Result<std::string> text = environment.read_file(path);
    if (!text) return wrong(std::string(kTokenFile) + ": " + text.error().what);
    token = std::move(*text);
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
    where = std::string(kTokenFile) + ": " + path;
    if (token.empty()) return wrong(where + " is empty");
  } else {
    token = environment.get(kToken);
  }
  // "Basic abc" has a blank within.
  const bool sound = token.size() <= 32768 && std::ranges::all_of(token, [](char c) { return c >= ' ' && c < '\x7F'; });
  if (!sound) return wrong(where + " holds what cannot stand in a header");
  return token;
}

struct InstanceSettings {
  http::Endpoint endpoint;
  Patience patience;
};

base::Result<int> whole_number(const std::string& name, const std::string& text, int otherwise, int most) {
  if (text.empty()) return otherwise;
  int value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    return wrong(fmt::format("{}: a whole number from 1 to {} is expected", name, most));
  }
  return value;
}

base::Result<InstanceSettings> instance_settings(const Environment& environment, const Profile& profile) {
  const auto setting = [&](const char* variable, const char* name) {
    const std::string value = environment.get(variable);
    return value.empty() ? profile.get(name) : value;
  };
  InstanceSettings settings;
  std::string endpoint = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
  std::string mode = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
  std::ranges::transform(mode, mode.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!mode.empty() && mode != "ipv4" && mode != "ipv6") {
    return wrong("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: ipv4 or ipv6 is expected");
  }
  if (endpoint.empty()) endpoint = mode == "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
  auto parsed = http::parse_endpoint(endpoint);
  if (!parsed) return wrong("AWS_EC2_METADATA_SERVICE_ENDPOINT: " + parsed.error().what);
  settings.endpoint = std::move(*parsed);
  const auto seconds = whole_number("AWS_METADATA_SERVICE_TIMEOUT",
                                    setting("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout"), 1, 60);
  if (!seconds) return base::fail(seconds.error());
  const auto attempts =
      whole_number("AWS_METADATA_SERVICE_NUM_ATTEMPTS",
                   setting("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts"), 1, 10);
  if (!attempts) return base::fail(attempts.error());
  settings.patience = {*attempts, Millis(*seconds * 1000), Millis(100)};
  return settings;
}

// One question to an instance's metadata; `token` empty asks for one.
base::Task<base::Result<http::Response>> ask_instance(Reach& reach, InstanceSettings settings, std::string target,
                                                      std::string token) {
  http::Request request;
  request.endpoint = settings.endpoint;
  request.target = std::move(target);
  if (token.empty()) {
    request.method = "PUT";
    request.headers.add("x-aws-ec2-metadata-token-ttl-seconds", "21600");
  } else {
    request.method = "GET";
    request.headers.add("x-aws-ec2-metadata-token", token);
  }
  co_return co_await fetch(reach.metadata, reach.clock, std::move(request), settings.patience, "EC2 instance metadata");
}

bool is_role_name(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_+=,.@-").find(c) != std::string_view::npos;
  });
}

}  // namespace

base::Task<Looked> look_at_container(Reach& reach) {
  const Environment& environment = reach.environment;
  if (environment.get(kRelative).empty() && environment.get(kFull).empty()) {
    co_return Look{{}, fmt::format("{} and {} (not set)", kRelative, kFull)};
  }
  const std::string who = "the container's credentials";
  base::Result<Url> url = container_url(environment);
  if (!url) co_return base::fail(url.error());
  const base::Result<std::string> authorization = container_authorization(environment);
  if (!authorization) co_return base::fail(authorization.error());
  http::Request request;
  request.method = "GET";
  request.endpoint = url->endpoint;
  request.target = url->target;
  request.headers.add("Accept", "application/json");
  if (!authorization->empty()) request.headers.add("Authorization", *authorization);
  const std::string where = who + " at " + url->endpoint.to_string();
  const auto response =
      co_await fetch(reach.metadata, reach.clock, std::move(request), {3, Millis(2000), Millis(1000)}, who);
  if (!response) co_return base::fail(response.error());
  if (response->status != 200) {
    co_return base::fail(ErrorKind::Denied, fmt::format("{} answered HTTP status {}{}", where, response->status,
                                                        authorization->empty() ? " (asked without a token)" : ""));
  }
  auto keys = keys_of(*response->body, false);
  if (!keys) co_return base::fail(keys.error().kind, where + ": " + keys.error().what);
  co_return Look{std::move(*keys), where};
}

base::Task<Looked> look_at_instance(Reach& reach, Profile profile) {
  const std::string name = "EC2 instance metadata";
  if (reach.environment.flag("AWS_EC2_METADATA_DISABLED")) {
    co_return Look{{}, name + " (switched off by AWS_EC2_METADATA_DISABLED)"};
  }
  const auto settings = instance_settings(reach.environment, profile);
  if (!settings) co_return base::fail(settings.error());
  const std::string where = name + " at " + settings->endpoint.to_string();
  const auto given = co_await ask_instance(reach, *settings, "/latest/api/token", "");
  if (!given && given.error().kind == ErrorKind::Corrupt) co_return base::fail(given.error());
  if (!given) co_return Look{{}, where + " (nobody answers)"};
  if (given->status != 200) {
    co_return Look{{}, fmt::format("{} (gives no IMDSv2 token, HTTP status {})", where, given->status)};
  }
  const std::string token = *given->body;
  if (!is_header_safe(token, 1024)) {
    co_return base::fail(ErrorKind::Corrupt, where + ": what it gave as an IMDSv2 token cannot be one");
  }
  const auto listed = co_await ask_instance(reach, *settings, kRolePath, token);
  if (!listed) co_return base::fail(listed.error());
  if (listed->status == 404) co_return Look{{}, where + " (the instance has no role)"};
  // One name; a line feed may follow.
  const std::string role = listed->body->substr(0, listed->body->find('\n'));
  if (listed->status != 200) {
    co_return base::fail(ErrorKind::Denied, fmt::format("{} answered HTTP status {}", where, listed->status));
  }
  if (!is_role_name(role)) {
    co_return base::fail(ErrorKind::Corrupt, where + ": what it gave as a role's name cannot be one");
  }
  const auto answer = co_await ask_instance(reach, *settings, kRolePath + sigv4::uri_encode(role, false), token);
  if (!answer) co_return base::fail(answer.error());
  const std::string of_role = fmt::format("{}, role {}", where, role);
  if (answer->status != 200) {
    co_return base::fail(ErrorKind::Denied, fmt::format("{}: HTTP status {}", of_role, answer->status));
  }
  auto keys = keys_of(*answer->body, true);
  if (!keys) co_return base::fail(keys.error().kind, of_role + ": " + keys.error().what);
  co_return Look{std::move(*keys), of_role};
}

}  // namespace moveout::aws
