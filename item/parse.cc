// DynamoDB JSON to trees.
#include <algorithm>

#include "item/cursor.h"
#include "item/json.h"

namespace moveout::item {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : cursor_(text) {}

  base::Result<Item> item() {
    Map map;
    if (!members(&map, 0) || !cursor_.finish()) return base::fail(error());
    return map;
  }
  base::Result<Value> value() {
    Value value;
    if (!tagged_value(&value, 0) || !cursor_.finish()) return base::fail(error());
    return value;
  }

 private:
  base::Error error() const { return cursor_.error("not DynamoDB JSON"); }

  bool members(Map* map, int depth) {
    return cursor_.object([&](const RawString& raw) {
      std::string name;
      unescape(name, raw);
      const std::size_t before = map->size();
      // Canonical text comes sorted: the end is the place.
      const auto at = map->try_emplace(map->end(), std::move(name));
      if (map->size() == before) return cursor_.fail_at(raw.text.data(), "each name once");
      return tagged_value(&at->second, depth);
    });
  }

  // `depth` is the number of L and M around the value.
  bool tagged_value(Value* value, int depth) {
    const char* const start = cursor_.next();
    if (!cursor_.expect('{', "a value in its type tag")) return false;
    if (cursor_.accept('}')) {
      *value = Value(Map());
      return depth < kDepthMax || cursor_.fail_at(start, "at most 32 levels");
    }
    Type type;
    if (!cursor_.tag(&type)) return false;
    cursor_.space();
    if ((type == Type::L || type == Type::M) && depth >= kDepthMax) return cursor_.fail("at most 32 levels");
    return untagged(type, value, depth) && cursor_.expect('}', "one type tag a value");
  }

  bool untagged(Type type, Value* value, int depth) {
    switch (type) {
      case Type::S:
        return scalar<std::string>(value);
      case Type::N:
        return scalar<Number>(value);
      case Type::B:
        return scalar<Binary>(value);
      case Type::Bool: {
        bool yes;
        if (!cursor_.boolean(&yes)) return false;
        *value = Value(yes);
        return true;
      }
      case Type::Null:
        *value = Value(Null{});
        return cursor_.word("true", "true");
      case Type::L: {
        List list;
        if (!cursor_.array([&] { return tagged_value(&list.emplace_back(), depth + 1); })) return false;
        *value = Value(std::move(list));
        return true;
      }
      case Type::M: {
        Map map;
        if (!members(&map, depth + 1)) return false;
        *value = Value(std::move(map));
        return true;
      }
      case Type::SS:
        return set<StringSet, std::string>(value);
      case Type::NS:
        return set<NumberSet, Number>(value);
      case Type::BS:
        return set<BinarySet, Binary>(value);
    }
    return cursor_.fail("a type tag of DynamoDB");
  }

  bool read(std::string* out) {
    RawString raw;
    if (!cursor_.string(&raw)) return false;
    unescape(*out, raw);
    return true;
  }
  bool read(Number* out) {
    RawString raw;
    if (!cursor_.string(&raw)) return false;
    base::Result<Number> number = base::fail(base::ErrorKind::Corrupt, "");
    if (raw.escaped) {
      std::string text;
      unescape(text, raw);
      number = Number::parse(text);
    } else {
      number = Number::parse(raw.text);
    }
    if (!number) return cursor_.fail_at(raw.text.data(), "a number of DynamoDB");
    *out = *number;
    return true;
  }
  bool read(Binary* out) {
    RawString raw;
    if (!cursor_.string(&raw)) return false;
    auto bytes = decode_base64({raw.text.data() - 1, raw.text.size() + 2});
    if (!bytes) return cursor_.fail_at(raw.text.data(), "base64");
    out->bytes = std::move(*bytes);
    return true;
  }

  template <class T>
  bool scalar(Value* value) {
    T scalar;
    if (!read(&scalar)) return false;
    *value = Value(Value::Variant(std::move(scalar)));
    return true;
  }

  template <class Set, class T>
  bool set(Value* value) {
    Set set;
    const char* const start = cursor_.at();
    if (!cursor_.array([&] { return read(&set.members.emplace_back()); })) return false;
    if (set.members.empty()) return cursor_.fail_at(start, "a set that is not empty");
    std::sort(set.members.begin(), set.members.end());
    if (std::adjacent_find(set.members.begin(), set.members.end()) != set.members.end()) {
      return cursor_.fail_at(start, "each member of a set once");
    }
    *value = Value(Value::Variant(std::move(set)));
    return true;
  }

  Cursor cursor_;
};

base::Result<> check_utf8(std::string_view text) {
  const std::size_t at = find_invalid_utf8(text);
  if (at == std::string_view::npos) return {};
  Cursor cursor(text);
  cursor.fail_at(text.data() + at, "UTF-8");
  return base::fail(cursor.error("not DynamoDB JSON"));
}

}  // namespace

base::Result<Item> parse_item(std::string_view json) {
  if (auto utf8 = check_utf8(json); !utf8) return base::fail(std::move(utf8.error()));
  return Parser(json).item();
}

base::Result<Value> parse_value(std::string_view json) {
  if (auto utf8 = check_utf8(json); !utf8) return base::fail(std::move(utf8.error()));
  return Parser(json).value();
}

}  // namespace moveout::item
