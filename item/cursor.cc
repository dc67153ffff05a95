#include "item/cursor.h"

#include <fmt/format.h>
#include <simdjson.h>

namespace moveout::item {
namespace {

// Of JSON that is not attribute values (ConsumedCapacity and the like): deep enough for every answer, and for the
// stack.
constexpr int kAnyDepthMax = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_of(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

unsigned hex4_at(const char* at) {
  unsigned unit = 0;
  for (int i = 0; i < 4; ++i) unit = unit * 16 + static_cast<unsigned>(hex_of(at[i]));
  return unit;
}

void append_utf8(std::string& out, unsigned point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

// The length of the UTF-8 sequence at the start of `text` (Unicode 15, table 3-7), 0 when there is none.
std::size_t sequence_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto in = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::size_t find_invalid_utf8(std::string_view text) {
  if (simdjson::validate_utf8(text.data(), text.size())) return std::string_view::npos;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t length = sequence_at(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return at;
}

void unescape(std::string& out, const RawString& raw) {
  if (!raw.escaped) {
    out.append(raw.text);
    return;
  }
  const char* at = raw.text.data();
  const char* const end = at + raw.text.size();
  while (at != end) {
    const auto* const backslash = static_cast<const char*>(std::memchr(at, '\\', static_cast<std::size_t>(end - at)));
    if (backslash == nullptr) {
      out.append(at, end);
      return;
    }
    out.append(at, backslash);
    at = backslash + 2;
    switch (backslash[1]) {
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'u': {
        unsigned point = hex4_at(at);
        at += 4;
        if (point >= 0xD800 && point < 0xDC00) {  // the cursor saw that \uDC00…\uDFFF follows
          point = 0x10000 + ((point - 0xD800) << 10) + (hex4_at(at + 2) - 0xDC00);
          at += 6;
        }
        append_utf8(out, point);
        break;
      }
      default:
        out += backslash[1];  // '"', '\\', '/'
    }
  }
}

bool Cursor::fail_at(const char* where, const char* expected) {
  if (expected_ == nullptr) {
    expected_ = expected;
    failed_at_ = static_cast<std::size_t>(where - begin_);
  }
  return false;
}

base::Error Cursor::error(std::string_view what) const {
  return base::Error{
      base::ErrorKind::Corrupt,
      fmt::format("{}: expected {} at byte {}", what, expected_ != nullptr ? expected_ : "something else", failed_at_)};
}

bool Cursor::accept_after_space(char c) {
  space();
  if (at_ == end_ || *at_ != c) return false;
  ++at_;
  return true;
}

bool Cursor::literal(std::string_view word) {
  space();
  if (static_cast<std::size_t>(end_ - at_) < word.size() || std::memcmp(at_, word.data(), word.size()) != 0)
    return false;
  at_ += word.size();
  return true;
}

bool Cursor::string_rest(const char* start, RawString* out) {
  for (;;) {
    if (at_ == end_) return fail("the end of a string");
    if (*at_ == '"') break;
    if (*at_ != '\\') return fail("no raw control character in a string");
    if (!escape()) return false;
    at_ = find_special(at_, end_);
  }
  out->text = since(start);
  out->escaped = true;
  ++at_;
  return true;
}

bool Cursor::escape() {
  const char* const start = at_++;
  if (at_ == end_) return fail_at(start, "a whole escape");
  const char c = *at_++;
  if (c != 'u') {
    return (c != '\0' && std::strchr("\"\\/bfnrt", c) != nullptr) || fail_at(start, "an escape of JSON");
  }
  unsigned unit;
  if (!hex4(&unit)) return fail_at(start, "four hexadecimal digits after \\u");
  if (unit >= 0xDC00 && unit < 0xE000) return fail_at(start, "no low surrogate on its own");
  if (unit < 0xD800 || unit >= 0xDC00) return true;
  if (end_ - at_ < 6 || at_[0] != '\\' || at_[1] != 'u') return fail_at(start, "no high surrogate on its own");
  at_ += 2;
  if (!hex4(&unit) || unit < 0xDC00 || unit >= 0xE000) return fail_at(start, "no high surrogate on its own");
  return true;
}

bool Cursor::hex4(unsigned* out) {
  if (end_ - at_ < 4) return false;
  for (int i = 0; i < 4; ++i) {
    if (hex_of(at_[i]) < 0) return false;
  }
  *out = hex4_at(at_);
  at_ += 4;
  return true;
}

bool Cursor::tag(Type* type) {
  RawString name;
  const char* const start = at_;
  if (!string(&name)) return false;
  if (name.text == "S") {
    *type = Type::S;
  } else if (name.text == "N") {
    *type = Type::N;
  } else if (name.text == "M") {
    *type = Type::M;
  } else if (name.text == "L") {
    *type = Type::L;
  } else if (name.text == "BOOL") {
    *type = Type::Bool;
  } else if (name.text == "NULL") {
    *type = Type::Null;
  } else if (name.text == "B") {
    *type = Type::B;
  } else if (name.text == "SS") {
    *type = Type::SS;
  } else if (name.text == "NS") {
    *type = Type::NS;
  } else if (name.text == "BS") {
    *type = Type::BS;
  } else {
    return fail_at(start, "a type tag of DynamoDB");
  }
  return expect(':', "a colon");
}

bool Cursor::attribute_value_slowly(Type* type, std::string_view* raw, int depth) {
  space();
  const char* const whole = at_;
  if (!expect('{', "a value in its type tag")) return false;
  if (accept('}')) {
    if (depth >= kDepthMax) return fail_at(whole, "at most 32 levels");
    *type = Type::M;
    *raw = "{}";
    return true;
  }
  if (!tag(type)) return false;
  space();
  const char* const start = at_;
  if (!tagged(*type, depth)) return false;
  *raw = since(start);
  return expect('}', "one type tag a value");
}

bool Cursor::tagged(Type type, int depth) {
  RawString text;
  switch (type) {
    case Type::S:
    case Type::N:
    case Type::B:
      return string(&text);
    case Type::Bool:
      return literal("true") || literal("false") || fail("true or false");
    case Type::Null:
      return literal("true") || fail("true");
    case Type::SS:
    case Type::NS:
    case Type::BS: {
      bool empty = true;
      const char* const start = at_;
      if (!array([&] {
            empty = false;
            return string(&text);
          })) {
        return false;
      }
      return !empty || fail_at(start, "a set that is not empty");
    }
    case Type::L:
    case Type::M: {
      if (depth >= kDepthMax) return fail("at most 32 levels");
      Type inner;
      std::string_view raw;
      if (type == Type::L) return array([&] { return attribute_value(&inner, &raw, depth + 1); });
      return object([&](const RawString&) { return attribute_value(&inner, &raw, depth + 1); });
    }
  }
  return fail("a type tag of DynamoDB");
}

bool Cursor::number() {
  const char* const start = at_;
  if (at_ != end_ && *at_ == '-') ++at_;
  const char* const whole = at_;
  while (at_ != end_ && is_digit(*at_)) ++at_;
  if (at_ == whole || (*whole == '0' && at_ - whole > 1)) return fail_at(start, "a value");
  if (at_ != end_ && *at_ == '.') {
    const char* const fraction = ++at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    if (at_ == fraction) return fail("a digit");
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    const char* const exponent = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    if (at_ == exponent) return fail("a digit");
  }
  return true;
}

bool Cursor::any_value(int depth) {
  if (depth > kAnyDepthMax) return fail("at most 64 levels");
  space();
  if (at_ == end_) return fail("a value");
  RawString text;
  switch (*at_) {
    case '"':
      return string(&text);
    case '{':
      return object([&](const RawString&) { return any_value(depth + 1); });
    case '[':
      return array([&] { return any_value(depth + 1); });
    case 't':
      return literal("true") || fail("true");
    case 'f':
      return literal("false") || fail("false");
    case 'n':
      return literal("null") || fail("null");
    default:
      return number();
  }
}

}  // namespace moveout::item
