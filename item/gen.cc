#include "item/gen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "item/json.h"

namespace moveout::item {
namespace {

// What strings go wrong at: quotes, escapes, controls, DEL, UTF-8's edges, planes beyond the first, noncharacters.
constexpr std::array<std::string_view, 22> kOddities = {"\"",
                                                        "\\",
                                                        "/",
                                                        "\b",
                                                        "\f",
                                                        "\n",
                                                        "\r",
                                                        "\t",
                                                        "\x01",
                                                        "\x1F",
                                                        "\x7F",
                                                        "\xC2\x80",
                                                        "\xDF\xBF",
                                                        "\xE0\xA0\x80",
                                                        "\xED\x9F\xBF",
                                                        "\xEE\x80\x80",
                                                        "\xEF\xBF\xBF",
                                                        "\xF0\x90\x80\x80",
                                                        "\xF4\x8F\xBF\xBF",
                                                        "{",
                                                        "}",
                                                        "']["};

Value key_value(base::Rng& rng, KeyType type, const GenOptions& options) {
  switch (type) {
    case KeyType::S:
      return Value(random_text(rng, options, 1));
    case KeyType::N:
      return Value(random_number(rng));
    case KeyType::B:
      return Value(Binary{random_bytes(rng, options, 1)});
  }
  return {};
}

template <class T, class Make>
std::vector<T> random_set(std::size_t width, Make&& make) {
  std::vector<T> members;
  for (std::size_t i = 0; i < width; ++i) members.push_back(make());
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  return members;
}

// JSON in a random spelling.
class Speller {
 public:
  explicit Speller(base::Rng& rng) : rng_(rng) {}
  std::string out;

  void space() {
    while (rng_.chance(8)) out += " \n\r\t"[rng_.below(4)];
  }
  void put(char c) {
    space();
    out += c;
    space();
  }
  void unit(unsigned code) { out += rng_.chance(2) ? fmt::format("\\u{:04x}", code) : fmt::format("\\u{:04X}", code); }

  void string(std::string_view text) {
    out += '"';
    for (std::size_t i = 0; i < text.size();) {
      const auto lead = static_cast<unsigned char>(text[i]);
      const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
      character(text.substr(i, length));
      i += length;
    }
    out += '"';
  }

  void character(std::string_view bytes) {
    const char c = bytes[0];
    if (c == '/' && rng_.chance(2)) {
      out += "\\/";
    } else if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || rng_.chance(6)) {
      escaped(bytes);
    } else {
      out += bytes;
    }
  }

  void escaped(std::string_view bytes) {
    constexpr std::string_view kShort = "\"\\\b\f\n\r\t";
    if (const auto at = kShort.find(bytes[0]); at != std::string_view::npos && rng_.chance(2)) {
      out += '\\';
      out += "\"\\bfnrt"[at];
      return;
    }
    unsigned code = static_cast<unsigned char>(bytes[0]);
    if (bytes.size() > 1) code &= 0x7FU >> bytes.size();
    for (std::size_t i = 1; i < bytes.size(); ++i) code = code << 6 | (static_cast<unsigned char>(bytes[i]) & 0x3F);
    if (code < 0x10000) return unit(code);
    unit(0xD800 + ((code - 0x10000) >> 10));
    unit(0xDC00 + ((code - 0x10000) & 0x3FF));
  }

  template <class T, class Each>
  void array(std::vector<T> elements, bool shuffled, Each&& each) {
    if (shuffled) rng_.shuffle(elements);
    put('[');
    for (std::size_t i = 0; i < elements.size(); ++i) {
      if (i != 0) put(',');
      each(elements[i]);
    }
    put(']');
  }

