#include "aws/table_shape.h"

#include <set>

#include "aws/answers.h"

namespace moveout::aws {

namespace json = base::json;
using base::ErrorKind;
using base::Result;

namespace {

// Of DescribeTable's answer only what CreateTable takes.
json::object projection_of(const json::object& index) {
  json::object out{{"ProjectionType", "ALL"}};
  if (const json::object* told = object_in(index, "Projection")) {
    if (const json::value* type = told->if_contains("ProjectionType")) out["ProjectionType"] = *type;
    const json::array* names = array_in(*told, "NonKeyAttributes");
    if (names != nullptr && !names->empty()) out["NonKeyAttributes"] = *names;
  }
  return out;
}

Result<std::vector<Index>> indexes_of(const json::object& table, std::string_view member) {
  std::vector<Index> all;
  const json::array* list = array_in(table, member);
  if (list == nullptr) return all;
  for (const json::value& each : *list) {
    const json::object* told = each.if_object();
    const json::array* keys = told == nullptr ? nullptr : array_in(*told, "KeySchema");
    if (keys == nullptr) return base::fail(ErrorKind::Corrupt, std::string(member) + ": an index without its key");
    Index index;
    Result<std::string> name = required_text_in(*told, "IndexName");
    if (!name) return base::fail(name.error());
    index.name = std::move(*name);
    if (Result<std::string> status = text_in(*told, "IndexStatus")) index.status = std::move(*status);
    index.key_schema = *keys;
    index.projection = projection_of(*told);
    if (const json::object* units = object_in(*told, "ProvisionedThroughput")) {
      index.read_units = integer_in(*units, "ReadCapacityUnits");
      index.write_units = integer_in(*units, "WriteCapacityUnits");
    }
    all.push_back(std::move(index));
  }
  return all;
}

void note_attributes(const json::array& key_schema, std::set<std::string>& names) {
  for (const json::value& key : key_schema) {
    if (!key.is_object()) continue;
    if (Result<std::string> name = text_in(key.as_object(), "AttributeName")) names.insert(*name);
  }
}

// The server refuses definitions of attributes that no key uses.
json::array definitions_of(const TableShape& shape, const std::set<std::string>& names) {
  json::array out;
  for (const json::value& each : shape.attributes) {
    if (!each.is_object()) continue;
    const Result<std::string> name = text_in(each.as_object(), "AttributeName");
    if (name && names.contains(*name)) out.push_back(each);
  }
  return out;
}

json::object units_of(std::int64_t read, std::int64_t write) {
  return {{"ReadCapacityUnits", std::max<std::int64_t>(1, read)},
          {"WriteCapacityUnits", std::max<std::int64_t>(1, write)}};
}

json::object index_of(const TableShape& shape, const Index& index, bool global) {
  json::object out{{"IndexName", index.name}, {"KeySchema", index.key_schema}, {"Projection", index.projection}};
  if (global && !shape.on_demand) out["ProvisionedThroughput"] = units_of(index.read_units, index.write_units);
  return out;
}

}  // namespace

Result<TableShape> shape_of(const json::object& table) {
  TableShape shape;
  if (const json::array* keys = array_in(table, "KeySchema")) shape.key_schema = *keys;
  if (const json::array* attributes = array_in(table, "AttributeDefinitions")) shape.attributes = *attributes;
  Result<std::vector<Index>> local = indexes_of(table, "LocalSecondaryIndexes");
  if (!local) return base::fail(local.error());
  shape.local = std::move(*local);
  Result<std::vector<Index>> global = indexes_of(table, "GlobalSecondaryIndexes");
  if (!global) return base::fail(global.error());
  shape.global = std::move(*global);
  if (const json::object* units = object_in(table, "ProvisionedThroughput")) {
    shape.read_units = integer_in(*units, "ReadCapacityUnits");
    shape.write_units = integer_in(*units, "WriteCapacityUnits");
    shape.on_demand = shape.read_units == 0 && shape.write_units == 0;
  }
  if (const json::object* billing = object_in(table, "BillingModeSummary")) {
    const Result<std::string> mode = text_in(*billing, "BillingMode");
    if (mode && *mode == "PAY_PER_REQUEST") shape.on_demand = true;
  }
  if (const json::object* summary = object_in(table, "TableClassSummary")) {
    const Result<std::string> name = text_in(*summary, "TableClass");
    if (name && *name != "STANDARD") shape.table_class = *name;
  }
  if (const json::object* sse = object_in(table, "SSEDescription")) {
    const Result<std::string> status = text_in(*sse, "Status");
    shape.encrypted_by_kms = status && (*status == "ENABLED" || *status == "UPDATING" || *status == "ENABLING");
  }
  return shape;
}

std::string create_table_body(const TableShape& shape, const MakeTable& how) {
  std::set<std::string> names;
  note_attributes(shape.key_schema, names);
  json::object body{{"TableName", how.name}, {"KeySchema", shape.key_schema}};
  json::array local, global;
  for (const Index& index : shape.local) {
    note_attributes(index.key_schema, names);
    local.push_back(index_of(shape, index, false));
  }
  for (const Index& index : shape.global) {
    if (!how.global_indexes) break;
    note_attributes(index.key_schema, names);
    global.push_back(index_of(shape, index, true));
  }
  body["AttributeDefinitions"] = definitions_of(shape, names);
  if (!local.empty()) body["LocalSecondaryIndexes"] = std::move(local);
  if (!global.empty()) body["GlobalSecondaryIndexes"] = std::move(global);
  if (shape.on_demand) {
    body["BillingMode"] = "PAY_PER_REQUEST";
  } else {
    body["ProvisionedThroughput"] = units_of(shape.read_units, shape.write_units);
  }
  if (how.extras && !shape.table_class.empty()) body["TableClass"] = shape.table_class;
  if (how.extras && shape.encrypted_by_kms) {
    body["SSESpecification"] = json::object{{"Enabled", true}, {"SSEType", "KMS"}};
  }
  return json::serialize(body);
}

std::string add_index_body(const TableShape& shape, const std::string& table, const Index& index) {
  std::set<std::string> names;
  note_attributes(shape.key_schema, names);
  note_attributes(index.key_schema, names);
  json::array updates;
  updates.push_back(json::object{{"Create", index_of(shape, index, true)}});
  return json::serialize(json::object{{"TableName", table},
                                      {"AttributeDefinitions", definitions_of(shape, names)},
                                      {"GlobalSecondaryIndexUpdates", std::move(updates)}});
}

}  // namespace moveout::aws
