#include "backfill/export/ion_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "item/json.h"

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;

// DynamoDB's own limit is 32; a record's frame adds two.
constexpr int kLevelsMax = item::kDepthMax + 4;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_symbol(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '$';
}

void append_utf8(std::uint32_t code, std::string& out) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F)), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<item::Map> document() {
    skip_blanks();
    if (take("$ion_1_0")) skip_blanks();
    item::Map map;
    if (!fields(map, 1)) return failure();
    skip_blanks();
    if (at_ != text_.size()) {
      expect("the end of the record");
      return failure();
    }
    return map;
  }

 private:
  bool expect(const char* what) {
    if (expected_ == nullptr) {
      expected_ = what;
      where_ = at_;
    }
    return false;
  }
  std::unexpected<base::Error> failure() const {
    return base::fail(ErrorKind::Corrupt, fmt::format("byte {} of the record: expected {}", where_, expected_));
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  std::string_view symbol() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_symbol(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  bool hex(int digits, std::uint32_t& code) {
    code = 0;
    for (int i = 0; i < digits; ++i) {
      const char c = peek();
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return expect("a hexadecimal digit");
      code = code * 16 + static_cast<std::uint32_t>(digit);
      ++at_;
    }
    return true;
  }

  // After the backslash.
  bool escape(std::string& out) {
    const char c = peek();
    if (at_ == text_.size()) return expect("an escape");
    ++at_;
    constexpr std::string_view letters = "0abtnfrv?\"'/\\";
    constexpr std::string_view meant("\0\a\b\t\n\f\r\v?\"'/\\", 13);
    if (const std::size_t found = letters.find(c); found != letters.npos) return out += meant[found], true;
    if (c == '\n') return true;
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    std::uint32_t code = 0;
    if (digits == 0) return expect("an escape that Ion has");
    if (!hex(digits, code)) return false;
    if (code >= 0xD800 && code < 0xDC00 && take("\\u")) {
      std::uint32_t low = 0;
      if (!hex(4, low)) return false;
      if (low < 0xDC00 || low > 0xDFFF) return expect("the second half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return expect("a character of Unicode");
    append_utf8(code, out);
    return true;
  }

  // After the opening quotes, up to and with the closing ones.
  bool text_until(std::string_view quotes, std::string& out) {
    while (at_ < text_.size()) {
      if (take(quotes)) return true;
      const char c = text_[at_++];
      if (c == '\\') {
        if (!escape(out)) return false;
      } else {
        out += c;
      }
    }
    return expect("the end of a text");
  }

  bool name(std::string& out) {
    if (take("\"")) return text_until("\"", out);
    if (take("'")) return text_until("'", out);
    const std::string_view word = symbol();
    if (word.empty() || is_digit(word.front())) return expect("a field's name");
    out = word;
    return true;
  }

  bool fields(item::Map& map, int level) {
    if (level > kLevelsMax) return expect("fewer levels");
    if (!take("{")) return expect("{");
    for (bool first = true;; first = false) {
      skip_blanks();
      if (take("}")) return true;
      if (!first) {
        if (!take(",")) return expect(", or }");
        skip_blanks();
        if (take("}")) return true;
      }
      std::string key;
      if (!name(key)) return false;
      skip_blanks();
      if (!take(":")) return expect(":");
      item::Value member;
      if (!value(member, level + 1)) return false;
      if (!map.emplace(std::move(key), std::move(member)).second) return expect("every name once");
    }
  }

  bool list(item::List& out, int level) {
    if (level > kLevelsMax) return expect("fewer levels");
    if (!take("[")) return expect("[");
    for (bool first = true;; first = false) {
      skip_blanks();
      if (take("]")) return true;
      if (!first) {
        if (!take(",")) return expect(", or ]");
        skip_blanks();
        if (take("]")) return true;
      }
      item::Value member;
      if (!value(member, level + 1)) return false;
      out.push_back(std::move(member));
    }
  }

  bool blob(item::Binary& out) {
    if (!take("{{")) return expect("{{");
    std::string text;
    while (at_ < text_.size() && text_[at_] != '}') {
      if (!is_blank(text_[at_])) text += text_[at_];
      ++at_;
    }
    if (!take("}}")) return expect("}}");
    if (text.starts_with('"')) return expect("base64, not a clob");
    Result<std::string> bytes = item::decode_base64(text);
    if (!bytes) return expect("base64");
    out.bytes = std::move(*bytes);
    return true;
  }

  // Ion's decimals have a d where DynamoDB has an E, and may end in a point.
  bool number(item::Number& out) {
    std::string text;
    if (take("-")) text += '-';
    const std::size_t digits = text.size();
    while (is_digit(peek())) text += text_[at_++];
    if (text.size() == digits) return expect("a decimal");
    if (take(".")) {
      if (is_digit(peek())) text += '.';
      while (is_digit(peek())) text += text_[at_++];
    }
    if (peek() == 'd' || peek() == 'D') {
      ++at_;
      text += 'E';
      if (peek() == '-' || peek() == '+') text += text_[at_++];
      if (!is_digit(peek())) return expect("an exponent");
      while (is_digit(peek())) text += text_[at_++];
    }
    if (is_symbol(peek()) || peek() == '.' || peek() == '-') return expect("a decimal, and no other number");
    const Result<item::Number> parsed = item::Number::parse(text);
    if (!parsed) return expect("a number that DynamoDB has");
    out = *parsed;
    return true;
  }

  template <class Member, class Set>
  bool set_of(const item::List& members, item::Value& out) {
    Set set;
    for (const item::Value& each : members) {
      const Member* member = each.if_a<Member>();
      if (member == nullptr) return expect("members of the set's type");
      set.members.push_back(*member);
    }
    std::ranges::sort(set.members);
    if (set.members.empty()) return expect("a set that is not empty");
    if (std::ranges::adjacent_find(set.members) != set.members.end()) return expect("every member of a set once");
    out = item::Value(std::move(set));
    return true;
  }

  bool annotated(std::string_view annotation, item::Value& out, int level) {
    item::List members;
    skip_blanks();
    if (!list(members, level)) return false;
    if (annotation == "$dynamodb_SS") return set_of<std::string, item::StringSet>(members, out);
    if (annotation == "$dynamodb_NS") return set_of<item::Number, item::NumberSet>(members, out);
    if (annotation == "$dynamodb_BS") return set_of<item::Binary, item::BinarySet>(members, out);
    return expect("an annotation of a set");
  }

  bool text_value(item::Value& out) {
    std::string text;
    if (take("\"")) {
      if (!text_until("\"", text)) return false;
    } else {
      if (!take("'''")) return expect("a text");
      do {
        if (!text_until("'''", text)) return false;
        skip_blanks();
      } while (take("'''"));
    }
    out = item::Value(std::move(text));
    return true;
  }

  bool value(item::Value& out, int level) {
    skip_blanks();
    const char c = peek();
    if (c == '"' || c == '\'') return text_value(out);
    if (c == '-' || is_digit(c)) {
      item::Number decimal;
      if (!number(decimal)) return false;
      out = item::Value(decimal);
      return true;
    }
    if (c == '[') {
      item::List members;
      if (!list(members, level)) return false;
      out = item::Value(std::move(members));
      return true;
    }
    if (text_.substr(at_).starts_with("{{")) {
      item::Binary bytes;
      if (!blob(bytes)) return false;
      out = item::Value(std::move(bytes));
      return true;
    }
    if (c == '{') {
      item::Map map;
      if (!fields(map, level)) return false;
      out = item::Value(std::move(map));
      return true;
    }
    const std::string_view word = symbol();
    if (word == "true" || word == "false") return out = item::Value(word == "true"), true;
    if (word == "null" && (peek() != '.' || take(".null"))) return out = item::Value(item::Null{}), true;
    skip_blanks();
    if (take("::")) return annotated(word, out, level);
    return expect("a value that DynamoDB has");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t where_ = 0;
  const char* expected_ = nullptr;
};

}  // namespace

Result<item::Map> parse_ion_struct(std::string_view text) { return Parser(text).document(); }

}  // namespace moveout::backfill