  void map(const Map& map) {
    std::vector<const Map::value_type*> members;
    for (const auto& member : map) members.push_back(&member);
    rng_.shuffle(members);
    put('{');
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i != 0) put(',');
      string(members[i]->first);
      put(':');
      value(members[i]->second);
    }
    put('}');
  }

  void value(const Value& value) {
    if (value.type() == Type::M && value.as<Map>().empty() && rng_.chance(2)) return put_empty();
    put('{');
    string_plain(tag_of(value.type()));
    put(':');
    untagged(value);
    put('}');
  }

  void put_empty() {
    put('{');
    put('}');
  }
  void string_plain(std::string_view text) {
    out += '"';
    out += text;
    out += '"';
  }

  void untagged(const Value& value) {
    const auto number = [&](const Number& n) { string_plain(random_spelling(rng_, n)); };
    const auto binary = [&](const Binary& b) { string(encode_base64(b.bytes)); };
    switch (value.type()) {
      case Type::S:
        return string(value.as<std::string>());
      case Type::N:
        return number(value.as<Number>());
      case Type::B:
        return binary(value.as<Binary>());
      case Type::Bool:
        out += value.as<bool>() ? "true" : "false";
        return;
      case Type::Null:
        out += "true";
        return;
      case Type::L:
        return array(value.as<List>(), false, [&](const Value& element) { this->value(element); });
      case Type::M:
        return map(value.as<Map>());
      case Type::SS:
        return array(value.as<StringSet>().members, true, [&](const std::string& text) { string(text); });
      case Type::NS:
        return array(value.as<NumberSet>().members, true, number);
      case Type::BS:
        return array(value.as<BinarySet>().members, true, binary);
    }
  }

 private:
  base::Rng& rng_;
};

Number number_of(std::string_view text) {
  auto number = Number::parse(text);
  MOVEOUT_ASSERT(number.has_value());
  return *number;
}

Value nested(int levels, bool maps, Value innermost) {
  Value value = std::move(innermost);
  for (int i = 0; i < levels; ++i) {
    value = maps ? Value(Map{{"m", std::move(value)}}) : Value(List{std::move(value)});
  }
  return value;
}

}  // namespace

std::string random_text(base::Rng& rng, const GenOptions& options, std::size_t least) {
  std::string text;
  const std::size_t length = least + rng.below(options.bytes_max + 1);
  const bool odd = rng.chance(2);
  for (std::size_t i = 0; i < length && (i < least || text.size() < options.bytes_max); ++i) {
    if (odd && rng.chance(3)) {
      text += kOddities[rng.below(kOddities.size())];
    } else if (odd && options.nul && rng.chance(16)) {
      text += '\0';
    } else {
      text += static_cast<char>('a' + rng.below(26));
    }
  }
  return text;
}

std::string random_bytes(base::Rng& rng, const GenOptions& options, std::size_t least) {
  std::string bytes(least + rng.below(options.bytes_max + 1), '\0');
  for (char& byte : bytes) byte = static_cast<char>(rng.below(256));
  return bytes;
}

Number random_number(base::Rng& rng) {
  if (rng.chance(3)) return Number::of(static_cast<std::int64_t>(rng.below(2001)) - 1000);
  if (rng.chance(8)) return Number::of(static_cast<std::int64_t>(rng.next()));
  std::string digits(1 + rng.below(38), '0');
  for (char& digit : digits) digit = static_cast<char>('0' + rng.below(10));
  digits[0] = static_cast<char>('1' + rng.below(9));
  // The first digit's power of ten: mostly near the point, at times anywhere in the range.
  const int magnitude = rng.chance(2) ? static_cast<int>(rng.below(20)) - 10 : static_cast<int>(rng.below(256)) - 130;
  return number_of(fmt::format("{}{}.{}e{}", rng.chance(2) ? "-" : "", digits[0], digits.substr(1), magnitude));
}

