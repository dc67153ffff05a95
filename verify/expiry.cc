#include "verify/expiry.h"

namespace moveout::verify {
namespace {

// "Items with an expiry older than five years are not deleted" (the DynamoDB developer guide). Without leap days: an
// item at the edge is rather compared than passed over.
constexpr std::int64_t kTooOld = std::int64_t{5} * 365 * 24 * 60 * 60;

}  // namespace

std::optional<std::int64_t> expires_at(const item::Item& item, const std::string& ttl_attribute) {
  if (ttl_attribute.empty()) return std::nullopt;
  const auto found = item.find(ttl_attribute);
  if (found == item.end()) return std::nullopt;
  const item::Number* number = found->second.if_a<item::Number>();
  std::int64_t seconds = 0;
  if (number == nullptr || !number->to_int64(&seconds)) return std::nullopt;
  return seconds;
}

bool expired(std::optional<std::int64_t> expires_at, base::Instant now) {
  if (!expires_at) return false;
  const std::int64_t seconds = base::micros_of(now) / 1'000'000;
  return *expires_at <= seconds && *expires_at > seconds - kTooOld;
}

}  // namespace moveout::verify
