// Expiry: which items the table's TTL has given up. Such an item on one side alone is a class of its own, and no
// difference (docs/consistency.md §5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "item/value.h"

namespace moveout::verify {

// Seconds since 1970, when the attribute is a number; nothing else makes an item expire. Pure.
std::optional<std::int64_t> expires_at(const item::Item& item, const std::string& ttl_attribute);
// DynamoDB's rule: the time is past, and by no more than five years.
bool expired(std::optional<std::int64_t> expires_at, base::Instant now);

}  // namespace moveout::verify
