// Walking over an answer that holds items, without trees: simdjson on-demand with our errors. Only for .cc files of
// aws/ (simdjson is a heavy header).
#pragma once

#include <simdjson.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "item/json.h"

namespace moveout::aws {

namespace ondemand = simdjson::ondemand;

// simdjson reads up to so many bytes over the end: a body without that room is copied into one with it.
inline std::shared_ptr<const std::string> with_padding(std::shared_ptr<const std::string> body) {
  if (body->capacity() - body->size() >= simdjson::SIMDJSON_PADDING) return body;
  auto copy = std::make_shared<std::string>();
  copy->reserve(body->size() + simdjson::SIMDJSON_PADDING);
  copy->append(*body);
  return copy;
}

// Calls `member(name, value)` for each member of the object; stops at the first error.
template <class Member>
simdjson::error_code each_member(ondemand::object object, Member&& member) {
  for (auto entry : object) {
    ondemand::field field;
    if (const auto error = std::move(entry).get(field)) return error;
    std::string_view name;
    if (const auto error = field.unescaped_key().get(name)) return error;
    if (const auto error = member(name, field.value())) return error;
  }
  return simdjson::SUCCESS;
}

template <class Member>
simdjson::error_code each_member(ondemand::value value, Member&& member) {
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;
  return each_member(object, std::forward<Member>(member));
}

template <class Element>
simdjson::error_code each_element(ondemand::value value, Element&& element) {
  ondemand::array array;
  if (const auto error = value.get_array().get(array)) return error;
  for (auto entry : array) {
    ondemand::value one;
    if (const auto error = std::move(entry).get(one)) return error;
    if (const auto error = element(one)) return error;
  }
  return simdjson::SUCCESS;
}

inline bool is_null(ondemand::value value) {
  bool null = false;
  return value.is_null().get(null) == simdjson::SUCCESS && null;
}

// The raw text of an object, which lies in the body; empty for null.
inline simdjson::error_code raw_object(ondemand::value value, std::string_view* out) {
  if (is_null(value)) return simdjson::SUCCESS;
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;
  return object.raw_json().get(*out);
}

// The raw text of an item, every attribute of which is well-formed; empty for null.
inline simdjson::error_code raw_item(ondemand::value value, std::string_view* out) {
  if (const auto error = raw_object(value, out)) return error;
  if (out->empty()) return simdjson::SUCCESS;
  const auto walked = item::for_each_attribute(*out, [](std::string_view, item::Type, std::string_view) {});
  return walked ? simdjson::SUCCESS : simdjson::TAPE_ERROR;
}

// Calls `member(name, value)` for each member of the answer, whose body has padding. Corrupt unless all of it is one
// JSON object; `what` names the answer.
template <class Member>
base::Result<> walk_answer(std::string_view what, const std::string& body, Member&& member) {
  ondemand::parser parser;
  ondemand::document document;
  ondemand::object top;
  simdjson::error_code error = parser.iterate(simdjson::padded_string_view(body, body.capacity())).get(document);
  if (!error) error = document.get_object().get(top);
  if (!error) error = each_member(top, std::forward<Member>(member));
  // At the end there is no location.
  if (!error && !document.current_location().error()) error = simdjson::TRAILING_CONTENT;
  if (!error) return {};
  return base::fail(base::ErrorKind::Corrupt,
                    std::string(what) + " that cannot be read: " + simdjson::error_message(error));
}

}  // namespace moveout::aws
