// TableShape: what a table is made of beside its key, as DescribeTable tells it, so that another one can be made like
// it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace moveout::aws {

struct Index {
  std::string name;
  std::string status;  // of a global one: CREATING, ACTIVE, …
  base::json::array key_schema;
  base::json::object projection;
  std::int64_t read_units = 0;  // of a provisioned global one
  std::int64_t write_units = 0;
};

struct TableShape {
  base::json::array key_schema;
  base::json::array attributes;  // AttributeDefinitions
  std::vector<Index> local;
  std::vector<Index> global;
  bool on_demand = true;
  std::int64_t read_units = 0;
  std::int64_t write_units = 0;
  std::string table_class;                                // empty: STANDARD
  bool encrypted_by_kms = false;                          // with a key of the account, not DynamoDB's own
  std::vector<std::pair<std::string, std::string>> tags;  // not in DescribeTable: DynamoDb::tags()
};

// `table` as in an answer's Table. Corrupt when a part is not what it should be.
base::Result<TableShape> shape_of(const base::json::object& table);

struct MakeTable {
  std::string name;
  bool global_indexes = true;  // false: they are made later
  bool extras = true;          // encryption and table class, which not every DynamoDB API knows
};
// The body of a CreateTable.
std::string create_table_body(const TableShape& shape, const MakeTable& how);
// The body of an UpdateTable that adds this index of the shape.
std::string add_index_body(const TableShape& shape, const std::string& table, const Index& index);

}  // namespace moveout::aws
