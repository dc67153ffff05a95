// Reading answers: small accessors over Boost.JSON for documents without items. Internal to aws/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

namespace moveout::aws {

// A document whose top is an object; Corrupt otherwise.
base::Result<base::json::object> read_object(std::string_view body);
// The member, if it is there and an object.
const base::json::object* object_in(const base::json::object& object, std::string_view name);
const base::json::array* array_in(const base::json::object& object, std::string_view name);
// Empty when absent or null; Corrupt when it is something else.
base::Result<std::string> text_in(const base::json::object& object, std::string_view name);
// As text_in, and Corrupt when empty.
base::Result<std::string> required_text_in(const base::json::object& object, std::string_view name);
// 0 when absent or not a number.
std::int64_t integer_in(const base::json::object& object, std::string_view name);
bool bool_in(const base::json::object& object, std::string_view name);
// A timestamp: seconds since 1970, whole or not. The epoch when absent.
base::Instant instant_in(const base::json::object& object, std::string_view name);
// The epoch for what cannot be a time.
base::Instant instant_of_seconds(double seconds);

}  // namespace moveout::aws
