// What items look like on their way to a DynamoDB API: texts spliced as they came, and moveout's own attribute.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "item/batch.h"
#include "item/key.h"
#include "item/value.h"
#include "item/version.h"

namespace moveout::target::dynamodb {

// The hidden version attribute of M3: a number, 2 × Version::packed(), plus 1 for a tombstone, so that `<` on it is
// `<` on versions (one version has one content, I2). Under M3 no item of a user's may have an attribute of this name.
inline constexpr std::string_view kVersionAttribute = "_moveout_version";

struct Mark {
  item::Version version;
  bool tombstone = false;
  friend bool operator==(const Mark&, const Mark&) = default;
};
std::string mark_text(const Mark& mark);
// Nothing for text that mark_text() cannot have written.
std::optional<Mark> mark_of_text(std::string_view text);

// Why no table can hold this write, or nothing. with_mark: with the version attribute on it.
std::optional<std::string> refusal_of(const item::Write& write, bool with_mark);

// Appends one element of a BatchWriteItem: {"PutRequest":{"Item":…}} or {"DeleteRequest":{"Key":…}}.
void append_write(std::string& out, const item::Write& write, const item::KeySchema& schema);
// The body of a PutItem under M3's condition: attribute_not_exists(#v) OR #v < :v.
std::string guarded_put(const std::string& table, const item::Write& write, const item::KeySchema& schema);
// The body of an UpdateItem (REMOVE #v) or, for a tombstone, a DeleteItem, on the condition #v = :seen.
std::string strip_body(const std::string& table, const item::Key& key, const item::KeySchema& schema, const Mark& seen);

// Takes the version attribute off an item that was read. Nothing: it has none, or one of another making.
std::optional<Mark> take_mark(item::Item& item);

}  // namespace moveout::target::dynamodb
