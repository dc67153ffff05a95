#include "schema/sqlite_ddl.h"

namespace moveout::schema {

std::string sqlite_quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out += '"';
}

std::string_view sqlite_type(item::Type type) {
  switch (type) {
    case item::Type::S:
      return "TEXT";
    case item::Type::N:
      return "ANY";
    case item::Type::B:
      return "BLOB";
    case item::Type::Bool:
      return "INTEGER";
    case item::Type::Null:
    case item::Type::L:
    case item::Type::M:
    case item::Type::SS:
    case item::Type::NS:
    case item::Type::BS:
      break;
  }
  const bool column_holds_a_scalar = false;
  MOVEOUT_ASSERT(column_holds_a_scalar);
  return "";
}

std::string sqlite_key_list(const Columns& columns) {
  std::string list;
  for (const Column& column : columns.columns) {
    if (!column.key) continue;
    if (!list.empty()) list += ',';
    list += sqlite_quoted(column.attribute);
  }
  return list;
}

std::string sqlite_create_table(std::string_view table, const Columns& columns, SqliteKey key) {
  std::string sql = "CREATE TABLE " + sqlite_quoted(table) + "(\n";
  for (const Column& column : columns.columns) {
    sql += "  " + sqlite_quoted(column.attribute) + " ";
    sql += sqlite_type(column.type);
    sql += column.key ? " NOT NULL,\n" : ",\n";
  }
  sql += "  " + sqlite_quoted(kOverflowColumn) + " TEXT";
  if (key == SqliteKey::Primary) sql += ",\n  PRIMARY KEY(" + sqlite_key_list(columns) + ")";
  return sql + "\n) STRICT";
}

std::string sqlite_key_index(std::string_view table, const Columns& columns) {
  return "CREATE UNIQUE INDEX IF NOT EXISTS " + sqlite_quoted("_moveout_key_" + std::string(table)) + " ON " +
         sqlite_quoted(table) + "(" + sqlite_key_list(columns) + ")";
}

}  // namespace moveout::schema
