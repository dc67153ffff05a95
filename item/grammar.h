// The grammar of DynamoDB JSON over a cursor of either kind: Cursor (over text) and IndexCursor (over an index of the
// text's tokens). Internal to item/. A step answers false once the text is wrong.
//
// A cursor has: accept(c), expect(c, what), string(&raw), scalar(&text), take_wire_tag(&type), may_escape(), next(),
// since(start), fail(expected), fail_at(where, expected).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "item/json.h"

namespace moveout::item {

// A string as it stands in the text, without its quotes. Its escapes are checked.
struct RawString {
  std::string_view text;
  bool escaped = false;  // may hold a backslash
};

// Whether `text` is a number of JSON, all of it.
bool is_json_number(std::string_view text);
// The type of a tag. False for what is no tag.
bool type_of_tag(std::string_view tag, Type* type);

inline bool is_json_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// The length of a value's start as it is on the wire, without white space: {"S": and the like. 0 for anything else.
// `at` has at least 8 readable bytes.
inline std::size_t take_wire_tag(const char* at, Type* type) {
  const auto word_of = [](const char(&bytes)[9]) {
    std::uint64_t word;
    std::memcpy(&word, bytes, 8);
    return word;
  };
  std::uint64_t head;
  std::memcpy(&head, at, 8);
  if ((head & word_of("\xFF\xFF\0\xFF\xFF\0\0\0")) == word_of("{\"\0\":\0\0\0")) {
    switch (at[2]) {
      case 'S':
        *type = Type::S;
        return 5;
      case 'N':
        *type = Type::N;
        return 5;
      case 'B':
        *type = Type::B;
        return 5;
      case 'M':
        *type = Type::M;
        return 5;
      case 'L':
        *type = Type::L;
        return 5;
      default:
        return 0;
    }
  }
  if (head == word_of("{\"BOOL\":")) {
    *type = Type::Bool;
    return 8;
  }
  if (head == word_of("{\"NULL\":")) {
    *type = Type::Null;
    return 8;
  }
  return 0;
}

// Of any JSON. Two for each of an item's 32 levels, and the few that an answer or a record has around items.
inline constexpr int kAnyDepthMax = 128;

template <class Self>
class Grammar {
 public:
  // An object: `member(const RawString& name)` is called after each name and its colon and walks over the value.
  template <class Member>
  bool object(Member&& member) {
    if (!self().expect('{', "an object")) return false;
    if (self().accept('}')) return true;
    do {
      RawString name;
      if (!self().string(&name) || !self().expect(':', "a colon") || !member(name)) return false;
    } while (self().accept(','));
    return self().expect('}', "a comma or the end of an object");
  }
  // An array: `element()` walks over each.
  template <class Element>
  bool array(Element&& element) {
    if (!self().expect('[', "an array")) return false;
    if (self().accept(']')) return true;
    do {
      if (!element()) return false;
    } while (self().accept(','));
    return self().expect(']', "a comma or the end of an array");
  }

  // An item, or the inside of an M: `visit(name, type, raw)` is called for each attribute behind it, as attribute_value
  // would give it.
  template <class Visit>
  bool attributes(Visit&& visit, int depth = 0) {
    if (!self().expect('{', "an object")) return false;
    if (self().accept('}')) return true;
    do {
      RawString name;
      Type type;
      std::string_view raw;
      if (!self().simple_member(&name, &type, &raw)) {
        if (!self().string(&name) || !self().expect(':', "a colon") || !attribute_value(&type, &raw, depth))
          return false;
      }
      if (!visit(name, type, raw)) return false;
    } while (self().accept(','));
    return self().expect('}', "a comma or the end of an object");
  }

  // One attribute value {"TAG":…}, walked over: tags, shapes, balance, strings and depth are checked; numbers, base64
  // and duplicates are not. `raw` is the text inside the tag, `{}` for a bare {}.
  bool attribute_value(Type* type, std::string_view* raw, int depth = 0) {
    if (self().simple_value(type, raw)) return true;
    if (self().take_wire_tag(type)) {
      const char* const start = self().next();
      RawString text;
      if (*type <= Type::B) {  // S, N, B
        if (!self().string(&text)) return false;
        *raw = {start, text.text.size() + 2};
      } else {
        if (!tagged(*type, depth)) return false;
        *raw = self().since(start);
      }
      return self().expect('}', "one type tag a value");
    }
    return attribute_value_slowly(type, raw, depth);
  }

  // The tag of a value and the colon after it.
  bool tag(Type* type) {
    const char* const start = self().next();
    RawString name;
    if (!self().string(&name)) return false;
    if (!type_of_tag(name.text, type)) return self().fail_at(start, "a type tag of DynamoDB");
    return self().expect(':', "a colon");
  }

  bool boolean(bool* value) {
    const char* const start = self().next();
    std::string_view text;
    if (!self().scalar(&text)) return false;
    *value = text == "true";
    return *value || text == "false" || self().fail_at(start, "true or false");
  }
  bool word(std::string_view wanted, const char* expected) {
    const char* const start = self().next();
    std::string_view text;
    return self().scalar(&text) && (text == wanted || self().fail_at(start, expected));
  }

  // Any JSON value.
  bool any_value(int depth = 0) {
    if (depth > kAnyDepthMax) return self().fail("at most 128 levels");
    const char* const start = self().next();
    RawString raw;
    switch (self().peek()) {
      case '"':
        return self().string(&raw);
      case '{':
        return object([&](const RawString&) { return any_value(depth + 1); });
      case '[':
        return array([&] { return any_value(depth + 1); });
      default: {
        std::string_view text;
        if (!self().scalar(&text)) return false;
        return text == "true" || text == "false" || text == "null" || is_json_number(text) ||
               self().fail_at(start, "a value");
      }
    }
  }

 private:
  Self& self() { return static_cast<Self&>(*this); }

  [[gnu::noinline]] bool attribute_value_slowly(Type* type, std::string_view* raw, int depth) {
    const char* const whole = self().next();
    if (!self().expect('{', "a value in its type tag")) return false;
    if (self().accept('}')) {
      *type = Type::M;
      *raw = "{}";
      return depth < kDepthMax || self().fail_at(whole, "at most 32 levels");
    }
    if (!tag(type)) return false;
    const char* const start = self().next();
    if (!tagged(*type, depth)) return false;
    *raw = self().since(start);
    return self().expect('}', "one type tag a value");
  }

  [[gnu::noinline]] bool tagged(Type type, int depth) {
    RawString text;
    bool yes;
    switch (type) {
      case Type::S:
      case Type::N:
      case Type::B:
        return self().string(&text);
      case Type::Bool:
        return boolean(&yes);
      case Type::Null:
        return word("true", "true");
      case Type::SS:
      case Type::NS:
      case Type::BS: {
        bool empty = true;
        const char* const start = self().next();
        if (!array([&] {
              empty = false;
              return self().string(&text);
            })) {
          return false;
        }
        return !empty || self().fail_at(start, "a set that is not empty");
      }
      case Type::L:
      case Type::M: {
        if (depth >= kDepthMax) return self().fail("at most 32 levels");
        Type inner;
        std::string_view raw;
        if (type == Type::L) return array([&] { return attribute_value(&inner, &raw, depth + 1); });
        return attributes([](const RawString&, Type, std::string_view) { return true; }, depth + 1);
      }
    }
    return self().fail("a type tag of DynamoDB");
  }
};

}  // namespace moveout::item
