#include "aws/search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "aws/answers.h"
#include "aws/times.h"

namespace moveout::aws {
namespace {

using base::ErrorKind;
using Keys = base::Result<sigv4::Credentials>;
using Looked = base::Result<Look>;

constexpr const char* kEnvironment = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

std::unexpected<base::Error> wrong(std::string what) { return base::fail(ErrorKind::Usage, std::move(what)); }

// Keys of the environment; nothing when none are set.
Looked in_environment(const Environment& environment) {
  sigv4::Credentials keys;
  keys.access_key_id = environment.get("AWS_ACCESS_KEY_ID");
  keys.secret_access_key = environment.get("AWS_SECRET_ACCESS_KEY");
  keys.session_token = environment.get("AWS_SESSION_TOKEN");
  if (keys.access_key_id.empty() && keys.secret_access_key.empty()) {
    return Look{{}, std::string(kEnvironment) + " (not set)"};
  }
  if (keys.access_key_id.empty()) return wrong("AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not");
  if (keys.secret_access_key.empty()) return wrong("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not");
  if (const std::string expires = environment.get("AWS_CREDENTIAL_EXPIRATION"); !expires.empty()) {
    keys.expires = parse_iso_time(expires);
    if (!keys.expires) return wrong("AWS_CREDENTIAL_EXPIRATION is not a time like 2030-01-02T03:04:05Z");
  }
  return Look{std::move(keys), kEnvironment};
}

// Static keys of one section; nothing when there are none.
Looked in_section(const Section& section, const std::string& where) {
  const auto get = [&](const char* name) {
    const auto found = section.find(name);
    return found == section.end() ? std::string() : found->second;
  };
  sigv4::Credentials keys{get("aws_access_key_id"), get("aws_secret_access_key"), get("aws_session_token"), {}};
  if (keys.access_key_id.empty() && keys.secret_access_key.empty()) return Look{{}, where};
  if (keys.access_key_id.empty()) return wrong(where + " has aws_secret_access_key and no aws_access_key_id");
  if (keys.secret_access_key.empty()) return wrong(where + " has aws_access_key_id and no aws_secret_access_key");
  return Look{std::move(keys), where};
}

bool has_static_keys(const Profile& profile) {
  return !profile.get("aws_access_key_id").empty() || !profile.get("aws_secret_access_key").empty();
}

// With a token file the role is taken by web identity.
bool has_role(const Profile& profile) {
  return !profile.get("role_arn").empty() && profile.get("web_identity_token_file").empty();
}

std::string named(const Profile& profile) { return "profile \"" + profile.name + "\""; }

base::Result<RoleWish> role_of(const Profile& profile) {
  RoleWish role;
  role.arn = profile.get("role_arn");
  role.session_name = profile.get("role_session_name");
  role.external_id = profile.get("external_id");
  const std::string duration = profile.get("duration_seconds");
  const auto [end, ec] = std::from_chars(duration.data(), duration.data() + duration.size(), role.duration_s);
  if (!duration.empty() && (ec != std::errc() || end != duration.data() + duration.size() || role.duration_s == 0)) {
    return wrong(named(profile) + ": duration_seconds is not a number of seconds");
  }
  if (!profile.get("mfa_serial").empty()) {
    return wrong(named(profile) +
                 " asks for a code of a device (mfa_serial), and nobody would be there to type the next one in the "
                 "middle of a move; use a profile of IAM Identity Center, a role without mfa_serial, or give the keys "
                 "by credential_process");
  }
  if (base::Result<> sound = check_role(role); !sound) return wrong(named(profile) + ": " + sound.error().what);
  return role;
}

}  // namespace

base::Result<sigv4::Credentials> parse_process_credentials(std::string_view text) {
  const auto refuse = [](const std::string& why) {
    return wrong("what it printed is not what a credential_process prints: " + why);
  };
  const auto object = read_object(text);
  if (!object) return refuse("not a JSON object");
  if (integer_in(*object, "Version") != 1) return refuse("Version is not 1");
  const auto id = required_text_in(*object, "AccessKeyId");
  const auto secret = required_text_in(*object, "SecretAccessKey");
  const auto token = text_in(*object, "SessionToken");
  const auto expires = text_in(*object, "Expiration");
  for (const auto* text_read : {&id, &secret, &token, &expires}) {
    if (!*text_read) return refuse(text_read->error().what);
  }
  Keys keys = checked_keys({*id, *secret, *token, {}}, *expires, false);
  if (!keys) return refuse(keys.error().what);
  return keys;
}

std::string Search::looked_at() const { return fmt::format("looked at: {}", fmt::join(seen_, "; ")); }

base::Error Search::no_keys() const {
  return {ErrorKind::Usage,
          fmt::format("no AWS credentials; {}; {}", looked_at(),
                      config_.endpoint_is_local
                          ? "the endpoint is local and may take any keys: AWS_ACCESS_KEY_ID=local "
                            "AWS_SECRET_ACCESS_KEY=local"
                          : "set the two variables, or choose a profile with AWS_PROFILE or in move.yaml")};
}

base::Result<ServicePlace> Search::service(Api api, const std::string& region) const {
  base::Result<ServicePlace> place = resolve_service(api, region, reach_.environment, top_);
  if (place && !place->endpoint.tls && !is_loopback(place->endpoint) && !config_.plain_http) {
    return wrong("endpoint " + place->endpoint.to_string() +
                 ": plain HTTP beyond this machine would show keys to the network; use https://");
  }
  return place;
}

base::Task<Looked> Search::run() {
  Looked found = co_await first_place();
  if (found && !found->keys) found = base::fail(no_keys());
  if (found && !config_.role.arn.empty()) {
    const base::Result<> sound = check_role(config_.role);
    if (!sound) co_return base::fail(sound.error());
    const auto sts = service(Api::Sts, config_.region);
    if (!sts) co_return base::fail(sts.error());
    const Keys keys = co_await assume_role(reach_, *sts, config_.role, *found->keys);
    if (keys) co_return Look{*keys, "role " + config_.role.arn + ", with keys of " + found->place};
    seen_.push_back(found->place);
    found = base::fail(keys.error());
  }
  if (!found && !seen_.empty() && found.error().what.find("; looked at: ") == std::string::npos) {
    found = base::fail(found.error().kind, found.error().what + "; " + looked_at());
  }
  co_return found;
}

base::Task<Looked> Search::first_place() {
  const bool chosen = !config_.profile.empty();
  if (!chosen) {
    Looked look = in_environment(reach_.environment);
    if (!look || look->keys) co_return look;
    seen_.push_back(look->place);
  }
  const auto profile = load_profile(reach_.environment, config_.profile);
  if (!profile) co_return base::fail(profile.error());
  top_ = *profile;
  Looked look = co_await in_profile(*profile, {profile->name});
  if (!look || look->keys) co_return look;
  look = co_await look_at_container(reach_);
  if (!look || look->keys) co_return look;
  seen_.push_back(look->place);
  look = co_await look_at_instance(reach_, *profile);
  if (look && !look->keys) seen_.push_back(look->place);
  co_return look;
}

base::Task<Looked> Search::in_profile(Profile profile, Path path) {
  const bool is_source = path.size() > 1;
  if (has_role(profile) && !(is_source && has_static_keys(profile))) {
    co_return co_await by_role(std::move(profile), std::move(path));
  }
  const auto variable = [&](const char* name) {
    return is_source || profile.chosen ? std::string() : reach_.environment.get(name);
  };
  const auto either = [&](const char* name, const char* setting) {
    const std::string value = variable(name);
    return value.empty() ? profile.get(setting) : value;
  };
  if (const std::string file = either("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file"); !file.empty()) {
    RoleWish role;
    role.arn = either("AWS_ROLE_ARN", "role_arn");
    role.session_name = either("AWS_ROLE_SESSION_NAME", "role_session_name");
    if (role.arn.empty()) {
      co_return wrong("a web identity token file is named, and no role for it: AWS_ROLE_ARN, or role_arn of " +
                      named(profile));
    }
    co_return co_await by_web_identity(std::move(role), file);
  }
  auto sso = sso_wish(profile);
  if (!sso) co_return base::fail(sso.error());
  if (*sso) co_return co_await by_sso(std::move(**sso), profile.name);

  const auto place = [&](std::size_t file) { return fmt::format("{} in {}", named(profile), profile.looked_at[file]); };
  Looked look = in_section(profile.credentials, place(0));
  if (!look || look->keys) co_return look;
  if (!profile.get("login_session").empty()) {
    co_return wrong(fmt::format(
        "{} takes its keys by login_session, which moveout does not follow; give it as credential_process = aws "
        "configure export-credentials --profile {} (in another profile)",
        named(profile), profile.name));
  }
  if (std::string command = profile.get("credential_process"); !command.empty()) {
    co_return co_await by_process(std::move(command), profile.name);
  }
  look = in_section(profile.config, place(1));
  if (look && !look->keys) {
    seen_.push_back(place(0));
    seen_.push_back(place(1));
  }
  co_return look;
}

base::Task<Looked> Search::by_role(Profile profile, Path path) {
  const base::Result<RoleWish> role = role_of(profile);
  if (!role) co_return base::fail(role.error());
  const auto sts = service(Api::Sts, config_.region);
  if (!sts) co_return base::fail(sts.error());
  Looked source = co_await role_source(profile, std::move(path));
  if (!source) co_return source;
  const Keys keys = co_await assume_role(reach_, *sts, *role, *source->keys);
  if (!keys) {
    seen_.push_back(source->place);
    co_return base::fail(keys.error());
  }
  co_return Look{*keys, fmt::format("role {} of {}, with keys of {}", role->arn, named(profile), source->place)};
}

// The keys that a profile's role is taken with; never none.
base::Task<Looked> Search::role_source(Profile profile, Path path) {
  const std::string name = profile.get("source_profile");
  const std::string source = profile.get("credential_source");
  if (name.empty() == source.empty()) {
    co_return wrong(
        fmt::format("{} has role_arn and {} source_profile {} credential_source: one of them says whose keys "
                    "take the role",
                    named(profile), name.empty() ? "neither" : "both", name.empty() ? "nor" : "and"));
  }
  Looked look = Look{};
  if (source == "Environment") {
    look = in_environment(reach_.environment);
  } else if (source == "EcsContainer") {
    look = co_await look_at_container(reach_);
  } else if (source == "Ec2InstanceMetadata") {
    look = co_await look_at_instance(reach_, profile);
  } else if (!source.empty()) {
    co_return wrong(
        fmt::format("{}: credential_source \"{}\" is none of Environment, EcsContainer, Ec2InstanceMetadata",
                    named(profile), source));
  } else {
    // A profile may be its own source, when it has keys beside the role.
    const bool itself = name == profile.name && path.size() == 1 && has_static_keys(profile);
    const bool round = std::ranges::find(path, name) != path.end() && !itself;
    path.push_back(name);
    if (round) co_return wrong(fmt::format("source_profile goes round in a circle: {}", fmt::join(path, " → ")));
    const auto next =
        load_profile(reach_.environment, name, fmt::format("named as source_profile by {}", named(profile)));
    if (!next) co_return base::fail(next.error());
    look = co_await in_profile(*next, std::move(path));
  }
  if (look && !look->keys) {
    if (!look->place.empty()) seen_.push_back(look->place);
    const std::string which = source.empty() ? "source_profile \"" + name : "credential_source \"" + source;
    co_return wrong(fmt::format("{} takes its role with the keys of {}\", and there are none", named(profile), which));
  }
  co_return look;
}

base::Task<Looked> Search::by_web_identity(RoleWish role, std::string token_file) {
  if (const base::Result<> sound = check_role(role); !sound) co_return base::fail(sound.error());
  const auto sts = service(Api::Sts, config_.region);
  if (!sts) co_return base::fail(sts.error());
  const std::string place = fmt::format("role {} by the web identity token in {}", role.arn, token_file);
  base::Result<std::string> token = reach_.environment.read_file(token_file);
  if (!token) co_return wrong("the web identity token file: " + token.error().what);
  while (!token->empty() && (token->back() == '\n' || token->back() == '\r' || token->back() == ' ')) token->pop_back();
  if (!is_header_safe(*token, 20000)) {
    co_return wrong("the web identity token file " + token_file + " holds no token");
  }
  Keys keys = co_await assume_role_with_web_identity(reach_, *sts, std::move(role), std::move(*token));
  if (!keys) {
    seen_.push_back(place);
    co_return base::fail(keys.error());
  }
  co_return Look{std::move(*keys), place};
}

base::Task<Looked> Search::by_sso(SsoWish wish, std::string profile) {
  const auto portal = service(Api::Sso, wish.region);
  if (!portal) co_return base::fail(portal.error());
  const auto oidc = service(Api::SsoOidc, wish.region);
  if (!oidc) co_return base::fail(oidc.error());
  const std::string place = fmt::format("IAM Identity Center (SSO) of profile \"{}\", role {} in account {}", profile,
                                        wish.role_name, wish.account_id);
  Keys keys = co_await sso_.keys(std::move(wish), *portal, *oidc, std::move(profile));
  if (!keys) {
    seen_.push_back(place);
    co_return base::fail(keys.error());
  }
  co_return Look{std::move(*keys), place};
}

base::Task<Looked> Search::by_process(std::string command, std::string profile) {
  const std::string where = fmt::format("credential_process of profile \"{}\"", profile);
  auto argv = split_command(command);
  if (!argv) co_return wrong(where + ": " + argv.error().what);
  const base::Result<std::string> output = co_await reach_.environment.run(std::move(*argv), config_.process_limit);
  if (!output) co_return wrong(where + ": " + output.error().what);
  Keys keys = parse_process_credentials(*output);
  if (!keys) co_return wrong(where + ": " + keys.error().what);
  co_return Look{std::move(*keys), where};
}

}  // namespace moveout::aws
