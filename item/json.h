// DynamoDB JSON, both ways: {"name":{"S":"…"},…}.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "item/key.h"
#include "item/value.h"

namespace moveout::item {

// Levels of L and M under an attribute. DynamoDB counts the attribute itself as the first of 32 and so stores 31.
inline constexpr int kDepthMax = 32;
// The most that item_size may say of an item DynamoDB stores.
inline constexpr std::size_t kItemBytesMax = 400 * 1024;

// One item or one value from its JSON text. Corrupt: says what was expected and at which byte.
// Accepts escapes, any member order, white space; refuses empty sets, duplicate set members, duplicate attribute names,
// two type tags, unknown tags, depth over 32, numbers that are not DynamoDB's, invalid UTF-8, bad base64, text after
// the end. A stream image of DynamoDB Local shows the empty map {"M":{}} as {}: decoded as an empty map.
base::Result<Item> parse_item(std::string_view json);
base::Result<Value> parse_value(std::string_view json);

// Canonical text: attributes and map members in byte order, sets sorted, numbers canonical, minimal escapes, no spaces.
// parse(to_json(x)) == x, and equal values have equal text.
std::string to_json(const Item& item);
std::string to_json(const Value& value);
void append_json(std::string& out, const Item& item);
void append_json(std::string& out, const Value& value);
// "text" with quotes and escapes.
void append_json_string(std::string& out, std::string_view text);

// Walks the top level of one item without building it: for each attribute its name (decoded), its type and the raw JSON
// text of the value inside the tag (for {"S":"a\n"} that is `"a\n"` with quotes; for M the object's text).
// Views live as long as the call. Corrupt as parse_item, but numbers, base64 and sets' members are not looked into, nor
// the names inside an M. Attributes before the mistake have been visited by then.
base::Result<> for_each_attribute(
    std::string_view item_json,
    const std::function<void(std::string_view name, Type type, std::string_view raw_value)>& visit);

// The decoded text of a raw JSON string (with its quotes), appended to out.
base::Result<> append_unescaped(std::string& out, std::string_view raw_string);
// The bytes of base64 text: a raw JSON string in its quotes, escapes and all, or the bare characters. Strict: padded,
// unused bits zero.
base::Result<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

// The key of one item's JSON text, without building the item.
base::Result<Key> key_of_json(const KeySchema& schema, std::string_view item_json);

// DynamoDB's own measure of an item (names in UTF-8 + values; numbers about (digits+1)/2+1; L and M 3 + 1 an element).
// For every type, the largest item that DynamoDB Local 3.3 takes measures exactly 400 KB.
std::size_t item_size(const Item& item);

}  // namespace moveout::item
