#include <fmt/format.h>

#include <algorithm>

#include "sim/dynamodb/server.h"

namespace moveout::sim {

namespace json = base::json;

Api<std::string> check_members(const Server::Object& args, std::initializer_list<std::string_view> known) {
  for (const auto& member : args) {
    const std::string_view name(member.key().data(), member.key().size());
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return refuse("ValidationException", fmt::format("the simulated server knows no member {} here", name));
    }
  }
  return std::string();
}

Api<std::string> string_arg(const Server::Object& args, std::string_view name, std::string fallback) {
  const json::value* value = args.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr) return fallback;
  if (!value->is_string()) return refuse("SerializationException", fmt::format("{} must be a string", name));
  return std::string(value->as_string());
}

Api<std::int64_t> int_arg(const Server::Object& args, std::string_view name, std::int64_t fallback) {
  const json::value* value = args.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr) return fallback;
  if (!value->is_int64()) return refuse("SerializationException", fmt::format("{} must be an integer", name));
  return value->as_int64();
}

Api<bool> bool_arg(const Server::Object& args, std::string_view name, bool fallback) {
  const json::value* value = args.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr) return fallback;
  if (!value->is_bool()) return refuse("SerializationException", fmt::format("{} must be a boolean", name));
  return value->as_bool();
}

Api<item::Item> item_arg(const json::value* value, std::string_view what) {
  if (value == nullptr || !value->is_object()) {
    return refuse("ValidationException", fmt::format("{} is missing or not a map", what));
  }
  auto item = item::parse_item(json::serialize(*value));
  if (!item) return refuse("ValidationException", fmt::format("{}: {}", what, item.error().what));
  return std::move(*item);
}

Api<item::Key> whole_key(const item::KeySchema& schema, const item::Item& item, bool only_key) {
  auto key = item::key_of(schema, item);
  if (!key) return refuse("ValidationException", "One of the required keys was not given a value, or a wrong one");
  if (only_key && item.size() != (schema.sort ? 2u : 1u)) {
    return refuse("ValidationException", "The provided key element does not match the schema");
  }
  return std::move(*key);
}

}  // namespace moveout::sim
