#include "aws/answers.h"

#include <cmath>

namespace moveout::aws {

namespace json = base::json;
using base::ErrorKind;

base::Result<json::object> read_object(std::string_view body) {
  base::Result<json::value> value = base::parse_json(body);
  if (!value) return base::fail(value.error());
  if (!value->is_object()) return base::fail(ErrorKind::Corrupt, "an answer that is not a JSON object");
  return std::move(value->as_object());
}

const json::object* object_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* array_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_array();
}

base::Result<std::string> text_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) return base::fail(ErrorKind::Corrupt, std::string(name) + " is not a text");
  return std::string(value->as_string());
}

base::Result<std::string> required_text_in(const json::object& object, std::string_view name) {
  base::Result<std::string> text = text_in(object, name);
  if (text && text->empty()) return base::fail(ErrorKind::Corrupt, std::string(name) + " is missing");
  return text;
}

std::int64_t integer_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return 0;
  json::error_code ec;
  const std::int64_t number = value->to_number<std::int64_t>(ec);
  return ec ? 0 : number;
}

bool bool_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

base::Instant instant_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return {};
  json::error_code ec;
  const double seconds = value->to_number<double>(ec);
  return ec ? base::Instant{} : instant_of_seconds(seconds);
}

base::Instant instant_of_seconds(double seconds) {
  // Up to the year 5138, so that µs fit; NaN fails the comparison.
  if (!(seconds >= 0 && seconds < 1e11)) return {};
  return base::instant_of_micros(std::llround(seconds * 1e6));
}

}  // namespace moveout::aws
