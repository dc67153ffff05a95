// Times as AWS writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace moveout::aws {

// All answer nothing for any other form, and for dates that do not exist.

// "Sun, 06 Nov 1994 08:49:37 GMT", the Date header.
std::optional<base::Instant> parse_http_date(std::string_view text);
// "2030-01-02T03:04:05Z", with a fraction, and with an offset ("+00:00") instead of Z; what credentials expire by.
std::optional<base::Instant> parse_iso_time(std::string_view text);
// The same form, in whole seconds (cut, not rounded), with Z.
std::string iso_time(base::Instant instant);
// "20130601T001500Z", as in X-Amz-Date.
std::optional<base::Instant> parse_amz_date(std::string_view text);

}  // namespace moveout::aws
