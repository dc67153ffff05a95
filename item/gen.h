// Items for tests: random ones, hostile ones, and one item in its many spellings. For the tests and simulators of every
// room; no product code uses it. Same Rng state, same items.
#pragma once

#include <string>
#include <vector>

#include "base/rng.h"
#include "item/key.h"
#include "item/value.h"

namespace moveout::item {

struct GenOptions {
  int depth_max = 4;           // levels of L and M
  std::size_t width_max = 4;   // attributes, elements, members
  std::size_t bytes_max = 24;  // of a text or binary
  bool nul = true;             // U+0000 may occur in texts and names (PostgreSQL cannot hold it)
};

// UTF-8 of 1 to 4 bytes a character, with what needs escapes. At least `least` characters.
std::string random_text(base::Rng& rng, const GenOptions& options = {}, std::size_t least = 0);
std::string random_bytes(base::Rng& rng, const GenOptions& options = {}, std::size_t least = 0);
// Every shape DynamoDB holds: zero, small, 38 digits, the ends of the range.
Number random_number(base::Rng& rng);
Value random_value(base::Rng& rng, const GenOptions& options = {});
// With the key attributes of the schema.
Item random_item(base::Rng& rng, const KeySchema& schema, const GenOptions& options = {});

// The same number in a spelling DynamoDB accepts: zeros, point, exponent, plus.
std::string random_spelling(base::Rng& rng, const Number& number);
// DynamoDB JSON that is read as the same item, but member order, white space, escapes and spellings are by chance.
std::string random_json(base::Rng& rng, const Item& item);

struct NamedItem {
  const char* name;  // what is hostile about it
  Item item;
};
// Items at DynamoDB's limits, each one legal there, with distinct keys. Everything must carry them unchanged.
std::vector<NamedItem> hostile_items(const KeySchema& schema);

}  // namespace moveout::item
