// RowMapper: an item's JSON text to the values of a row and back. One pass, no trees, no allocation an item.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "item/value.h"
#include "schema/columns.h"

namespace moveout::schema {

// A value as an SQL database holds it. Views: into the item's text or the mapper's memory.
struct Cell {
  enum class Kind : std::uint8_t { Null, Integer, Text, Blob };
  Kind kind = Kind::Null;
  std::int64_t integer = 0;
  std::string_view bytes;  // never a null pointer for Text and Blob
  friend bool operator==(const Cell&, const Cell&) = default;
};

// S: Text. N: Integer when integral and in 64 bits, else its canonical plain decimal as Text. B: Blob. BOOL: Integer
// 0 or 1. Everything else, and what is not of its column's type, goes into the overflow object as it stands.
class RowMapper {
 public:
  explicit RowMapper(Columns columns);
  // Corrupt: malformed text, a number or base64 that is none, or an item without its key.
  base::Result<> map(std::string_view item_json);
  // The key cells of Key::encoded(); the others are Null.
  base::Result<> map_key(std::string_view encoded);

  // Valid until the next map, while the mapped text lives. One a column, in order.
  const std::vector<Cell>& cells() const { return cells_; }
  std::string_view overflow() const { return overflow_; }  // empty: NULL
  const Columns& columns() const { return columns_; }

 private:
  struct Guess {
    std::string name;
    int column;
  };
  int column_of(std::string_view name, std::size_t position);
  void take(std::string_view name, item::Type type, std::string_view raw);
  base::Result<> fill(Cell& cell, item::Type type, std::string_view raw);
  base::Result<> number(Cell& cell, std::string_view text);
  void add_to_overflow(std::string_view name, item::Type type, std::string_view raw);
  std::string_view kept(std::size_t from) const { return std::string_view(memory_).substr(from); }

  Columns columns_;
  std::map<std::string, int, std::less<>> by_name_;
  std::vector<Guess> guesses_;  // items of a table mostly name their attributes in one order
  std::vector<Cell> cells_;
  std::string overflow_;
  std::string memory_;  // decoded texts; never grows during an item, so views into it stay
  std::size_t position_ = 0;
  base::Result<> failed_;
};

// The item of a row. Corrupt when a value is not of its column's type or the overflow is no DynamoDB JSON.
base::Result<item::Item> item_of_row(const Columns& columns, const std::vector<Cell>& cells, std::string_view overflow);

}  // namespace moveout::schema
