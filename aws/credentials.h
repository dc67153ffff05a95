// Credentials: where a signature's keys come from. The providers ask in turn, as the AWS SDKs do.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aws/environment.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/task.h"
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
  bool endpoint_is_local = false;     // errors then say that any keys do
  base::Millis process_limit{60000};  // for a credential_process
};

// The environment's keys (unless a profile is named), then the profile: keys in the credentials file,
// credential_process, keys in the config file. Keys that expire are asked for again five minutes before; while that
// fails the old ones serve to their end. Single executor; one asks at a time, the others wait.
class CredentialsChain final : public CredentialsProvider {
 public:
  CredentialsChain(ChainConfig config, Environment environment, base::Clock& clock, base::Log& log);
  base::Task<base::Result<sigv4::Credentials>> get() override;
  void invalidate() override { stale_ = true; }

 private:
  base::Task<base::Result<sigv4::Credentials>> ask();
  base::Task<base::Result<sigv4::Credentials>> ask_process(std::string command, std::string profile);
  bool serves() const;
  bool due() const;

  ChainConfig config_;
  Environment environment_;
  base::Clock& clock_;
  base::Log& log_;
  std::optional<sigv4::Credentials> cached_;
  bool stale_ = false;
  bool asking_ = false;
  base::Instant next_ask_{};
};

// A credential_process's answer: {"Version":1,"AccessKeyId":…}. Usage, quoting nothing of it, for anything else.
base::Result<sigv4::Credentials> parse_process_credentials(std::string_view json);

}  // namespace moveout::aws
