// IndexCursor: the walk over a page by an index of its tokens, made for the whole text at once by simdjson's first
// stage. It takes strings without looking at their bytes again. Internal to item/.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "item/grammar.h"

namespace moveout::item {

// Where the tokens of a text start: brackets, commas, colons, strings and scalars. Keeps its memory (4 bytes for each
// byte of the longest text, touched as far as there are tokens).
class Index {
 public:
  Index();
  ~Index();
  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;
  // False unless the text is UTF-8 with all its strings closed, free of raw control characters and rightly escaped.
  // After false only Cursor can say what is wrong, or if anything is.
  bool build(std::string_view text);
  const std::uint32_t* begin() const { return begin_; }
  // Points at one more position, the text's size.
  const std::uint32_t* end() const { return end_; }
  bool escaped() const { return escaped_; }

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  const std::uint32_t* begin_ = nullptr;
  const std::uint32_t* end_ = nullptr;
  bool escaped_ = false;
};

class IndexCursor : public Grammar<IndexCursor> {
 public:
  IndexCursor(std::string_view text, const Index& index)
      : text_(text.data()), size_(text.size()), token_(index.begin()), end_(index.end()), escaped_(index.escaped()) {}

  const char* next() const { return text_ + *token_; }
  char peek() const { return token_ != end_ ? text_[*token_] : '\0'; }
  bool accept(char c) {
    if (token_ == end_ || text_[*token_] != c) return false;
    ++token_;
    return true;
  }
  bool expect(char c, const char*) { return accept(c); }
  bool finish() const { return token_ == end_; }
  // From `start` to the end of the token before this.
  std::string_view since(const char* start) const { return {start, static_cast<std::size_t>(last_end() - start)}; }

  bool string(RawString* out) {
    const char* const start = next() + 1;
    if (!accept('"')) return false;
    // Between a closing quote and the next token there is nothing but white space: the rest would be a token.
    const char* const end = last_end() - 1;
    if (end < start || *end != '"') return false;
    *out = {{start, static_cast<std::size_t>(end - start)}, escaped_};
    return true;
  }
  bool scalar(std::string_view* out) {
    if (token_ == end_) return false;
    const char* const start = next();
    ++token_;
    *out = since(start);
    return true;
  }
  bool take_wire_tag(Type* type) {
    if (size_ - *token_ < 8 || item::take_wire_tag(next(), type) == 0) return false;
    token_ += 3;  // the bracket, the tag, the colon
    return true;
  }
  // "name":{"S":"…"} and {"S":"…"}, also with N and B, without white space: the tokens are looked at side by side, not
  // one after another. Anything else is left as it is.
  bool simple_member(RawString* name, Type* type, std::string_view* raw) {
    const std::uint32_t* const token = token_;
    if (end_ - token < kSimpleMember) return false;
    const char* const quote = text_ + token[0];
    const char* const colon = text_ + token[1];
    if (*quote != '"' || *colon != ':' || colon[-1] != '"' || colon - quote < 2) return false;
    if (!simple_at(token + 2, type, raw)) return false;
    *name = {{quote + 1, static_cast<std::size_t>(colon - quote - 2)}, escaped_};
    token_ = token + kSimpleMember;
    return true;
  }
  bool simple_value(Type* type, std::string_view* raw) {
    if (end_ - token_ < kSimpleValue || !simple_at(token_, type, raw)) return false;
    token_ += kSimpleValue;
    return true;
  }
  bool may_escape() const { return escaped_; }
  bool fail(const char*) const { return false; }
  bool fail_at(const char*, const char*) const { return false; }

 private:
  static constexpr std::ptrdiff_t kSimpleValue = 5;  // bracket, tag, colon, string, bracket
  static constexpr std::ptrdiff_t kSimpleMember = kSimpleValue + 2;

  bool simple_at(const std::uint32_t* token, Type* type, std::string_view* raw) const {
    if (size_ - token[0] < 8) return false;
    if (item::take_wire_tag(text_ + token[0], type) == 0 || *type > Type::B) return false;
    const char* const start = text_ + token[3];
    const char* const end = text_ + token[4];
    if (*start != '"' || *end != '}' || end[-1] != '"' || end - start < 2) return false;
    *raw = {start, static_cast<std::size_t>(end - start)};
    return true;
  }
  const char* last_end() const {
    const char* end = next();
    while (static_cast<unsigned char>(end[-1]) <= ' ' && is_json_space(end[-1])) --end;
    return end;
  }

  const char* text_;
  std::size_t size_;
  const std::uint32_t* token_;
  const std::uint32_t* end_;
  bool escaped_;
};

}  // namespace moveout::item
