#include "item/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace moveout::item {
namespace {

constexpr int kHalf = 19;  // decimal digits in a std::uint64_t
constexpr int kDigitsMax = 2 * kHalf;
// 1E-130 is 0.1 × 10^-129 and 9.99…E+125 is 0.999… × 10^126.
constexpr std::int64_t kExponentMin = -129;
constexpr std::int64_t kExponentMax = 126;
// Written exponents are cut here: no text that fits in an item brings one back into range.
constexpr std::int64_t kWrittenExponentMax = 1'000'000'000;

constexpr auto kPowersOf10 = [] {
  std::array<std::uint64_t, kHalf + 1> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Digits as they are read, first the significant ones that fit, then a look that nothing but zeros follows.
struct Digits {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::int64_t count = 0;  // from the first significant digit on, trailing zeros too
  bool too_many = false;

  void take(char c) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (count < kHalf) {
      high = high * 10 + digit;
    } else if (count < kDigitsMax) {
      low = low * 10 + digit;
    } else if (digit != 0) {
      too_many = true;
    }
    ++count;
  }
  void align() {
    if (count < kHalf) {
      high *= kPowersOf10[static_cast<std::size_t>(kHalf - count)];
    } else if (count < kDigitsMax) {
      low *= kPowersOf10[static_cast<std::size_t>(kDigitsMax - count)];
    }
  }
};

void write_digits(char* out, std::uint64_t value) {
  for (int i = kHalf - 1; i >= 0; --i) {
    out[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

base::Result<std::int64_t> parse_exponent(const char* at, const char* end) {
  bool down = false;
  if (at != end && (*at == '+' || *at == '-')) down = *at++ == '-';
  if (at == end) return base::fail(base::ErrorKind::Corrupt, "not a number: an exponent without digits");
  std::int64_t written = 0;
  for (; at != end; ++at) {
    if (!is_digit(*at)) return base::fail(base::ErrorKind::Corrupt, "not a number: the exponent is not digits");
    written = std::min(written * 10 + (*at - '0'), kWrittenExponentMax);
  }
  return down ? -written : written;
}

}  // namespace

base::Result<Number> Number::parse(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  Number number;
  if (at != end && (*at == '+' || *at == '-')) number.negative_ = *at++ == '-';
  const char* const integer_part = at;
  Digits digits;
  while (at != end && *at == '0') ++at;
  for (; at != end && is_digit(*at); ++at) digits.take(*at);
  bool any = at != integer_part;
  std::int64_t exponent = digits.count;
  if (at != end && *at == '.') {
    const char* const fraction = ++at;
    if (digits.count == 0) {
      while (at != end && *at == '0') ++at;
      exponent = -(at - fraction);
    }
    for (; at != end && is_digit(*at); ++at) digits.take(*at);
    any = any || at != fraction;
  }
  if (!any) return base::fail(base::ErrorKind::Corrupt, "not a number: no digits");
  if (at != end) {
    if (*at != 'e' && *at != 'E') {
      return base::fail(base::ErrorKind::Corrupt, fmt::format("not a number at byte {}", at - text.data()));
    }
    auto written = parse_exponent(at + 1, end);
    if (!written) return base::fail(std::move(written.error()));
    exponent += *written;
  }
  if (digits.too_many) return base::fail(base::ErrorKind::Corrupt, "a number of more than 38 significant digits");
  if (digits.high == 0) return Number();
  if (exponent > kExponentMax) return base::fail(base::ErrorKind::Corrupt, "a number over 9.99E+125");
  if (exponent < kExponentMin) return base::fail(base::ErrorKind::Corrupt, "a number under 1E-130");
  digits.align();
  number.high_ = digits.high;
  number.low_ = digits.low;
  number.exponent_ = static_cast<std::int16_t>(exponent);
  return number;
}

Number Number::of(std::int64_t value) {
  Number number;
  if (value == 0) return number;
  number.negative_ = value < 0;
  // Two's complement: the magnitude of the least value too.
  const std::uint64_t magnitude = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  std::size_t count = 1;
  while (count < kHalf && magnitude >= kPowersOf10[count]) ++count;
  number.high_ = magnitude * kPowersOf10[kHalf - count];
  number.exponent_ = static_cast<std::int16_t>(count);
  return number;
}

int Number::digits() const {
  if (high_ == 0) return 0;
  int count = low_ != 0 ? kDigitsMax : kHalf;
  for (std::uint64_t rest = low_ != 0 ? low_ : high_; rest % 10 == 0; rest /= 10) --count;
  return count;
}

int Number::magnitude() const {
  MOVEOUT_ASSERT(!is_zero());
  return exponent_ - 1;
}

void Number::append_to(std::string& out) const {
  if (high_ == 0) {
    out += '0';
    return;
  }
  std::array<char, kDigitsMax> text;
  write_digits(text.data(), high_);
  std::size_t count = kHalf;
  if (low_ != 0) {
    write_digits(text.data() + kHalf, low_);
    count = kDigitsMax;
  }
  while (text[count - 1] == '0') --count;
  if (negative_) out += '-';
  if (exponent_ <= 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent_), '0');
    out.append(text.data(), count);
    return;
  }
  const auto whole = static_cast<std::size_t>(exponent_);
  if (whole >= count) {
    out.append(text.data(), count);
    out.append(whole - count, '0');
    return;
  }
  out.append(text.data(), whole);
  out += '.';
  out.append(text.data() + whole, count - whole);
}

std::string Number::to_string() const {
  std::string text;
  append_to(text);
  return text;
}

bool Number::to_int64(std::int64_t* out) const {
  if (high_ == 0) {
    *out = 0;
    return true;
  }
  if (low_ != 0 || exponent_ <= 0 || exponent_ > kHalf) return false;
  const std::uint64_t unit = kPowersOf10[static_cast<std::size_t>(kHalf - exponent_)];
  if (high_ % unit != 0) return false;
  const std::uint64_t magnitude = high_ / unit;
  const std::uint64_t most = static_cast<std::uint64_t>(INT64_MAX) + (negative_ ? 1 : 0);
  if (magnitude > most) return false;
  *out = static_cast<std::int64_t>(negative_ ? 0 - magnitude : magnitude);
  return true;
}

std::strong_ordering operator<=>(const Number& a, const Number& b) {
  if (a.negative_ != b.negative_) return a.negative_ ? std::strong_ordering::less : std::strong_ordering::greater;
  const Number& near = a.negative_ ? b : a;  // of two negative numbers the one of less magnitude is greater
  const Number& far = a.negative_ ? a : b;
  if (near.exponent_ != far.exponent_) return near.exponent_ <=> far.exponent_;
  if (near.high_ != far.high_) return near.high_ <=> far.high_;
  return near.low_ <=> far.low_;
}

}  // namespace moveout::item
