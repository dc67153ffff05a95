// Server: indexes, capacity and tags: what is made like the source's table, and told, and nothing more.
#include <fmt/format.h>

#include <algorithm>

#include "sim/dynamodb/server.h"

namespace moveout::sim {

namespace json = base::json;

namespace {

constexpr std::size_t kLocalMax = 5, kGlobalMax = 20;

// The names in AttributeDefinitions.
std::set<std::string> defined_in(const Server::Object& args) {
  std::set<std::string> names;
  const json::value* definitions = args.if_contains("AttributeDefinitions");
  if (definitions == nullptr || !definitions->is_array()) return names;
  for (const json::value& each : definitions->as_array()) {
    if (!each.is_object()) continue;
    if (auto name = string_arg(each.as_object(), "AttributeName", ""); name && !name->empty()) names.insert(*name);
  }
  return names;
}

Api<std::string> note_keys(const json::value* schema, std::set<std::string>& used) {
  if (schema == nullptr || !schema->is_array() || schema->as_array().empty() || schema->as_array().size() > 2) {
    return refuse("ValidationException", "KeySchema has one or two elements");
  }
  for (const json::value& each : schema->as_array()) {
    if (!each.is_object()) return refuse("SerializationException", "KeySchema holds objects");
    auto name = string_arg(each.as_object(), "AttributeName", "");
    if (!name) return name;
    used.insert(*name);
  }
  return std::string();
}

Api<Trimmings::Index> index_of(const json::value& asked, bool global, Micros active_at, std::set<std::string>& used) {
  if (!asked.is_object()) return refuse("SerializationException", "an index is a map");
  const json::object& index = asked.as_object();
  auto name = string_arg(index, "IndexName", "");
  if (!name) return std::unexpected(name.error());
  if (name->size() < 3) return refuse("ValidationException", "IndexName: 3 to 255 of a-z A-Z 0-9 _ - .");
  if (auto noted = note_keys(index.if_contains("KeySchema"), used); !noted) return std::unexpected(noted.error());
  const json::value* projection = index.if_contains("Projection");
  if (projection == nullptr || !projection->is_object() || !projection->as_object().contains("ProjectionType")) {
    return refuse("ValidationException", "Projection is missing");
  }
  return Trimmings::Index{index, global, active_at};
}

Api<std::string> none_unused(const Server::Object& args, const std::set<std::string>& used) {
  const std::set<std::string> defined = defined_in(args);
  for (const std::string& name : used) {
    if (!defined.contains(name)) {
      return refuse("ValidationException", fmt::format("{} is not in AttributeDefinitions", name));
    }
  }
  if (defined.size() != used.size()) {
    return refuse("ValidationException",
                  "Number of attributes in KeySchema does not exactly match number of attributes defined in "
                  "AttributeDefinitions");
  }
  return std::string();
}

void note_attributes(const Server::Object& args, Trimmings& trimmings) {
  for (const json::value& each : args.at("AttributeDefinitions").as_array()) {
    auto& known = trimmings.attributes;
    if (std::find(known.begin(), known.end(), each) == known.end()) known.push_back(each);
  }
}

}  // namespace

Micros Server::creating() {
  if (options_.creating_max <= Micros(0)) return Micros(0);
  return Micros(rng_.below(static_cast<std::uint64_t>(options_.creating_max.count())));
}

Api<Trimmings> Server::trimmings_of(const Object& args) {
  Trimmings trimmings;
  std::set<std::string> used;
  if (auto noted = note_keys(args.if_contains("KeySchema"), used); !noted) return std::unexpected(noted.error());
  for (const bool global : {false, true}) {
    const json::value* list = args.if_contains(global ? "GlobalSecondaryIndexes" : "LocalSecondaryIndexes");
    if (list == nullptr) continue;
    if (!list->is_array() || list->as_array().empty() || list->as_array().size() > (global ? kGlobalMax : kLocalMax)) {
      return refuse("ValidationException", "One or more parameter values were invalid: list of indexes");
    }
    for (const json::value& each : list->as_array()) {
      auto index = index_of(each, global, Micros(0), used);
      if (!index) return std::unexpected(index.error());
      trimmings.indexes.push_back(std::move(*index));
    }
  }
  if (auto exact = none_unused(args, used); !exact) return std::unexpected(exact.error());
  note_attributes(args, trimmings);
  auto billing = string_arg(args, "BillingMode", "PROVISIONED");
  if (!billing) return std::unexpected(billing.error());
  const json::value* units = args.if_contains("ProvisionedThroughput");
  if ((*billing == "PROVISIONED") != (units != nullptr && units->is_object())) {
    return refuse("ValidationException", "ProvisionedThroughput goes with BillingMode PROVISIONED");
  }
  if (units != nullptr) {
    auto read = int_arg(units->as_object(), "ReadCapacityUnits", 0);
    auto write = int_arg(units->as_object(), "WriteCapacityUnits", 0);
    if (!read || !write || *read < 1 || *write < 1) return refuse("ValidationException", "capacity units: 1 and more");
    trimmings.read_units = *read;
    trimmings.write_units = *write;
  }
  return trimmings;
}

void Server::describe_trimmings(Table& table, Object& out) {
  const Trimmings& told = table.trimmings();
  out["ProvisionedThroughput"] =
      json::object{{"ReadCapacityUnits", told.read_units}, {"WriteCapacityUnits", told.write_units}};
  if (told.write_units == 0) out["BillingModeSummary"] = json::object{{"BillingMode", "PAY_PER_REQUEST"}};
  for (const bool global : {false, true}) {
    json::array list;
    for (const Trimmings::Index& index : told.indexes) {
      if (index.global != global) continue;
      json::object one = index.asked;
      if (global) one["IndexStatus"] = index.active_at <= scheduler_.now() ? "ACTIVE" : "CREATING";
      list.push_back(std::move(one));
    }
    if (!list.empty()) out[global ? "GlobalSecondaryIndexes" : "LocalSecondaryIndexes"] = std::move(list);
  }
}

// One index a request, one request at a time.
Api<std::string> Server::add_index(const Object& args, Table& table) {
  const json::value& updates = args.at("GlobalSecondaryIndexUpdates");
  if (!updates.is_array() || updates.as_array().size() != 1 || !updates.as_array()[0].is_object() ||
      !updates.as_array()[0].as_object().contains("Create")) {
    return refuse("ValidationException", "GlobalSecondaryIndexUpdates: one Create");
  }
  Trimmings& told = table.trimmings();
  const bool busy = !table.active(scheduler_.now()) || std::ranges::any_of(told.indexes, [&](const auto& index) {
    return index.active_at > scheduler_.now();
  });
  if (busy) return refuse("ResourceInUseException", "Attempt to change a resource which is still in use");
  std::set<std::string> used;
  auto index = index_of(updates.as_array()[0].as_object().at("Create"), true, scheduler_.now() + creating(), used);
  if (!index) return std::unexpected(index.error());
  for (const Trimmings::Index& other : told.indexes) {
    if (other.asked.at("IndexName") == index->asked.at("IndexName")) {
      return refuse("ValidationException", "Attempting to create an index which already exists");
    }
  }
  const std::set<std::string> defined = defined_in(args);
  for (const std::string& name : used) {
    if (!defined.contains(name)) {
      return refuse("ValidationException", fmt::format("{} is not in AttributeDefinitions", name));
    }
  }
  note_attributes(args, told);
  told.indexes.push_back(std::move(*index));
  return fmt::format(R"({{"TableDescription":{}}})", describe(table));
}

Api<std::string> Server::tag_resource(const Object& args) {
  if (auto known = check_members(args, {"ResourceArn", "Tags"}); !known) return known;
  auto arn = string_arg(args, "ResourceArn", "");
  if (!arn) return arn;
  Table* table = find(*arn);
  const json::value* tags = args.if_contains("Tags");
  if (table == nullptr) return refuse("ResourceNotFoundException", "Requested resource not found");
  if (tags == nullptr || !tags->is_array()) return refuse("ValidationException", "Tags is missing");
  for (const json::value& each : tags->as_array()) {
    if (!each.is_object()) return refuse("SerializationException", "Tags holds objects");
    auto key = string_arg(each.as_object(), "Key", "");
    auto value = string_arg(each.as_object(), "Value", "");
    if (!key || !value || key->empty()) return refuse("ValidationException", "a tag has a Key and a Value");
    if (key->starts_with("aws:")) return refuse("ValidationException", "tag keys must not begin with aws:");
    table->trimmings().tags[*key] = *value;
  }
  return std::string("{}");
}

Api<std::string> Server::list_tags(const Object& args) {
  if (auto known = check_members(args, {"ResourceArn", "NextToken"}); !known) return known;
  auto arn = string_arg(args, "ResourceArn", "");
  if (!arn) return arn;
  Table* table = find(*arn);
  if (table == nullptr) return refuse("ResourceNotFoundException", "Requested resource not found");
  json::array tags;
  for (const auto& [key, value] : table->trimmings().tags) tags.push_back(json::object{{"Key", key}, {"Value", value}});
  return json::serialize(json::object{{"Tags", std::move(tags)}});
}

}  // namespace moveout::sim
