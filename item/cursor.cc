#include "item/cursor.h"

#include <fmt/format.h>
#include <simdjson.h>

namespace moveout::item {
namespace {

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

bool Cursor::scalar(std::string_view* out) {
  space();
  const char* const start = at_;
  while (at_ != end_ && !is_json_space(*at_) && *at_ != ',' && *at_ != '}' && *at_ != ']') ++at_;
  *out = since(start);
  return true;
}

bool Cursor::escapes() {
  while (at_ != end_) {
    const void* const backslash = std::memchr(at_, '\\', static_cast<std::size_t>(end_ - at_));
    if (backslash == nullptr) return true;
    at_ = static_cast<const char*>(backslash);
    if (!escape()) return false;
  }
  return true;
}

bool Cursor::string_rest(const char* start, RawString* out) {
  for (;;) {
    if (at_ == end_) return fail("the end of a string");
    if (*at_ == '"') break;
    if (*at_ != '\\') return fail("no raw control character in a string");
    if (!escape()) return false;
    at_ = find_special(begin_, at_, end_);
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
  if (loose_) return true;
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

bool type_of_tag(std::string_view tag, Type* type) {
  constexpr std::pair<std::string_view, Type> kTags[] = {
      {"S", Type::S},       {"N", Type::N}, {"M", Type::M},   {"L", Type::L},   {"BOOL", Type::Bool},
      {"NULL", Type::Null}, {"B", Type::B}, {"SS", Type::SS}, {"NS", Type::NS}, {"BS", Type::BS}};
  for (const auto& [name, its] : kTags) {
    if (name == tag) {
      *type = its;
      return true;
    }
  }
  return false;
}

bool is_json_number(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto digits = [&] {
    const char* const start = at;
    while (at != end && is_digit(*at)) ++at;
    return at - start;
  };
  if (at != end && *at == '-') ++at;
  const char* const whole = at;
  const auto whole_digits = digits();
  if (whole_digits == 0 || (*whole == '0' && whole_digits > 1)) return false;
  if (at != end && *at == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == end;
}

}  // namespace moveout::item
