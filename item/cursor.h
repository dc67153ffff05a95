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
// Bytes from `begin` on, at or before `at`, are readable.
inline const char* find_special(const char* begin, const char* at, const char* end) {
#if defined(__SSE2__)
  const auto specials_of = [](const char* bytes_at) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes_at));
    const __m128i control = _mm_set1_epi8(0x1F);
    const __m128i special = _mm_or_si128(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
        _mm_cmpeq_epi8(_mm_max_epu8(bytes, control), control));
    return static_cast<unsigned>(_mm_movemask_epi8(special));
  };
  for (; end - at >= 16; at += 16) {
    if (const unsigned mask = specials_of(at); mask != 0) return at + __builtin_ctz(mask);
  }
  if (at != end && end - begin >= 16) {  // the rest, with what stands before it
    const unsigned mask = specials_of(end - 16) >> (16 - (end - at));
    return mask != 0 ? at + __builtin_ctz(mask) : end;
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
  // Loose: lone surrogates pass. Such text is walked over and never decoded.
  enum class Escapes { Strict, Loose };
  explicit Cursor(std::string_view text, Escapes escapes = Escapes::Strict)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()), loose_(escapes == Escapes::Loose) {}

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
    at_ = find_special(begin_, at_, end_);
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
  // "name":{"S":"…"} and {"S":"…"}, also with N and B, without white space and escapes, in one step. Anything else is
  // left as it is.
  bool simple_member(RawString* name, Type* type, std::string_view* raw) {
    const char* const quote = at_;
    if (quote == end_ || *quote != '"') return false;
    const char* const close = find_special(begin_, quote + 1, end_);
    if (end_ - close < 2 || close[0] != '"' || close[1] != ':') return false;
    const char* const end = simple_at(close + 2, type, raw);
    if (end == nullptr) return false;
    *name = {{quote + 1, static_cast<std::size_t>(close - quote - 1)}, false};
    at_ = end;
    return true;
  }
  bool simple_value(Type* type, std::string_view* raw) {
    const char* const end = simple_at(at_, type, raw);
    if (end == nullptr) return false;
    at_ = end;
    return true;
  }
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
  // Behind a simple value at `at`; null for any other.
  const char* simple_at(const char* at, Type* type, std::string_view* raw) const {
    if (end_ - at < 8 || item::take_wire_tag(at, type) == 0 || *type > Type::B || at[5] != '"') return nullptr;
    const char* const close = find_special(begin_, at + 6, end_);
    if (end_ - close < 2 || close[0] != '"' || close[1] != '}') return nullptr;
    *raw = {at + 5, static_cast<std::size_t>(close - at - 4)};
    return close + 2;
  }
  bool accept_after_space(char c);
  bool string_rest(const char* start, RawString* out);
  bool escape();
  bool hex4(unsigned* out);

  const char* begin_;
  const char* at_;
  const char* end_;
  bool loose_;
  const char* expected_ = nullptr;
  std::size_t failed_at_ = 0;
};

}  // namespace moveout::item