Value random_value(base::Rng& rng, const GenOptions& options) {
  GenOptions inner = options;
  inner.depth_max = options.depth_max - 1;
  const std::size_t width = options.width_max == 0 ? 0 : 1 + rng.below(options.width_max);
  const std::size_t kinds = options.width_max == 0 ? 5 : options.depth_max > 0 ? 10 : 8;
  switch (rng.below(kinds)) {
    case 0:
      return Value(random_text(rng, options));
    case 1:
      return Value(random_number(rng));
    case 2:
      return Value(Binary{random_bytes(rng, options)});
    case 3:
      return Value(rng.chance(2));
    case 4:
      return Value(Null{});
    case 5:
      return Value(StringSet{random_set<std::string>(width, [&] { return random_text(rng, options); })});
    case 6:
      return Value(NumberSet{random_set<Number>(width, [&] { return random_number(rng); })});
    case 7:
      return Value(BinarySet{random_set<Binary>(width, [&] { return Binary{random_bytes(rng, options)}; })});
    case 8: {
      List list;
      for (std::size_t i = rng.below(width + 1); i > 0; --i) list.push_back(random_value(rng, inner));
      return Value(std::move(list));
    }
    default: {
      Map map;
      for (std::size_t i = rng.below(width + 1); i > 0; --i) {
        std::string name = random_text(rng, options, 1);
        map.insert_or_assign(std::move(name), random_value(rng, inner));
      }
      return Value(std::move(map));
    }
  }
}

Item random_item(base::Rng& rng, const KeySchema& schema, const GenOptions& options) {
  Item item;
  for (std::size_t i = rng.below(options.width_max + 1); i > 0; --i) {
    std::string name = random_text(rng, options, 1);
    item.insert_or_assign(std::move(name), random_value(rng, options));
  }
  item.insert_or_assign(schema.partition.name, key_value(rng, schema.partition.type, options));
  if (schema.sort) item.insert_or_assign(schema.sort->name, key_value(rng, schema.sort->type, options));
  return item;
}

std::string random_spelling(base::Rng& rng, const Number& number) {
  std::string text = number.to_string();
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  if (text.find('.') == std::string::npos) {
    if (rng.chance(4)) text += '.';
  }
  if (text.find('.') != std::string::npos && rng.chance(4)) text.append(rng.below(4), '0');
  if (text.starts_with("0.") && text.size() > 2 && rng.chance(4)) text.erase(0, 1);
  if (rng.chance(4)) text.insert(0, rng.below(4), '0');
  if (rng.chance(4)) {
    // Move the point to the very left and say so in the exponent.
    const std::size_t point = std::min(text.find('.'), text.size());
    std::string digits = text.substr(0, point);
    if (point != text.size()) digits += text.substr(point + 1);
    text = fmt::format("{}{}{}{}", rng.chance(2) ? "." : "0.", digits, rng.chance(2) ? "e" : "E+", point);
  }
  if (number.is_zero() ? rng.chance(2) : negative) return "-" + text;
  return rng.chance(8) ? "+" + text : text;
}

std::string random_json(base::Rng& rng, const Item& item) {
  Speller speller(rng);
  speller.map(item);
  return std::move(speller.out);
}

