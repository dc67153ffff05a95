// SQLite DDL: the statements that make a target table (product.md, "What an item becomes").
#pragma once

#include <string>
#include <string_view>

#include "schema/columns.h"

namespace moveout::schema {

// The overflow column: one DynamoDB JSON object of the attributes that no column holds, NULL when there are none.
inline constexpr std::string_view kOverflowColumn = "attributes";

enum class SqliteKey {
  Primary,   // PRIMARY KEY, from the first row
  Deferred,  // none yet: rows are appended, sqlite_key_index() enforces it at the end
};

// "name" with its quotes doubled. The name holds no NUL.
std::string sqlite_quoted(std::string_view name);
// TEXT S, ANY N, BLOB B, INTEGER BOOL: in a STRICT table the declared type tells the DynamoDB type.
std::string_view sqlite_type(item::Type type);
std::string sqlite_create_table(std::string_view table, const Columns& columns, SqliteKey key);
// CREATE UNIQUE INDEX IF NOT EXISTS "_moveout_key_T" ….
std::string sqlite_key_index(std::string_view table, const Columns& columns);
// `"pk","sk"`.
std::string sqlite_key_list(const Columns& columns);

}  // namespace moveout::schema
