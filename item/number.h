// Number: DynamoDB's decimal, exact: up to 38 significant digits, 1E-130 … 9.99E+125, and zero.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::item {

// Value = ± 0.d1d2…d38 × 10^exponent, d1 not 0 unless all are. One value, one representation: −0 is 0, 1.0 is 1.
// 24 bytes, no heap: a table holds billions of them.
class Number {
 public:
  Number() = default;
  // Accepts what DynamoDB accepts: sign, digits, point, exponent; leading and trailing zeros. Corrupt otherwise, or
  // over 38 significant digits, or out of range.
  static base::Result<Number> parse(std::string_view text);
  static Number of(std::int64_t value);

  // Canonical plain decimal, as DynamoDB returns it: no exponent, no leading + or zeros, no trailing fraction zeros.
  std::string to_string() const;
  void append_to(std::string& out) const;
  bool is_zero() const { return high_ == 0; }
  bool negative() const { return negative_; }
  // Significant digits: 0 for zero, at most 38.
  int digits() const;
  // The power of ten of the first digit: 0 for 1 … 9.99, −1 for 0.1. Zero has none (asserted).
  int magnitude() const;
  // The value when it is integral and fits in 64 signed bits.
  bool to_int64(std::int64_t* out) const;

  friend bool operator==(const Number&, const Number&) = default;
  friend std::strong_ordering operator<=>(const Number& a, const Number& b);  // by value

 private:
  // Below every exponent in range, so that zero has the least magnitude without a case of its own.
  static constexpr std::int16_t kZeroExponent = -1000;

  std::uint64_t high_ = 0;  // d1…d19
  std::uint64_t low_ = 0;   // d20…d38
  std::int16_t exponent_ = kZeroExponent;
  bool negative_ = false;
};

}  // namespace moveout::item
