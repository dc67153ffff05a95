// Cursor: one forward walk over JSON text, for the tree parser and whatever small text there is. Internal to item/ (and
// lent to aws/ for error bodies). Once the text is wrong the cursor knows where, and what it expected.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/error.h"
#include "item/grammar.h"

namespace moveout::item {

// The decoded text, appended. Never fails: the cursor checked the escapes.
void unescape(std::string& out, const RawString& raw);

// Offset of the first byte that is not UTF-8; npos when all of it is.
std::size_t find_invalid_utf8(std::string_view text);

// First byte in [at, end) that cannot stand in a JSON string as it is: '"', '\\' or below 0x20; end when there is none.
inline const char* find_special(const char* at, const char* end) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i control = _mm_set1_epi8(0x1F);
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                         _mm_cmpeq_epi8(_mm_max_epu8(bytes, control), control));
    if (const int mask = _mm_movemask_epi8(special); mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  for (; at != end; ++at) {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte == '"' || byte == '\\' || byte < 0x20) return at;
  }
  return end;
}

class Cursor : public Grammar<Cursor> {
 public:
  explicit Cursor(std::string_view text) : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  const char* at() const { return at_; }
  std::string_view since(const char* start) const { return {start, static_cast<std::size_t>(at_ - start)}; }

  // Skips white space.
  void space() {
    while (at_ != end_ && is_json_space(*at_)) ++at_;
  }
  // Skips white space: where the next token starts.
  const char* next() {
    space();
    return at_;
  }
  // The next token's first byte, 0 at the end.
  char peek() {
    space();
    return at_ != end_ ? *at_ : '\0';
  }
  // After white space: is `c` next? Consumed when it is.
  bool accept(char c) {
    if (at_ != end_ && *at_ == c) {
      ++at_;
      return true;
    }
    return accept_after_space(c);
  }
  bool expect(char c, const char* what) { return accept(c) || fail(what); }
  // Text and white space are used up.
  bool finish() {
    space();
    return at_ == end_ || fail("nothing more");
  }

  // A string with its quotes. Escapes and lone surrogates are checked, UTF-8 is not.
  bool string(RawString* out) {
    if (!expect('"', "a string")) return false;
    const char* const start = at_;
    at_ = find_special(at_, end_);
    if (at_ != end_ && *at_ == '"') {
      *out = {since(start), false};
      ++at_;
      return true;
    }
    return string_rest(start, out);
  }
  // What stands before the next white space, comma, bracket or the end: a literal or a number, if it is anything.
  bool scalar(std::string_view* out);
  bool take_wire_tag(Type* type) {
    const std::size_t size = end_ - at_ < 8 ? 0 : item::take_wire_tag(at_, type);
    at_ += size;
    return size != 0;
  }
  bool simple_member(RawString*, Type*, std::string_view*) { return false; }
  bool simple_value(Type*, std::string_view*) { return false; }
  bool may_escape() const { return true; }
  // Every escape from here to the end, wherever it stands.
  bool escapes();

  // Remembers what was expected here (first wins), answers false.
  bool fail(const char* expected) { return fail_at(at_, expected); }
  bool fail_at(const char* where, const char* expected);
  std::size_t failed_at() const { return failed_at_; }
  // Corrupt, naming the byte; `what` names the text.
  base::Error error(std::string_view what) const;

 private:
  bool accept_after_space(char c);
  bool string_rest(const char* start, RawString* out);
  bool escape();
  bool hex4(unsigned* out);

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* expected_ = nullptr;
  std::size_t failed_at_ = 0;
};

}  // namespace moveout::item
