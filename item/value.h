// Attribute values: every DynamoDB type, exactly.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "item/number.h"

namespace moveout::item {

class Value;

enum class Type : std::uint8_t { S, N, B, Bool, Null, L, M, SS, NS, BS };

struct Binary {
  std::string bytes;
  friend auto operator<=>(const Binary&, const Binary&) = default;
};
struct Null {
  friend auto operator<=>(const Null&, const Null&) = default;
};
using List = std::vector<Value>;
using Map = std::map<std::string, Value>;
// Sets are kept sorted and unique. Never empty: DynamoDB has no empty set.
struct StringSet {
  std::vector<std::string> members;
  friend bool operator==(const StringSet&, const StringSet&) = default;
};
struct NumberSet {
  std::vector<Number> members;
  friend bool operator==(const NumberSet&, const NumberSet&) = default;
};
struct BinarySet {
  std::vector<Binary> members;
  friend bool operator==(const BinarySet&, const BinarySet&) = default;
};

// An item is a map of its attributes.
using Item = Map;

class Value {
 public:
  using Variant = std::variant<std::string, Number, Binary, bool, Null, List, Map, StringSet, NumberSet, BinarySet>;

  Value() : v_(Null{}) {}
  Value(Variant v) : v_(std::move(v)) {}  // NOLINT: a value is its variant
  Type type() const { return static_cast<Type>(v_.index()); }
  const Variant& get() const { return v_; }
  template <class T>
  const T& as() const {
    return std::get<T>(v_);
  }
  template <class T>
  const T* if_a() const {
    return std::get_if<T>(&v_);
  }
  // Canonical equality: numbers by value, sets as sets; types are kept apart and empty is not absent.
  friend bool operator==(const Value&, const Value&) = default;

 private:
  Variant v_;
};

// The wire's tag: "S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS".
const char* tag_of(Type type);

}  // namespace moveout::item
