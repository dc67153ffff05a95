#include "item/number.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/rng.h"
#include "item/gen.h"
#include "item/number_vectors.h"

namespace moveout::item {
namespace {

std::string canonical(std::string_view text) {
  const auto number = Number::parse(text);
  return number ? number->to_string() : "refused";
}

Number number(std::string_view text) {
  const auto parsed = Number::parse(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

TEST_CASE("a number has one text, whatever it was written as") {
  CHECK(canonical("1e3") == "1000");
  CHECK(canonical("1.0") == "1");
  CHECK(canonical(".5") == "0.5");
  CHECK(canonical("5.") == "5");
  CHECK(canonical("-0") == "0");
  CHECK(canonical("-0.000e99") == "0");
  CHECK(canonical("0E-999999999999") == "0");
  CHECK(canonical("+007.1400") == "7.14");
  CHECK(canonical("-0.00120E+2") == "-0.12");
  CHECK(canonical("100e-2") == "1");
  CHECK(canonical("12345678901234567890123456789012345678") == "12345678901234567890123456789012345678");
  CHECK(canonical("1234567890123456789.0123456789012345678") == "1234567890123456789.0123456789012345678");
  CHECK(canonical("10000000000000000000") == "10000000000000000000");
  CHECK(canonical("0.00000000000000000001") == "0.00000000000000000001");
}

TEST_CASE("numbers are read and written as another language's decimals are") {
  for (const NumberVector& vector : kNumberVectors) {
    CAPTURE(std::string(vector.text));
    CHECK(canonical(vector.text) == vector.canonical);
  }
}

TEST_CASE("38 significant digits are held, 39 are refused, zeros around them do not count") {
  const std::string nines(38, '9');
  CHECK(canonical(nines) == nines);
  CHECK(canonical(nines + "9") == "refused");
  CHECK(canonical(nines + "0") == nines + "0");
  CHECK(canonical("000" + nines + "000.000") == nines + "000");
  CHECK(canonical("0.000" + nines) == "0.000" + nines);
  CHECK(canonical(nines + ".1") == "refused");
  CHECK(canonical("1" + std::string(37, '0') + "1") == "refused");
  CHECK(canonical("1" + std::string(36, '0') + "1") == "1" + std::string(36, '0') + "1");
}

TEST_CASE("the range ends at 1E-130 and 9.99E+125") {
  CHECK(canonical("1E-130") == "0." + std::string(129, '0') + "1");
  CHECK(canonical("-1E-130") == "-0." + std::string(129, '0') + "1");
  CHECK(canonical("0.1E-129") == canonical("1E-130"));
  CHECK(canonical("9.9E-131") == "refused");
  CHECK(canonical("1E-131") == "refused");
  CHECK(canonical("9.9999999999999999999999999999999999999E+125") == std::string(38, '9') + std::string(88, '0'));
  CHECK(canonical("1E126") == "refused");
  CHECK(canonical("-1E126") == "refused");
  CHECK(canonical("0.1E126") == "1" + std::string(125, '0'));
  CHECK(canonical("1E99999999999999999999999999") == "refused");
  CHECK(canonical("1E-99999999999999999999999999") == "refused");
}

TEST_CASE("what is no number is refused") {
  for (const std::string text :
       {"",      "+",   "-",   ".",        "e1",  "1e",  "1e+", "--1",  "1.2.3", "1 ",      " 1",
        "1e1.5", "0x1", "NaN", "Infinity", "1,0", "1_0", "-.",  "+.e1", "1e1e1", "\xD9\xA1"}) {
    CAPTURE(text);
    CHECK(canonical(text) == "refused");
  }
  CHECK(canonical(std::string("1\0", 2)) == "refused");
}

TEST_CASE("numbers are ordered by value") {
  const std::vector<std::string> ascending = {"-9.9E+125",
                                              "-100",
                                              "-20",
                                              "-3",
                                              "-2.5",
                                              "-1",
                                              "-0.9999",
                                              "-0.001",
                                              "-1E-130",
                                              "0",
                                              "1E-130",
                                              "1E-2",
                                              "0.5",
                                              "0.999",
                                              "1",
                                              "1.00000000000000000000000001",
                                              "2",
                                              "10",
                                              "99",
                                              "100",
                                              "1e20",
                                              "1.1e20",
                                              "9.9999999999E+125"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      CAPTURE(ascending[i]);
      CAPTURE(ascending[j]);
      CHECK((number(ascending[i]) <=> number(ascending[j])) == (i <=> j));
    }
  }
}

TEST_CASE("64-bit integers go through unchanged, all else says it does not fit") {
  std::int64_t out = 0;
  for (const std::int64_t value : {INT64_MIN, INT64_MIN + 1, std::int64_t{-10}, std::int64_t{-1}, std::int64_t{0},
                                   std::int64_t{1}, std::int64_t{1000}, INT64_MAX - 1, INT64_MAX}) {
    CHECK(Number::of(value).to_string() == std::to_string(value));
    CHECK(Number::of(value) == number(std::to_string(value)));
    REQUIRE(Number::of(value).to_int64(&out));
    CHECK(out == value);
  }
  for (const std::string text : {"9223372036854775808", "-9223372036854775809", "0.5", "1.5", "1e19", "1e125",
                                 "-1E-130", "18446744073709551616", "1.00000000000000000000000001"}) {
    CAPTURE(text);
    CHECK_FALSE(number(text).to_int64(&out));
  }
}

TEST_CASE("digits and magnitude describe the number") {
  CHECK(Number().digits() == 0);
  CHECK(number("1200").digits() == 2);
  CHECK(number("1200").magnitude() == 3);
  CHECK(number("0.0012").digits() == 2);
  CHECK(number("0.0012").magnitude() == -3);
  CHECK(number("1.0000000000000000001").digits() == 20);
}

TEST_CASE("every spelling of a number is that number") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    const Number value = random_number(rng);
    const auto plain = Number::parse(value.to_string());
    RC_ASSERT(plain.has_value());
    RC_ASSERT(*plain == value);
    const std::string spelling = random_spelling(rng, value);
    const auto spelled = Number::parse(spelling);
    RC_ASSERT(spelled.has_value());
    RC_ASSERT(*spelled == value);
    RC_ASSERT(spelled->to_string() == value.to_string());
  }));
}

TEST_CASE("order and equality agree with 64-bit arithmetic") {
  CHECK(rc::check([](std::int64_t a, std::int64_t b, std::uint8_t shift) {
    a >>= shift % 64;
    b >>= shift % 64;
    RC_ASSERT((Number::of(a) <=> Number::of(b)) == (a <=> b));
    RC_ASSERT((Number::of(a) == Number::of(b)) == (a == b));
  }));
}

}  // namespace
}  // namespace moveout::item
