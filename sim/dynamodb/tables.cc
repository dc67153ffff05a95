// Server: the operations on tables.
#include <fmt/format.h>

#include <algorithm>

#include "sim/dynamodb/server.h"

namespace moveout::sim {

namespace json = base::json;

namespace {

bool valid_name(std::string_view name) {
  if (name.size() < 3 || name.size() > 255) return false;
  for (char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.') return false;
  }
  return true;
}

Api<item::KeyAttribute> key_attribute(const json::value& element, const Server::Object& args, std::string_view role) {
  if (!element.is_object()) return refuse("SerializationException", "KeySchema holds objects");
  auto name = string_arg(element.as_object(), "AttributeName", "");
  auto type = string_arg(element.as_object(), "KeyType", "");
  if (!name) return std::unexpected(name.error());
  if (!type) return std::unexpected(type.error());
  if (*type != role) return refuse("ValidationException", "KeySchema: HASH first, then RANGE");
  const json::value* definitions = args.if_contains("AttributeDefinitions");
  if (definitions == nullptr || !definitions->is_array()) {
    return refuse("ValidationException", "AttributeDefinitions is missing");
  }
  for (const json::value& each : definitions->as_array()) {
    if (!each.is_object()) return refuse("SerializationException", "AttributeDefinitions holds objects");
    auto defined = string_arg(each.as_object(), "AttributeName", "");
    auto letter = string_arg(each.as_object(), "AttributeType", "");
    if (!defined || !letter || *defined != *name) continue;
    if (*letter != "S" && *letter != "N" && *letter != "B") return refuse("ValidationException", "AttributeType");
    return item::KeyAttribute{*name, static_cast<item::KeyType>(letter->front())};
  }
  return refuse("ValidationException", fmt::format("{} is not in AttributeDefinitions", *name));
}

Api<std::optional<View>> view_of(const Server::Object& args) {
  const json::value* specification = args.if_contains("StreamSpecification");
  if (specification == nullptr) return std::optional<View>();
  if (!specification->is_object()) return refuse("SerializationException", "StreamSpecification must be a map");
  auto enabled = bool_arg(specification->as_object(), "StreamEnabled", false);
  auto text = string_arg(specification->as_object(), "StreamViewType", "");
  if (!enabled) return std::unexpected(enabled.error());
  if (!text) return std::unexpected(text.error());
  if (!*enabled) return std::optional<View>();
  for (View view : {View::NewAndOldImages, View::NewImage, View::OldImage, View::KeysOnly}) {
    if (name_of(view) == *text) return std::optional<View>(view);
  }
  return refuse("ValidationException", "StreamViewType");
}

}  // namespace

Api<Table*> Server::table_of(const Object& args) {
  auto name = string_arg(args, "TableName", "");
  if (!name) return std::unexpected(name.error());
  if (name->empty()) return refuse("ValidationException", "TableName is missing");
  Table* table = find(*name);
  if (table == nullptr) {
    return refuse("ResourceNotFoundException", fmt::format("Requested resource not found: Table: {} not found", *name));
  }
  return table;
}

Api<Table*> Server::active(Table* table) {
  if (table != nullptr && table->active(scheduler_.now())) return table;
  return refuse("ResourceNotFoundException", "Requested resource not found");
}

Api<Table*> Server::active_table_of(const Object& args) {
  auto table = table_of(args);
  return table ? active(*table) : table;
}

std::string Server::describe(Table& table) {
  json::object out;
  json::array schema, definitions;
  const auto add = [&](const item::KeyAttribute& attribute, const char* role) {
    schema.push_back(json::object{{"AttributeName", attribute.name}, {"KeyType", role}});
    definitions.push_back(json::object{{"AttributeName", attribute.name},
                                       {"AttributeType", std::string(1, static_cast<char>(attribute.type))}});
  };
  add(table.spec().key.partition, "HASH");
  if (table.spec().key.sort) add(*table.spec().key.sort, "RANGE");
  for (const json::value& each : table.trimmings().attributes) {
    if (std::find(definitions.begin(), definitions.end(), each) == definitions.end()) definitions.push_back(each);
  }
  out["AttributeDefinitions"] = std::move(definitions);
  out["KeySchema"] = std::move(schema);
  out["TableName"] = table.spec().name;
  const auto updating = updating_until_.find(table.id());
  out["TableStatus"] = updating != updating_until_.end() && updating->second > scheduler_.now() ? "UPDATING" : "ACTIVE";
  if (!table.active(scheduler_.now())) out["TableStatus"] = "CREATING";
  out["CreationDateTime"] = static_cast<double>(base::micros_of(kWorldBegins + table.created())) / 1e6;
  out["TableSizeBytes"] = table.live_items() * 200;
  out["ItemCount"] = table.live_items();
  out["TableArn"] = table.arn();
  out["TableId"] = table.id();
  describe_trimmings(table, out);
  if (Stream* stream = table.stream()) {
    out["LatestStreamArn"] = stream->arn();
    out["LatestStreamLabel"] = stream->label();
    if (stream->on()) {
      out["StreamSpecification"] =
          json::object{{"StreamEnabled", true}, {"StreamViewType", std::string(name_of(stream->view()))}};
    }
  }
  return json::serialize(out);
}

Api<std::string> Server::create_table(const Object& args) {
  if (auto known =
          check_members(args, {"TableName", "KeySchema", "AttributeDefinitions", "BillingMode", "ProvisionedThroughput",
                               "StreamSpecification", "LocalSecondaryIndexes", "GlobalSecondaryIndexes"});
      !known) {
    return known;
  }
  auto name = string_arg(args, "TableName", "");
  if (!name) return std::unexpected(name.error());
  if (!valid_name(*name)) return refuse("ValidationException", "TableName: 3 to 255 of a-z A-Z 0-9 _ - .");
  if (find(*name) != nullptr) return refuse("ResourceInUseException", fmt::format("Table already exists: {}", *name));
  const json::value* schema = args.if_contains("KeySchema");
  if (schema == nullptr || !schema->is_array() || schema->as_array().empty() || schema->as_array().size() > 2) {
    return refuse("ValidationException", "KeySchema has one or two elements");
  }
  TableSpec spec{.name = *name, .key = {}, .ttl_attribute = {}, .stream = {}, .trimmings = {}};
  auto partition = key_attribute(schema->as_array()[0], args, "HASH");
  if (!partition) return std::unexpected(partition.error());
  spec.key.partition = *partition;
  if (schema->as_array().size() == 2) {
    auto sort = key_attribute(schema->as_array()[1], args, "RANGE");
    if (!sort) return std::unexpected(sort.error());
    spec.key.sort = *sort;
  }
  auto view = view_of(args);
  if (!view) return std::unexpected(view.error());
  auto trimmings = trimmings_of(args);
  if (!trimmings) return std::unexpected(trimmings.error());
  spec.trimmings = std::move(*trimmings);
  spec.creating = creating();
  Table& table = make_table(std::move(spec));
  if (*view) table.enable_stream(**view, scheduler_.now());
  return fmt::format(R"({{"TableDescription":{}}})", describe(table));
}

Api<std::string> Server::delete_table(const Object& args) {
  if (auto known = check_members(args, {"TableName"}); !known) return known;
  auto table = table_of(args);
  if (!table) return std::unexpected(table.error());
  const std::string described = describe(**table);
  drop_table(std::string((*table)->spec().name));
  return fmt::format(R"({{"TableDescription":{}}})", described);
}

Api<std::string> Server::describe_table(const Object& args) {
  if (auto known = check_members(args, {"TableName"}); !known) return known;
  auto table = table_of(args);
  if (!table) return std::unexpected(table.error());
  return fmt::format(R"({{"Table":{}}})", describe(**table));
}

Api<std::string> Server::update_table(const Object& args) {
  if (auto known = check_members(
          args, {"TableName", "StreamSpecification", "AttributeDefinitions", "GlobalSecondaryIndexUpdates"});
      !known) {
    return known;
  }
  auto table = table_of(args);
  if (!table) return std::unexpected(table.error());
  if (args.contains("GlobalSecondaryIndexUpdates")) return add_index(args, **table);
  auto view = view_of(args);
  if (!view) return std::unexpected(view.error());
  if (auto busy = updating_until_.find((*table)->id());
      busy != updating_until_.end() && busy->second > scheduler_.now()) {
    return refuse("ResourceInUseException",
                  "Attempt to change a resource which is still in use: Table is being updated");
  }
  Stream* stream = (*table)->stream();
  const bool on = stream != nullptr && stream->on();
  if (*view && on) return refuse("ValidationException", "Table already has an enabled stream");
  if (!*view && !on) return refuse("ValidationException", "Table already has a disabled stream");
  const Micros ready =
      scheduler_.now() + Micros(rng_.below(static_cast<std::uint64_t>(options_.enabling_max.count()) + 1));
  updating_until_[(*table)->id()] = ready;
  if (*view) {
    (*table)->enable_stream(**view, ready);
  } else {
    (*table)->disable_stream();
  }
  return fmt::format(R"({{"TableDescription":{}}})", describe(**table));
}

Api<std::string> Server::list_tables(const Object& args) {
  if (auto known = check_members(args, {"ExclusiveStartTableName", "Limit"}); !known) return known;
  auto after = string_arg(args, "ExclusiveStartTableName", "");
  auto limit = int_arg(args, "Limit", 100);
  if (!after) return std::unexpected(after.error());
  if (!limit) return std::unexpected(limit.error());
  if (*limit < 1 || *limit > 100) return refuse("ValidationException", "Limit: 1 to 100");
  json::object out;
  json::array names;
  for (auto& [name, table] : tables_) {
    if (name <= *after) continue;
    if (static_cast<std::int64_t>(names.size()) == *limit) {
      out["LastEvaluatedTableName"] = names.back();
      break;
    }
    names.emplace_back(name);
  }
  out["TableNames"] = std::move(names);
  return json::serialize(out);
}

Api<std::string> Server::describe_ttl(const Object& args) {
  if (auto known = check_members(args, {"TableName"}); !known) return known;
  auto table = table_of(args);
  if (!table) return std::unexpected(table.error());
  json::object out{{"TimeToLiveStatus", (*table)->spec().ttl_attribute.empty() ? "DISABLED" : "ENABLED"}};
  if (!(*table)->spec().ttl_attribute.empty()) out["AttributeName"] = (*table)->spec().ttl_attribute;
  return json::serialize(json::object{{"TimeToLiveDescription", std::move(out)}});
}

Api<std::string> Server::update_ttl(const Object& args) {
  if (auto known = check_members(args, {"TableName", "TimeToLiveSpecification"}); !known) return known;
  auto table = table_of(args);
  if (!table) return std::unexpected(table.error());
  const json::value* specification = args.if_contains("TimeToLiveSpecification");
  if (specification == nullptr || !specification->is_object())
    return refuse("ValidationException", "TimeToLiveSpecification");
  auto name = string_arg(specification->as_object(), "AttributeName", "");
  auto enabled = bool_arg(specification->as_object(), "Enabled", false);
  if (!name) return std::unexpected(name.error());
  if (!enabled) return std::unexpected(enabled.error());
  (*table)->set_ttl(*enabled ? *name : "");
  return json::serialize(
      json::object{{"TimeToLiveSpecification", json::object{{"Enabled", *enabled}, {"AttributeName", *name}}}});
}

}  // namespace moveout::sim
