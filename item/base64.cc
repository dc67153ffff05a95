// Base64 of RFC 4648 §4, strict: padding is there, unused bits are zero, nothing else stands between.
#include <array>

#include "item/cursor.h"
#include "item/json.h"

namespace moveout::item {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNone = 0xFF;

constexpr auto kSextets = [] {
  std::array<std::uint8_t, 256> sextets{};
  sextets.fill(kNone);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    sextets[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return sextets;
}();

unsigned sextet_of(char c) { return kSextets[static_cast<unsigned char>(c)]; }

base::Result<std::string> decode(std::string_view text) {
  if (text.empty()) return std::string();
  if (text.size() % 4 != 0) return base::fail(base::ErrorKind::Corrupt, "base64: expected a multiple of 4 characters");
  std::string bytes(text.size() / 4 * 3, '\0');
  char* out = bytes.data();
  const std::size_t whole = text.ends_with('=') ? text.size() - 4 : text.size();
  unsigned bad = 0;
  for (std::size_t i = 0; i < whole; i += 4) {
    const unsigned a = sextet_of(text[i]), b = sextet_of(text[i + 1]), c = sextet_of(text[i + 2]),
                   d = sextet_of(text[i + 3]);
    bad |= a | b | c | d;
    const unsigned group = (a << 18) | (b << 12) | (c << 6) | d;
    *out++ = static_cast<char>(group >> 16);
    *out++ = static_cast<char>(group >> 8);
    *out++ = static_cast<char>(group);
  }
  if ((bad & 0x80) != 0) return base::fail(base::ErrorKind::Corrupt, "base64: expected only its alphabet");
  if (whole != text.size()) {
    const bool one_byte = text[whole + 2] == '=';
    const unsigned a = sextet_of(text[whole]), b = sextet_of(text[whole + 1]);
    const unsigned c = one_byte ? 0 : sextet_of(text[whole + 2]);
    if (((a | b | c) & 0x80) != 0) return base::fail(base::ErrorKind::Corrupt, "base64: expected only its alphabet");
    if ((one_byte ? b & 0x0F : c & 0x03) != 0) {
      return base::fail(base::ErrorKind::Corrupt, "base64: expected zeros in the unused bits");
    }
    *out++ = static_cast<char>((a << 2) | (b >> 4));
    if (!one_byte) *out++ = static_cast<char>((b << 4) | (c >> 2));
  }
  bytes.resize(static_cast<std::size_t>(out - bytes.data()));
  return bytes;
}

}  // namespace

base::Result<std::string> decode_base64(std::string_view text) {
  if (!text.starts_with('"')) return decode(text);
  Cursor cursor(text);
  RawString raw;
  if (!cursor.string(&raw) || !cursor.finish()) return base::fail(cursor.error("not a JSON string"));
  if (!raw.escaped) return decode(raw.text);
  std::string plain;  // some writers escape the slash
  unescape(plain, raw);
  return decode(plain);
}

std::string encode_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  char* out = text.data();
  std::size_t i = 0;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[at])); };
  for (; i + 3 <= bytes.size(); i += 3) {
    const unsigned group = (byte(i) << 16) | (byte(i + 1) << 8) | byte(i + 2);
    *out++ = kAlphabet[group >> 18];
    *out++ = kAlphabet[(group >> 12) & 0x3F];
    *out++ = kAlphabet[(group >> 6) & 0x3F];
    *out++ = kAlphabet[group & 0x3F];
  }
  if (const std::size_t rest = bytes.size() - i; rest != 0) {
    const unsigned group = (byte(i) << 16) | (rest == 2 ? byte(i + 1) << 8 : 0);
    *out++ = kAlphabet[group >> 18];
    *out++ = kAlphabet[(group >> 12) & 0x3F];
    if (rest == 2) *out++ = kAlphabet[(group >> 6) & 0x3F];
  }
  return text;
}

}  // namespace moveout::item
