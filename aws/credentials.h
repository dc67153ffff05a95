// Credentials: where a signature's keys come from. The providers ask in turn, as the AWS SDKs do.
#pragma once

#include <optional>
#include <string>

#include "aws/environment.h"
#include "aws/fetch.h"
#include "aws/sso.h"
#include "aws/sts.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/task.h"
#include "http/http.h"
#include "sigv4/credentials.h"

namespace moveout::aws {

class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  // contract: valid now, refreshed before they expire; cheap when cached. Usage with all places looked at when there
  // are none; CredentialsExpired when there were some and they cannot be refreshed.
  virtual base::Task<base::Result<sigv4::Credentials>> get() = 0;
  // contract: the server said these are expired: the next get() asks the source again.
  virtual void invalidate() = 0;
};

// The same keys always: for tests and for servers that take any.
class StaticCredentials final : public CredentialsProvider {
 public:
  explicit StaticCredentials(sigv4::Credentials credentials) : credentials_(std::move(credentials)) {}
  base::Task<base::Result<sigv4::Credentials>> get() override { co_return credentials_; }
  void invalidate() override {}

 private:
  sigv4::Credentials credentials_;
};

struct ChainConfig {
  std::string profile;                // that move.yaml or the URL names; empty: the environment decides
  RoleWish role;                      // that move.yaml or the URL names: taken with what the chain gives; no ARN: none
  std::string region = "us-east-1";   // whose STS is asked
  bool endpoint_is_local = false;     // errors then say that any keys do
  bool plain_http = false;            // STS and SSO may be asked without TLS beyond this machine
  base::Millis process_limit{60000};  // for a credential_process
};

// The chain of aws/search.h. Keys that expire are asked for again five minutes before; while that fails the old ones
// serve to their end. Single executor; one asks at a time, the others go on with the old ones or wait.
class CredentialsChain final : public CredentialsProvider {
 public:
  // services: STS and IAM Identity Center; metadata: link-local and loopback addresses, never through a proxy.
  CredentialsChain(ChainConfig config, Environment environment, http::Transport& services, http::Transport& metadata,
                   base::Clock& clock, base::Log& log);
  base::Task<base::Result<sigv4::Credentials>> get() override;
  void invalidate() override { stale_ = true; }

 private:
  bool serves() const;
  bool due() const;
  void keep(sigv4::Credentials keys, const std::string& place);

  ChainConfig config_;
  Reach reach_;
  Sso sso_;
  std::optional<sigv4::Credentials> cached_;
  bool stale_ = false;
  bool asking_ = false;
  base::Instant next_ask_{};
};

}  // namespace moveout::aws
