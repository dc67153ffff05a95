// Sts: a role's keys, for keys or for a web identity token.
#pragma once

#include <string>

#include "aws/endpoints.h"
#include "aws/fetch.h"
#include "base/error.h"
#include "base/task.h"
#include "sigv4/credentials.h"

namespace moveout::aws {

struct RoleWish {
  std::string arn;
  std::string session_name;  // empty: "moveout"
  std::string external_id;   // empty: none
  int duration_s = 0;        // 0: the service's own, one hour
};

// Usage for an ARN, session name, external id or duration that STS cannot take.
base::Result<> check_role(const RoleWish& role);

// Errors of both: Denied naming sts:AssumeRole… and the role, CredentialsExpired when what was shown has ended,
// Throttled, Unavailable, EndpointDown after a few attempts, Usage, Corrupt for an answer that is none. Never a secret.
base::Task<base::Result<sigv4::Credentials>> assume_role(Reach& reach, ServicePlace sts, RoleWish role,
                                                         sigv4::Credentials source);
// Not signed: the token is the proof.
base::Task<base::Result<sigv4::Credentials>> assume_role_with_web_identity(Reach& reach, ServicePlace sts,
                                                                           RoleWish role, std::string token);

}  // namespace moveout::aws
