// Trees to canonical DynamoDB JSON, and an item's size.
#include "item/json.h"

#include <algorithm>

#include "item/cursor.h"

namespace moveout::item {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

void append_base64(std::string& out, const Binary& binary) {
  out += '"';
  out += encode_base64(binary.bytes);
  out += '"';
}

void append_number(std::string& out, const Number& number) {
  out += '"';
  number.append_to(out);
  out += '"';
}

template <class T, class Append>
void append_array(std::string& out, const std::vector<T>& elements, Append&& append) {
  out += '[';
  bool first = true;
  for (const T& element : elements) {
    if (!first) out += ',';
    first = false;
    append(out, element);
  }
  out += ']';
}

template <class T, class Append>
void append_set(std::string& out, const std::vector<T>& members, Append&& append) {
  // Sorted, unique, not empty: what value.h promises, and what makes the text canonical.
  MOVEOUT_ASSERT(!members.empty());
  MOVEOUT_ASSERT(std::adjacent_find(members.begin(), members.end(), [](const T& a, const T& b) { return !(a < b); }) ==
                 members.end());
  append_array(out, members, std::forward<Append>(append));
}

void append_untagged(std::string& out, const Value& value) {
  switch (value.type()) {
    case Type::S:
      return append_json_string(out, value.as<std::string>());
    case Type::N:
      return append_number(out, value.as<Number>());
    case Type::B:
      return append_base64(out, value.as<Binary>());
    case Type::Bool:
      out += value.as<bool>() ? "true" : "false";
      return;
    case Type::Null:
      out += "true";
      return;
    case Type::L:
      return append_array(out, value.as<List>(), [](std::string& to, const Value& v) { append_json(to, v); });
    case Type::M:
      return append_json(out, value.as<Map>());
    case Type::SS:
      return append_set(out, value.as<StringSet>().members,
                        [](std::string& to, const std::string& text) { append_json_string(to, text); });
    case Type::NS:
      return append_set(out, value.as<NumberSet>().members, append_number);
    case Type::BS:
      return append_set(out, value.as<BinarySet>().members, append_base64);
  }
}

// "Approximately 1 byte per two significant digits, plus 1": DynamoDB Developer Guide, "Item sizes and formats". Pairs
// lie on even powers of ten, and a minus costs one more, as dynalite found by measuring the service.
std::size_t size_of(const Number& number) {
  if (number.is_zero()) return 1;
  const int digits = number.digits();
  const bool straddles = digits % 2 == 0 && number.magnitude() % 2 == 0;
  return 1 + static_cast<std::size_t>((digits + 1) / 2) + (straddles ? 1 : 0) + (number.negative() ? 1 : 0);
}

std::size_t size_of(const Value& value);

std::size_t size_of(const Map& map, std::size_t per_member) {
  std::size_t size = 0;
  for (const auto& [name, value] : map) size += name.size() + size_of(value) + per_member;
  return size;
}

// The same page of the guide: a list or map costs 3 bytes and 1 an element; null and Boolean 1.
std::size_t size_of(const Value& value) {
  std::size_t size = 0;
  switch (value.type()) {
    case Type::S:
      return value.as<std::string>().size();
    case Type::N:
      return size_of(value.as<Number>());
    case Type::B:
      return value.as<Binary>().bytes.size();
    case Type::Bool:
    case Type::Null:
      return 1;
    case Type::L:
      for (const Value& element : value.as<List>()) size += size_of(element) + 1;
      return size + 3;
    case Type::M:
      return size_of(value.as<Map>(), 1) + 3;
    case Type::SS:
      for (const std::string& text : value.as<StringSet>().members) size += text.size();
      return size;
    case Type::NS:
      for (const Number& number : value.as<NumberSet>().members) size += size_of(number);
      return size;
    case Type::BS:
      for (const Binary& binary : value.as<BinarySet>().members) size += binary.bytes.size();
      return size;
  }
  return size;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    const char* const special = find_special(text.data(), at, end);
    out.append(at, special);
    if (special == end) break;
    at = special + 1;
    const char c = *special;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kHex[static_cast<std::size_t>(c) >> 4];
        out += kHex[static_cast<std::size_t>(c) & 15];
    }
  }
  out += '"';
}

void append_json(std::string& out, const Value& value) {
  out += "{\"";
  out += tag_of(value.type());
  out += "\":";
  append_untagged(out, value);
  out += '}';
}

void append_json(std::string& out, const Item& item) {
  out += '{';
  bool first = true;
  for (const auto& [name, value] : item) {
    if (!first) out += ',';
    first = false;
    append_json_string(out, name);
    out += ':';
    append_json(out, value);
  }
  out += '}';
}

std::string to_json(const Item& item) {
  std::string text;
  append_json(text, item);
  return text;
}

std::string to_json(const Value& value) {
  std::string text;
  append_json(text, value);
  return text;
}

std::size_t item_size(const Item& item) { return size_of(item, 0); }

}  // namespace moveout::item
