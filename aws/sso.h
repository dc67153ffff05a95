// Sso: keys from IAM Identity Center, by the token that `aws sso login` left in the cache.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "aws/endpoints.h"
#include "aws/fetch.h"
#include "aws/profile.h"
#include "base/error.h"
#include "base/json.h"
#include "base/task.h"
#include "sigv4/credentials.h"

namespace moveout::aws {

// What a profile says of it, by sso_session or in the older form without.
struct SsoWish {
  std::string session;  // empty: the older form, whose token cannot be refreshed
  std::string start_url;
  std::string region;
  std::string account_id;
  std::string role_name;
};

// Nothing when the profile has neither sso_account_id nor sso_role_name. Usage, naming what is missing, or what profile
// and session say differently.
base::Result<std::optional<SsoWish>> sso_wish(const Profile& profile);

// ~/.aws/sso/cache/<SHA-1 of the session's name, or of the start URL>.json
std::string sso_cache_path(const SsoWish& wish, const Environment& environment);

// One executor.
class Sso {
 public:
  explicit Sso(Reach& reach) : reach_(reach) {}
  // The role's keys. A session's token is refreshed in its last 15 minutes and written back to the cache for the other
  // tools; while that fails it serves to its end. CredentialsExpired, naming the command that helps, when there is
  // none, it has ended, or the portal does not take it; Denied when the role is not assigned.
  base::Task<base::Result<sigv4::Credentials>> keys(SsoWish wish, ServicePlace portal, ServicePlace oidc,
                                                    std::string profile);

 private:
  base::Task<base::Result<std::string>> token(SsoWish wish, ServicePlace oidc, std::string login);
  base::Task<base::Result<base::json::object>> refreshed(SsoWish wish, ServicePlace oidc, base::json::object cached);

  Reach& reach_;
  // What the cache did not take (a read-only home folder), by its path.
  std::map<std::string, base::json::object> unsaved_;
};

}  // namespace moveout::aws
