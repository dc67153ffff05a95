// Small JSON documents (requests, events, state): Boost.JSON, compiled once here. Item data goes through item/json.h.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::base {

namespace json = boost::json;

// Corrupt with the byte offset for text that is not JSON.
Result<json::value> parse_json(std::string_view text);

}  // namespace moveout::base
