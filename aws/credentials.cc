#include "aws/credentials.h"

#include <fmt/format.h>

#include "aws/search.h"

namespace moveout::aws {
namespace {

using base::ErrorKind;
using Keys = base::Result<sigv4::Credentials>;

// The SDKs refresh so long before the end.
constexpr base::Micros kRefreshBefore = std::chrono::minutes(5);
// After a refresh that failed, or gave keys that end as soon.
constexpr base::Micros kAskAgainAfter = std::chrono::seconds(30);
constexpr base::Micros kLookAgainAfter = std::chrono::milliseconds(50);

}  // namespace

CredentialsChain::CredentialsChain(ChainConfig config, Environment environment, http::Transport& services,
                                   http::Transport& metadata, base::Clock& clock, base::Log& log)
    : config_(std::move(config)), reach_{std::move(environment), services, metadata, clock, log}, sso_(reach_) {}

// Not expired, and not called expired by the server.
bool CredentialsChain::serves() const {
  return cached_ && !stale_ && (!cached_->expires || *cached_->expires > reach_.clock.now());
}

bool CredentialsChain::due() const {
  const base::Instant now = reach_.clock.now();
  return !serves() || (cached_->expires && *cached_->expires - now <= kRefreshBefore && now >= next_ask_);
}

void CredentialsChain::keep(sigv4::Credentials keys, const std::string& place) {
  const auto left = keys.expires ? std::chrono::floor<std::chrono::seconds>(*keys.expires - reach_.clock.now())
                                 : std::chrono::seconds(0);
  reach_.log.info("aws.credentials",
                  {{"from", place}, {"ends_in_s", keys.expires ? std::to_string(left.count()) : "never"}});
  cached_ = std::move(keys);
  stale_ = false;
}

base::Task<Keys> CredentialsChain::get() {
  while (asking_ && !serves()) co_await reach_.clock.sleep_for(kLookAgainAfter);
  if (!due() || (asking_ && serves())) co_return *cached_;
  struct Asking {
    bool& on;
    explicit Asking(bool& flag) : on(flag) { on = true; }
    ~Asking() { on = false; }
  } asking(asking_);

  const bool had_some = cached_.has_value();
  Search search(config_, reach_, sso_);
  base::Result<Look> found = co_await search.run();
  next_ask_ = reach_.clock.now() + kAskAgainAfter;
  if (found && found->keys->expires && *found->keys->expires <= reach_.clock.now()) {
    found = base::fail(
        ErrorKind::CredentialsExpired,
        fmt::format("the credentials of access key {} have expired, and their source gives no newer ones ({})",
                    found->keys->access_key_id, found->place));
  }
  if (found) {
    keep(std::move(*found->keys), found->place);
    co_return *cached_;
  }
  const base::Error& error = found.error();
  if (serves()) {
    reach_.log.warn("aws.credentials_refresh_failed", {{"why", error.what}, {"old_ones", "serve to their end"}});
    co_return *cached_;
  }
  if (!had_some || error.kind == ErrorKind::CredentialsExpired) co_return base::fail(error);
  co_return base::fail(ErrorKind::CredentialsExpired,
                       "the credentials have expired and could not be renewed: " + error.what);
}

}  // namespace moveout::aws
