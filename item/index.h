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
    *out = {{start, static_cast<std::size_t>(end - start)}, escaped_};
    return end >= start && *end == '"';
  }
  bool scalar(std::string_view* out) {
    if (token_ == end_) return false;
    const char* const start = next();
    ++token_;
    *out = since(start);
    return true;
  }
  bool take_simple(Type* type) {
    if (size_ - *token_ < 8 || !is_simple(next(), type)) return false;
    token_ += 3;  // the bracket, the tag, the colon
    return true;
  }
  bool fail(const char*) const { return false; }
  bool fail_at(const char*, const char*) const { return false; }

 private:
  const char* last_end() const {
    const char* end = next();
    while (is_json_space(end[-1])) --end;
    return end;
  }

  const char* text_;
  std::size_t size_;
  const std::uint32_t* token_;
  const std::uint32_t* end_;
  bool escaped_;
};

}  // namespace moveout::item
