#include "base/json.h"

#include <boost/json/src.hpp>

namespace moveout::base {

Result<json::value> parse_json(std::string_view text) {
  json::error_code ec;
  json::stream_parser parser;
  const std::size_t used = parser.write_some(text.data(), text.size(), ec);
  if (!ec) parser.finish(ec);
  if (!ec && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos) ec = json::error::extra_data;
  if (ec) return fail(ErrorKind::Corrupt, "not JSON at byte " + std::to_string(used) + ": " + ec.message());
  return parser.release();
}

}  // namespace moveout::base
