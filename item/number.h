// Number: DynamoDB's decimal, exact: up to 38 significant digits, 1E-130 … 9.99E+125, and zero.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::item {

// Value = ± 0.d1d2…dn × 10^exponent, d1 and dn not 0 (zero: no digits). One value, one representation: −0 is 0.
class Number {
 public:
  Number() = default;
  // Accepts what DynamoDB accepts: sign, digits, point, exponent; leading and trailing zeros. Corrupt otherwise, or
  // over 38 significant digits, or out of range.
  static base::Result<Number> parse(std::string_view text);
  static Number of(std::int64_t value);

  // Canonical plain decimal, as DynamoDB returns it: no exponent, no leading + or zeros, no trailing fraction zeros.
  std::string to_string() const;
  bool is_zero() const { return digits_.empty(); }
  bool negative() const { return negative_; }
  // The value when it is integral and fits in 64 signed bits.
  bool to_int64(std::int64_t* out) const;

  friend bool operator==(const Number&, const Number&) = default;
  friend std::strong_ordering operator<=>(const Number& a, const Number& b);  // by value

 private:
  bool negative_ = false;
  std::int16_t exponent_ = 0;
  std::string digits_;  // '0'…'9', at most 38
};

}  // namespace moveout::item
