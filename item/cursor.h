// Cursor: one forward walk over JSON text, shared by the tree parser and the slicer. Internal to item/.
// Steps answer false once the text is wrong; the cursor then knows where, and what it expected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/error.h"
#include "item/json.h"

namespace moveout::item {

// A string as it stands in the text, without its quotes. Its escapes are checked.
struct RawString {
  std::string_view text;
  bool escaped = false;  // holds a backslash
};

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

class Cursor {
 public:
  explicit Cursor(std::string_view text) : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  const char* at() const { return at_; }
  std::string_view since(const char* start) const { return {start, static_cast<std::size_t>(at_ - start)}; }

  // Skips white space.
  void space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
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
  bool literal(std::string_view word);

  // A string with its quotes, after white space. Escapes and lone surrogates are checked, UTF-8 is not.
  bool string(RawString* out) {
    if (!expect('"', "a string")) return false;
    const char* const start = at_;
    at_ = find_special(at_, end_);
    if (at_ != end_ && *at_ == '"') {
      out->text = since(start);
      out->escaped = false;
      ++at_;
      return true;
    }
    return string_rest(start, out);
  }

  // One attribute value {"TAG":…}, walked over: tags, shapes, balance, strings and depth are checked; numbers, base64
  // and duplicates are not. `raw` is the text inside the tag, `{}` for a bare {}.
  bool attribute_value(Type* type, std::string_view* raw, int depth = 0) {
    // What nearly every attribute looks like on the wire: {"S":"…"}, {"N":"…"}, {"B":"…"} without white space.
    if (end_ - at_ >= 8) {
      std::uint64_t head;
      std::memcpy(&head, at_, 8);
      const char letter = at_[2];
      if ((head & word_of("\xFF\xFF\0\xFF\xFF\xFF\0\0")) == word_of("{\"\0\":\"\0\0") &&
          (letter == 'S' || letter == 'N' || letter == 'B')) {
        at_ += 5;
        const char* const start = at_;
        RawString text;
        if (!string(&text)) return false;
        *type = letter == 'S' ? Type::S : letter == 'N' ? Type::N : Type::B;
        *raw = since(start);
        return expect('}', "the end of a value");
      }
    }
    return attribute_value_slowly(type, raw, depth);
  }
  // The tag of a value and the colon after it.
  bool tag(Type* type);
  // Any JSON value.
  bool any_value(int depth = 0);

  // An object: `member(const RawString& name)` is called after each name and its colon and walks over the value.
  template <class Member>
  bool object(Member&& member) {
    if (!expect('{', "an object")) return false;
    if (accept('}')) return true;
    do {
      RawString name;
      if (!string(&name) || !expect(':', "a colon") || !member(name)) return false;
    } while (accept(','));
    return expect('}', "a comma or the end of an object");
  }
  // An array: `element()` walks over each.
  template <class Element>
  bool array(Element&& element) {
    if (!expect('[', "an array")) return false;
    if (accept(']')) return true;
    do {
      if (!element()) return false;
    } while (accept(','));
    return expect(']', "a comma or the end of an array");
  }

  // Remembers what was expected here (first wins), answers false.
  bool fail(const char* expected) { return fail_at(at_, expected); }
  bool fail_at(const char* where, const char* expected);
  std::size_t failed_at() const { return failed_at_; }
  // Corrupt, naming the byte; `what` names the text.
  base::Error error(std::string_view what) const;

 private:
  static std::uint64_t word_of(const char (&bytes)[9]) {
    std::uint64_t word;
    std::memcpy(&word, bytes, 8);
    return word;
  }
  bool accept_after_space(char c);
  bool string_rest(const char* start, RawString* out);
  bool escape();
  bool hex4(unsigned* out);
  bool number();
  bool attribute_value_slowly(Type* type, std::string_view* raw, int depth);
  bool tagged(Type type, int depth);

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* expected_ = nullptr;
  std::size_t failed_at_ = 0;
};

}  // namespace moveout::item
