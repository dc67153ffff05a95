#include "aws/sso.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "aws/answers.h"
#include "aws/errors.h"
#include "aws/times.h"
#include "sigv4/canonical.h"

namespace moveout::aws {
namespace {

namespace json = base::json;
using base::ErrorKind;
using Keys = base::Result<sigv4::Credentials>;

// As the SDKs do.
constexpr base::Micros kRefreshBefore = std::chrono::minutes(15);
constexpr std::size_t kTokenBytesMax = 16384;

std::unexpected<base::Error> wrong(std::string what) { return base::fail(ErrorKind::Usage, std::move(what)); }

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  MOVEOUT_ASSERT(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) == 1);
  std::string out;
  for (unsigned int i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

// "2030-01-02T03:04:05Z"; old tools wrote "UTC" for the Z.
std::optional<base::Instant> time_in(const json::object& object, std::string_view name) {
  base::Result<std::string> text = text_in(object, name);
  if (!text) return std::nullopt;
  if (text->ends_with("UTC")) text->replace(text->size() - 3, 3, "Z");
  return parse_iso_time(*text);
}

bool is_digits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

base::Result<std::optional<SsoWish>> sso_wish(const Profile& profile) {
  SsoWish wish;
  wish.account_id = profile.get("sso_account_id");
  wish.role_name = profile.get("sso_role_name");
  if (wish.account_id.empty() && wish.role_name.empty()) return std::nullopt;
  const std::string where = "profile \"" + profile.name + "\"";
  wish.session = profile.get("sso_session");
  if (!wish.session.empty() && profile.sso_session.empty()) {
    return wrong(fmt::format("{} names sso_session \"{}\", and the config file has no [sso-session {}]", where,
                             wish.session, wish.session));
  }
  const auto setting = [&](const std::string& name, std::string& into) -> base::Result<> {
    into = profile.get(name);
    const auto in_session = profile.sso_session.find(name);
    if (in_session == profile.sso_session.end() || in_session->second.empty()) return {};
    if (!into.empty() && into != in_session->second) {
      return wrong(fmt::format("{} and its sso-session \"{}\" give two values of {}", where, wish.session, name));
    }
    into = in_session->second;
    return {};
  };
  for (const auto& [name, into] :
       {std::pair{"sso_start_url", &wish.start_url}, std::pair{"sso_region", &wish.region},
        std::pair{"sso_account_id", &wish.account_id}, std::pair{"sso_role_name", &wish.role_name}}) {
    if (base::Result<> read = setting(name, *into); !read) return base::fail(read.error());
    if (into->empty()) return wrong(fmt::format("{} uses IAM Identity Center (SSO) and has no {}", where, name));
  }
  if (!is_digits(wish.account_id)) return wrong(where + ": sso_account_id is not a number");
  return wish;
}

std::string sso_cache_path(const SsoWish& wish, const Environment& environment) {
  return environment.get("HOME") + "/.aws/sso/cache/" + sha1_hex(wish.session.empty() ? wish.start_url : wish.session) +
         ".json";
}

// New tokens for the refresh token. The answer's text goes into the cache, never into an error.
base::Task<base::Result<json::object>> Sso::refreshed(SsoWish wish, ServicePlace oidc, json::object cached) {
  json::object ask;
  for (const char* name : {"clientId", "clientSecret", "refreshToken"}) {
    const auto text = required_text_in(cached, name);
    if (!text) co_return base::fail(ErrorKind::CredentialsExpired, "the cached token cannot be refreshed");
    ask[name] = *text;
  }
  const auto registered_until = time_in(cached, "registrationExpiresAt");
  if (registered_until && *registered_until <= reach_.clock.now()) {
    co_return base::fail(ErrorKind::CredentialsExpired, "the cached token cannot be refreshed any more");
  }
  ask["grantType"] = "refresh_token";
  http::Request request;
  request.endpoint = oidc.endpoint;
  request.target = "/token";
  request.headers.add("Content-Type", "application/json");
  request.body = json::serialize(ask);
  const auto response = co_await fetch(reach_.services, reach_.clock, std::move(request), Patience{}, "SSO OIDC");
  if (!response) co_return base::fail(response.error());
  const std::string where = "SSO OIDC at " + oidc.endpoint.to_string();
  if (response->status != 200) {
    const auto said = read_object(*response->body);
    const std::string name = said ? shown_text(text_in(*said, "error").value_or("")) : "";
    co_return base::fail(ErrorKind::CredentialsExpired, fmt::format("{} does not refresh the token (HTTP status {} {})",
                                                                    where, response->status, name.substr(0, 60)));
  }
  const auto answer = read_object(*response->body);
  const auto token = answer ? required_text_in(*answer, "accessToken") : base::fail(ErrorKind::Corrupt, "");
  const std::int64_t seconds = answer ? integer_in(*answer, "expiresIn") : 0;
  if (!token || !is_header_safe(*token, kTokenBytesMax) || seconds <= 0 || seconds > 366 * 86400) {
    co_return base::fail(ErrorKind::Corrupt, where + ": its answer is not a token with an end");
  }
  json::object fresh = std::move(cached);
  fresh["startUrl"] = wish.start_url;
  fresh["region"] = wish.region;
  fresh["accessToken"] = *token;
  fresh["expiresAt"] = iso_time(reach_.clock.now() + std::chrono::seconds(seconds));
  if (const auto next = text_in(*answer, "refreshToken"); next && !next->empty()) fresh["refreshToken"] = *next;
  co_return fresh;
}

// The access token, refreshed when its end is near.
base::Task<base::Result<std::string>> Sso::token(SsoWish wish, ServicePlace oidc, std::string login) {
  const auto ended = [&login](const std::string& why) {
    return base::fail(ErrorKind::CredentialsExpired, why + "; log in again: " + login);
  };
  const std::string path = sso_cache_path(wish, reach_.environment);
  const base::Result<std::string> text = reach_.environment.read_file(path);
  if (!text && !unsaved_.contains(path)) {
    if (text.error().kind != ErrorKind::NotFound) co_return wrong(text.error().what);
    co_return ended("nobody is logged in to IAM Identity Center: " + path + " does not exist");
  }
  base::Result<json::object> cached = text ? read_object(*text) : base::fail(text.error());
  // The epoch where none is told: long ago, and far enough from the type's own end to be reckoned with.
  const auto end_of = [](const json::object& object) { return time_in(object, "expiresAt").value_or(base::Instant{}); };
  if (const auto own = unsaved_.find(path); own != unsaved_.end()) {
    if (!cached || end_of(*cached) < end_of(own->second)) cached = own->second;
  }
  if (!cached) co_return ended(path + " is not a cached token");
  const base::Instant now = reach_.clock.now();
  if (!wish.session.empty() && end_of(*cached) - kRefreshBefore <= now) {
    base::Result<json::object> fresh = co_await refreshed(wish, oidc, *cached);
    if (fresh) {
      cached = std::move(fresh);
      const base::Result<> saved = reach_.environment.write_file(path, json::serialize(*cached));
      if (saved) {
        unsaved_.erase(path);
      } else {
        unsaved_.insert_or_assign(path, *cached);
        reach_.log.warn("aws.sso_token_not_saved", {{"why", saved.error().what}, {"other_tools", "have the old one"}});
      }
    } else if (end_of(*cached) <= now) {
      if (fresh.error().kind != ErrorKind::CredentialsExpired) co_return base::fail(fresh.error());
      co_return ended("the token of IAM Identity Center in " + path + " has ended: " + fresh.error().what);
    } else {
      reach_.log.warn("aws.sso_refresh_failed", {{"why", fresh.error().what}, {"old_one", "serves to its end"}});
    }
  }
  const auto token = text_in(*cached, "accessToken");
  if (!token || !is_header_safe(*token, kTokenBytesMax) || !time_in(*cached, "expiresAt")) {
    co_return ended(path + " is not a cached token with an end");
  }
  if (end_of(*cached) <= now) co_return ended("the token of IAM Identity Center in " + path + " has ended");
  co_return *token;
}

base::Task<Keys> Sso::keys(SsoWish wish, ServicePlace portal, ServicePlace oidc, std::string profile) {
  const std::string login = "aws sso login --profile " + profile;
  const base::Result<std::string> bearer = co_await token(wish, oidc, login);
  if (!bearer) co_return base::fail(bearer.error());
  http::Request request;
  request.method = "GET";
  request.endpoint = portal.endpoint;
  request.target = "/federation/credentials?role_name=" + sigv4::uri_encode(wish.role_name, false) +
                   "&account_id=" + sigv4::uri_encode(wish.account_id, false);
  request.headers.add("x-amz-sso_bearer_token", *bearer);
  request.headers.add("Accept", "application/json");
  const auto response = co_await fetch(reach_.services, reach_.clock, std::move(request), Patience{}, "SSO portal");
  if (!response) co_return base::fail(response.error());
  const std::string where = "SSO portal at " + portal.endpoint.to_string();
  const std::string role = fmt::format("role {} in account {}", wish.role_name, wish.account_id);
  if (response->status == 401) {
    co_return base::fail(ErrorKind::CredentialsExpired, where + " does not take the token; log in again: " + login);
  }
  if (response->status != 200) {
    co_return base::fail(ErrorKind::Denied,
                         fmt::format("{} does not give {} (HTTP status {}); is it assigned to the user?", where, role,
                                     response->status));
  }
  const auto refuse = [&](const std::string& why) {
    return base::fail(ErrorKind::Corrupt, fmt::format("{} gave no keys for {}: {}", where, role, why));
  };
  const auto answer = read_object(*response->body);
  const json::object* given = answer ? object_in(*answer, "roleCredentials") : nullptr;
  if (given == nullptr) co_return refuse("the answer is not what was expected");
  const auto id = required_text_in(*given, "accessKeyId");
  const auto secret = required_text_in(*given, "secretAccessKey");
  const auto session = required_text_in(*given, "sessionToken");
  for (const auto* text : {&id, &secret, &session}) {
    if (!*text) co_return refuse(text->error().what);
  }
  // Milliseconds since 1970.
  const std::int64_t end_ms = integer_in(*given, "expiration");
  if (end_ms <= 0 || end_ms > std::int64_t{253402300799000}) co_return refuse("no expiration that could be one");
  Keys keys = checked_keys({*id, *secret, *session, {}}, "", false);
  if (!keys) co_return refuse(keys.error().what);
  keys->expires = base::instant_of_micros(end_ms * 1000);
  co_return keys;
}

}  // namespace moveout::aws
