// Profile: what the shared files say under one name.
#pragma once

#include <string>
#include <vector>

#include "aws/environment.h"
#include "aws/ini.h"
#include "base/error.h"

namespace moveout::aws {

struct Profile {
  std::string name = "default";
  bool chosen = false;  // by move.yaml or the URL, which then go before the environment's keys and region
  Section credentials;  // its section of the credentials file
  Section config;       // its section of the config file
  Section services;     // the section [services …] that `services =` names; nested: "dynamodb.endpoint_url"
  Section sso_session;  // the section [sso-session …] that `sso_session =` names; empty when there is none
  std::vector<std::string> looked_at;  // for errors: each file, and whether it was there

  // From the config file, else the credentials file; empty when absent.
  std::string get(const std::string& setting) const;
};

// `chosen`: the name that move.yaml or the URL gives; empty: AWS_PROFILE, AWS_DEFAULT_PROFILE, "default". Reads
// AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials) and AWS_CONFIG_FILE (~/.aws/config). Usage for a file that cannot be
// read or parsed, and for a profile asked for by name that neither file has; `asked_by` then says by whom.
base::Result<Profile> load_profile(const Environment& environment, const std::string& chosen,
                                   std::string asked_by = "asked for");

}  // namespace moveout::aws
