// Keys: the schema of a table's primary key, and one item's key in a form that cannot collide.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "item/value.h"

namespace moveout::item {

// DynamoDB's limits of a key's two values, in bytes.
inline constexpr std::size_t kPartitionKeyBytesMax = 2048;
inline constexpr std::size_t kSortKeyBytesMax = 1024;

enum class KeyType : char { S = 'S', N = 'N', B = 'B' };

struct KeyAttribute {
  std::string name;
  KeyType type = KeyType::S;
  friend bool operator==(const KeyAttribute&, const KeyAttribute&) = default;
};

struct KeySchema {
  KeyAttribute partition;
  std::optional<KeyAttribute> sort;
  friend bool operator==(const KeySchema&, const KeySchema&) = default;
};

// One item's primary key, encoded: the partition value, then the sort value, each as
//   type letter 'S' | 'N' | 'B', length as 4 bytes big endian, bytes (S: UTF-8, N: canonical plain decimal, B: raw).
// Equal keys and only equal keys have equal encodings: 1, 1.0 and 1e0 are one key.
class Key {
 public:
  Key() = default;
  static Key of(const KeySchema& schema, const Item& item);  // asserts that the attributes are there and fit
  // Corrupt for bytes that no encoder wrote.
  static base::Result<Key> from_encoded(std::string bytes);
  const std::string& encoded() const { return encoded_; }
  // The key attributes as an item, named by the schema.
  Item attributes(const KeySchema& schema) const;
  // 64-bit hash of the encoding: names a key in logs and quarantine without showing it. Stable across versions.
  std::uint64_t hash() const;

  friend auto operator<=>(const Key&, const Key&) = default;

 private:
  friend base::Result<Key> key_of(const KeySchema& schema, const Item& item);
  friend base::Result<Key> key_of_json(const KeySchema& schema, std::string_view item_json);
  friend base::Result<Key> key_of_unreadable(const KeySchema& schema, std::string_view item_json);
  explicit Key(std::string encoded) : encoded_(std::move(encoded)) {}
  std::string encoded_;
};

// Appends one key part in the encoding above.
void append_key_part(std::string& out, KeyType type, std::string_view bytes);

// The key of an item, or why it has none (attribute missing, wrong type, empty, over 2048/1024 bytes): Corrupt.
base::Result<Key> key_of(const KeySchema& schema, const Item& item);

}  // namespace moveout::item
