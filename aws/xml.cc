#include "aws/xml.h"

#include <charconv>
#include <cstdint>

namespace moveout::aws {
namespace {

constexpr int kDepthMax = 16;
constexpr std::string_view kBlanks = " \t\r\n";

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == ':';
}

bool append_utf8(std::uint32_t code, std::string& out) {
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
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
  return true;
}

// "amp" or "#38", without & and ;.
bool append_entity(std::string_view name, std::string& out) {
  struct Named {
    std::string_view name;
    char character;
  };
  for (const Named& each : {Named{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}}) {
    if (name == each.name) return out += each.character, true;
  }
  if (!name.starts_with('#')) return false;
  name.remove_prefix(1);
  const bool hex = name.starts_with('x');
  if (hex) name.remove_prefix(1);
  std::uint32_t code = 0;
  const auto [end, ec] = std::from_chars(name.data(), name.data() + name.size(), code, hex ? 16 : 10);
  return !name.empty() && ec == std::errc() && end == name.data() + name.size() && append_utf8(code, out);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  bool document(XmlElement& root) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    if (text_.substr(at_).starts_with("<?xml")) {
      const std::size_t end = text_.find("?>", at_);
      if (end == std::string_view::npos) return false;
      at_ = end + 2;
    }
    skip_blanks();
    if (!element(root, 1)) return false;
    skip_blanks();
    return at_ == text_.size();
  }

 private:
  bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(kBlanks, at_), text_.size()); }

  std::string_view name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  // Attributes say nothing that is needed here: namespaces.
  bool attributes() {
    for (;;) {
      skip_blanks();
      if (next_is('>') || next_is('/')) return true;
      if (name().empty()) return false;
      skip_blanks();
      if (!take("=")) return false;
      skip_blanks();
      const char quote = next_is('"') ? '"' : '\'';
      if (!next_is(quote)) return false;
      const std::size_t end = text_.find(quote, at_ + 1);
      if (end == std::string_view::npos || text_.substr(at_, end - at_).find('<') != std::string_view::npos) {
        return false;
      }
      at_ = end + 1;
    }
  }

  bool element(XmlElement& into, int depth) {
    if (depth > kDepthMax || !take("<")) return false;
    const std::string_view whole = name();
    if (whole.empty()) return false;
    into.name = whole.substr(whole.rfind(':') + 1);
    if (!attributes()) return false;
    if (take("/>")) return true;
    if (!take(">")) return false;
    for (;;) {
      if (at_ == text_.size()) return false;
      if (take("</")) {
        if (name() != whole) return false;
        skip_blanks();
        return take(">");
      }
      if (next_is('<')) {
        if (!element(into.children.emplace_back(), depth + 1)) return false;
      } else if (take("&")) {
        const std::size_t end = text_.find(';', at_);
        if (end == std::string_view::npos || !append_entity(text_.substr(at_, end - at_), into.text)) return false;
        at_ = end + 1;
      } else {
        const std::size_t end = std::min(text_.find_first_of("<&", at_), text_.size());
        into.text += text_.substr(at_, end - at_);
        at_ = end;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

const XmlElement* XmlElement::child(std::string_view wanted) const {
  for (const XmlElement& each : children) {
    if (each.name == wanted) return &each;
  }
  return nullptr;
}

std::string XmlElement::text_of(std::string_view wanted) const {
  const XmlElement* found = child(wanted);
  return found == nullptr ? std::string() : found->text;
}

base::Result<XmlElement> parse_xml(std::string_view text) {
  XmlElement root;
  Parser parser(text);
  if (!parser.document(root)) return base::fail(base::ErrorKind::Corrupt, "not the XML that was expected");
  return root;
}

}  // namespace moveout::aws
