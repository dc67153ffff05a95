#include "aws/credentials.h"

#include <fmt/format.h>

#include "aws/answers.h"
#include "aws/profile.h"
#include "aws/times.h"

namespace moveout::aws {
namespace {

namespace json = base::json;
using base::ErrorKind;
using Keys = base::Result<sigv4::Credentials>;

// The SDKs refresh so long before the end.
constexpr base::Micros kRefreshBefore = std::chrono::minutes(5);
// After a refresh that failed, or gave keys that end as soon.
constexpr base::Micros kAskAgainAfter = std::chrono::seconds(30);
constexpr base::Micros kLookAgainAfter = std::chrono::milliseconds(50);

std::unexpected<base::Error> wrong(std::string what) { return base::fail(ErrorKind::Usage, std::move(what)); }

// Keys of the environment; nothing when none are set.
base::Result<std::optional<sigv4::Credentials>> environment_keys(const Environment& environment) {
  sigv4::Credentials keys;
  keys.access_key_id = environment.get("AWS_ACCESS_KEY_ID");
  keys.secret_access_key = environment.get("AWS_SECRET_ACCESS_KEY");
  keys.session_token = environment.get("AWS_SESSION_TOKEN");
  if (keys.access_key_id.empty() && keys.secret_access_key.empty()) return std::nullopt;
  if (keys.access_key_id.empty()) return wrong("AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not");
  if (keys.secret_access_key.empty()) return wrong("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not");
  if (const std::string expires = environment.get("AWS_CREDENTIAL_EXPIRATION"); !expires.empty()) {
    keys.expires = parse_iso_time(expires);
    if (!keys.expires) return wrong("AWS_CREDENTIAL_EXPIRATION is not a time like 2030-01-02T03:04:05Z");
  }
  return keys;
}

// Static keys of one section; nothing when there are none.
base::Result<std::optional<sigv4::Credentials>> section_keys(const Section& section, const std::string& where) {
  const auto get = [&](const char* name) {
    const auto found = section.find(name);
    return found == section.end() ? std::string() : found->second;
  };
  sigv4::Credentials keys{get("aws_access_key_id"), get("aws_secret_access_key"), get("aws_session_token"), {}};
  if (keys.access_key_id.empty() && keys.secret_access_key.empty()) return std::nullopt;
  if (keys.access_key_id.empty()) return wrong(where + " has aws_secret_access_key and no aws_access_key_id");
  if (keys.secret_access_key.empty()) return wrong(where + " has aws_access_key_id and no aws_secret_access_key");
  return keys;
}

// A source that other tools know and moveout does not ask: silence would mean other keys than the user thinks.
base::Result<> refuse_unknown_sources(const Profile& profile, bool has_keys) {
  const auto refuse = [&](const std::string& setting) {
    return wrong(
        fmt::format("profile \"{}\" takes its keys by {}, which moveout does not follow; give it as "
                    "credential_process = aws configure export-credentials --profile {} (in another profile)",
                    profile.name, setting, profile.name));
  };
  if (!profile.get("role_arn").empty()) return refuse("role_arn");
  if (has_keys) return {};
  for (const char* setting : {"sso_session", "sso_start_url", "web_identity_token_file", "login_session"}) {
    if (!profile.get(setting).empty()) return refuse(setting);
  }
  return {};
}

base::Error no_keys(const Environment& environment, const Profile& profile, const ChainConfig& config) {
  std::string what = "no AWS credentials; looked at: ";
  if (!profile.chosen) what += "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (not set); ";
  for (const std::string& file : profile.looked_at) what += fmt::format("profile \"{}\" in {}; ", profile.name, file);
  for (const char* variable : {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                               "AWS_CONTAINER_CREDENTIALS_FULL_URI"}) {
    if (!environment.get(variable).empty())
      what += fmt::format("{} is set, but moveout does not follow it; ", variable);
  }
  what += config.endpoint_is_local
              ? "the endpoint is local and may take any keys: AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local"
              : "set the two variables, or choose a profile with AWS_PROFILE or in move.yaml";
  return {ErrorKind::Usage, what};
}

}  // namespace

base::Result<sigv4::Credentials> parse_process_credentials(std::string_view text) {
  const auto refuse = [](const std::string& why) {
    return wrong("what it printed is not what a credential_process prints: " + why);
  };
  const auto object = read_object(text);
  if (!object) return refuse("not a JSON object");
  if (integer_in(*object, "Version") != 1) return refuse("Version is not 1");
  sigv4::Credentials keys;
  const auto id = required_text_in(*object, "AccessKeyId");
  const auto secret = required_text_in(*object, "SecretAccessKey");
  const auto token = text_in(*object, "SessionToken");
  const auto expires = text_in(*object, "Expiration");
  for (const auto* text_read : {&id, &secret, &token, &expires}) {
    if (!*text_read) return refuse(text_read->error().what);
  }
  keys = {*id, *secret, *token, {}};
  if (!expires->empty()) {
    keys.expires = parse_iso_time(*expires);
    if (!keys.expires) return refuse("Expiration is not a time like 2030-01-02T03:04:05Z");
  }
  return keys;
}

CredentialsChain::CredentialsChain(ChainConfig config, Environment environment, base::Clock& clock, base::Log& log)
    : config_(std::move(config)), environment_(std::move(environment)), clock_(clock), log_(log) {}

// Not expired, and not called expired by the server.
bool CredentialsChain::serves() const {
  return cached_ && !stale_ && (!cached_->expires || *cached_->expires > clock_.now());
}

bool CredentialsChain::due() const {
  return !serves() ||
         (cached_->expires && *cached_->expires - clock_.now() <= kRefreshBefore && clock_.now() >= next_ask_);
}

base::Task<Keys> CredentialsChain::get() {
  while (asking_ && !serves()) co_await clock_.sleep_for(kLookAgainAfter);
  if (!due() || (asking_ && serves())) co_return *cached_;
  struct Asking {
    bool& on;
    explicit Asking(bool& flag) : on(flag) { on = true; }
    ~Asking() { on = false; }
  } asking(asking_);

  const bool had_some = cached_.has_value();
  Keys keys = co_await ask();
  next_ask_ = clock_.now() + kAskAgainAfter;
  if (keys && keys->expires && *keys->expires <= clock_.now()) {
    keys = base::fail(ErrorKind::CredentialsExpired,
                      fmt::format("the credentials of access key {} have expired, and their source gives no newer ones",
                                  keys->access_key_id));
  }
  if (keys) {
    cached_ = std::move(*keys);
    stale_ = false;
    co_return *cached_;
  }
  if (serves()) {
    log_.warn("aws.credentials_refresh_failed", {{"why", keys.error().what}, {"old_ones", "serve to their end"}});
    co_return *cached_;
  }
  if (!had_some || keys.error().kind == ErrorKind::CredentialsExpired) co_return base::fail(keys.error());
  co_return base::fail(ErrorKind::CredentialsExpired,
                       "the credentials have expired and could not be renewed: " + keys.error().what);
}

base::Task<Keys> CredentialsChain::ask() {
  if (config_.profile.empty()) {
    const auto keys = environment_keys(environment_);
    if (!keys) co_return base::fail(keys.error());
    if (*keys) co_return **keys;
  }
  const auto profile = load_profile(environment_, config_.profile);
  if (!profile) co_return base::fail(profile.error());
  const auto in_credentials =
      section_keys(profile->credentials, fmt::format("profile \"{}\" in {}", profile->name, profile->looked_at[0]));
  if (!in_credentials) co_return base::fail(in_credentials.error());
  const auto in_config =
      section_keys(profile->config, fmt::format("profile \"{}\" in {}", profile->name, profile->looked_at[1]));
  if (!in_config) co_return base::fail(in_config.error());
  const std::string command = profile->get("credential_process");
  const bool has_keys = *in_credentials || *in_config || !command.empty();
  const base::Result<> known = refuse_unknown_sources(*profile, has_keys);
  if (!known) co_return base::fail(known.error());

  if (*in_credentials) co_return **in_credentials;
  if (!command.empty()) co_return co_await ask_process(command, profile->name);
  if (*in_config) co_return **in_config;
  co_return base::fail(no_keys(environment_, *profile, config_));
}

base::Task<Keys> CredentialsChain::ask_process(std::string command, std::string profile) {
  const std::string where = fmt::format("credential_process of profile \"{}\": ", profile);
  auto argv = split_command(command);
  if (!argv) co_return wrong(where + argv.error().what);
  const base::Result<std::string> output = co_await environment_.run(std::move(*argv), config_.process_limit);
  if (!output) co_return wrong(where + output.error().what);
  Keys keys = parse_process_credentials(*output);
  if (!keys) co_return wrong(where + keys.error().what);
  co_return keys;
}

}  // namespace moveout::aws
