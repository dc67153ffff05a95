// The keys that a machine hands to what runs on it: ECS and EKS containers, EC2 instances.
#pragma once

#include <optional>
#include <string>

#include "aws/fetch.h"
#include "aws/profile.h"
#include "base/error.h"
#include "base/task.h"
#include "sigv4/credentials.h"

namespace moveout::aws {

// What looking at one place came to: its keys, or why there are none. An error instead of it: the place is there, and
// what it gives cannot be used; then no other is asked.
struct Look {
  std::optional<sigv4::Credentials> keys;
  std::string place;  // for people: what gave the keys, or "NAME (why there are none)"
};

// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI on 169.254.170.2, else AWS_CONTAINER_CREDENTIALS_FULL_URI, which is https, or
// on loopback or the link-local addresses of ECS and EKS (EKS Pod Identity). The Authorization header is what the file
// of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE holds now, else AWS_CONTAINER_AUTHORIZATION_TOKEN. Three tries of 2 s.
base::Task<base::Result<Look>> look_at_container(Reach& reach);

// The instance's role, by IMDSv2 alone: a session token of six hours, then the role's keys. One try of 1 s unless
// AWS_METADATA_SERVICE_TIMEOUT and AWS_METADATA_SERVICE_NUM_ATTEMPTS say otherwise. No keys: switched off by
// AWS_EC2_METADATA_DISABLED, nobody answers, no role.
base::Task<base::Result<Look>> look_at_instance(Reach& reach, Profile profile);

}  // namespace moveout::aws