std::vector<NamedItem> hostile_items(const KeySchema& schema) {
  std::vector<NamedItem> items;
  std::int64_t serial = 0;
  const auto key_of_type = [&](KeyType type) {
    const std::string text = fmt::format("hostile-{}", serial);
    if (type == KeyType::N) return Value(Number::of(serial));
    return type == KeyType::S ? Value(text) : Value(Binary{text});
  };
  const auto add = [&](const char* name, Item item) {
    ++serial;
    item.insert_or_assign(schema.partition.name, key_of_type(schema.partition.type));
    if (schema.sort) item.insert_or_assign(schema.sort->name, key_of_type(schema.sort->type));
    items.push_back({name, std::move(item)});
  };
  add("nothing but the key", {});
  add("empty text", {{"a", Value(std::string())}});
  add("empty binary", {{"a", Value(Binary{})}});
  add("empty list and map", {{"l", Value(List{})}, {"m", Value(Map{})}, {"ll", Value(List{Value(List{})})}});
  add("empty text and binary in sets",
      {{"ss", Value(StringSet{{"", "a"}})}, {"bs", Value(BinarySet{{Binary{}, Binary{"a"}}})}});
  add("NUL in text, name and binary", {{std::string("a\0b", 3), Value(std::string("x\0y", 3))},
                                       {"t", Value(std::string(1, '\0'))},
                                       {"b", Value(Binary{std::string(3, '\0')})}});
  add("binary that is not UTF-8", {{"b", Value(Binary{"\xFF\xFE\x80\xC0\xED\xA0\x80"})}});
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  add("every byte", {{"b", Value(Binary{all_bytes})}});
  std::string every_oddity;
  for (const std::string_view text : kOddities) every_oddity += text;
  add("everything that needs an escape", {{every_oddity, Value(every_oddity)}});
  add("combining and composed are two texts",
      {{"ss", Value(StringSet{{"e\xCC\x81", "\xC3\xA9"}})}, {"e\xCC\x81", Value(true)}, {"\xC3\xA9", Value(false)}});
  add("zero and the least of everything", {{"zero", Value(number_of("-0"))},
                                           {"least", Value(number_of("1E-130"))},
                                           {"below", Value(number_of("-1E-130"))}});
  add("38 digits", {{"most", Value(number_of("9.9999999999999999999999999999999999999E+125"))},
                    {"lowest", Value(number_of("-9.9999999999999999999999999999999999999E+125"))},
                    {"whole", Value(number_of("12345678901234567890123456789012345678"))},
                    {"part", Value(number_of("0.12345678901234567890123456789012345678"))}});
  add("beyond doubles and 64 bits", {{"a", Value(number_of("9007199254740993"))},
                                     {"b", Value(number_of("9223372036854775808"))},
                                     {"c", Value(number_of("-9223372036854775809"))},
                                     {"d", Value(number_of("0.1"))}});
  add("look-alikes of other types", {{"s", Value(std::string("1.0"))},
                                     {"n", Value(number_of("1.0"))},
                                     {"b", Value(Binary{"1"})},
                                     {"bool", Value(std::string("true"))},
                                     {"null", Value(Null{})},
                                     {"json", Value(std::string("{\"S\":\"x\"}"))}});
  add("names that are tags, and the key's name inside",
      {{"S", Value(Map{{"S", Value(std::string("S"))}, {"M", Value(Map{{"N", Value(Number::of(1))}})}})},
       {"in", Value(Map{{schema.partition.name, Value(std::string("not the key"))}})}});
  add("names that differ by case", {{"Id_", Value(Number::of(1))}, {"id_", Value(Number::of(2))}});
  // 32 levels as the service counts them: the attribute is the first, a leaf inside 31 maps or lists the last. It
  // refuses a list or map on the last level, empty or not.
  add("32 levels", {{"m", nested(31, true, Value(std::string("leaf")))}, {"l", nested(30, false, Value(List{}))}});
  add("every type in a list",
      {{"l", Value(List{Value(std::string("s")), Value(Number::of(-1)), Value(Binary{"\x80"}), Value(true),
                        Value(Null{}), Value(List{}), Value(Map{}), Value(StringSet{{"a"}}),
                        Value(NumberSet{{Number::of(2)}}), Value(BinarySet{{Binary{"\xFF"}}})})}});
  Item wide;
  for (int i = 0; i < 1000; ++i) wide.emplace(fmt::format("a{:04}", i), Value(Number::of(i)));
  add("a thousand attributes", std::move(wide));
  add("a name of 10,000 bytes", {{std::string(10'000, 'n'), Value(true)}});
  add("400 KB to the byte", {{"fill", Value(std::string())}});
  Item& largest = items.back().item;
  largest["fill"] = Value(std::string(kItemBytesMax - item_size(largest), 'x'));
  return items;
}

}  // namespace moveout::item
