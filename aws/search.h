// Search: one walk through the places that may give keys, in the order of the AWS SDKs. Internal to aws/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aws/credentials.h"
#include "aws/metadata.h"
#include "aws/profile.h"

namespace moveout::aws {

// 1 the environment's keys, unless a profile is named by move.yaml or the URL · 2 the profile's role_arn, with the keys
// of source_profile or credential_source · 3 web identity: the environment's (unless a profile is named), else the
// profile's · 4 the profile's IAM Identity Center (SSO) · 5 its keys in the credentials file · 6 its credential_process
// · 7 its keys in the config file · 8 the container's · 9 the instance's. Then the role of move.yaml, with those keys.
// The first place that is there decides: when it fails no other is asked. Nothing is remembered between two walks but
// what `sso` could not save.
class Search {
 public:
  Search(const ChainConfig& config, Reach& reach, Sso& sso) : config_(config), reach_(reach), sso_(sso) {}
  // Errors end with the places looked at. Usage when none of them is there.
  base::Task<base::Result<Look>> run();

 private:
  // Profiles on the way from the one asked for to the one at hand.
  using Path = std::vector<std::string>;

  base::Task<base::Result<Look>> first_place();
  base::Task<base::Result<Look>> in_profile(Profile profile, Path path);
  base::Task<base::Result<Look>> by_role(Profile profile, Path path);
  base::Task<base::Result<Look>> role_source(Profile profile, Path path);
  base::Task<base::Result<Look>> by_web_identity(RoleWish role, std::string token_file);
  base::Task<base::Result<Look>> by_sso(SsoWish wish, std::string profile);
  base::Task<base::Result<Look>> by_process(std::string command, std::string profile);
  base::Result<ServicePlace> service(Api api, const std::string& region) const;
  base::Error no_keys() const;
  std::string looked_at() const;

  const ChainConfig& config_;
  Reach& reach_;
  Sso& sso_;
  Profile top_;                    // whose endpoint settings hold
  std::vector<std::string> seen_;  // places without keys
};

// A credential_process's answer: {"Version":1,"AccessKeyId":…}. Usage, quoting nothing of it, for anything else.
base::Result<sigv4::Credentials> parse_process_credentials(std::string_view json);

}  // namespace moveout::aws
