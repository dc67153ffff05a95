#include "sigv4/signing_key.h"

#include <openssl/evp.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace moveout::sigv4 {

namespace {
// One process signs for few identities, services and regions; two days meet at midnight.
constexpr std::size_t entries_max = 16;

void put_number(char* out, unsigned value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}
}  // namespace

HexDigest to_hex(const Digest& digest) {
  static constexpr char letters[] = "0123456789abcdef";
  HexDigest out;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    out[2 * i] = letters[digest[i] >> 4];
    out[2 * i + 1] = letters[digest[i] & 15];
  }
  return out;
}

Sha256::Sha256() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  MOVEOUT_ASSERT(algorithm_ != nullptr && context_ != nullptr);
  MOVEOUT_ASSERT(EVP_DigestInit_ex2(context_, algorithm_, nullptr) == 1);
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(algorithm_);
}

void Sha256::begin() { MOVEOUT_ASSERT(EVP_DigestInit_ex2(context_, nullptr, nullptr) == 1); }

void Sha256::add(const void* data, std::size_t size) { MOVEOUT_ASSERT(EVP_DigestUpdate(context_, data, size) == 1); }

Digest Sha256::end() {
  Digest out;
  unsigned size = 0;
  MOVEOUT_ASSERT(EVP_DigestFinal_ex(context_, out.data(), &size) == 1 && size == out.size());
  return out;
}

Digest Sha256::digest(std::string_view text) {
  begin();
  add(text.data(), text.size());
  return end();
}

HmacKey Sha256::key(std::string_view secret) {
  std::array<unsigned char, 64> padded{};
  if (secret.size() > padded.size()) {
    const Digest short_secret = digest(secret);
    std::copy(short_secret.begin(), short_secret.end(), padded.begin());
  } else {
    std::copy(secret.begin(), secret.end(), padded.begin());
  }
  HmacKey out;
  for (std::size_t i = 0; i < padded.size(); ++i) {
    out.inner[i] = padded[i] ^ 0x36;
    out.outer[i] = padded[i] ^ 0x5c;
  }
  return out;
}

Digest Sha256::hmac(const HmacKey& key, std::string_view text) {
  begin();
  add(key.inner.data(), key.inner.size());
  add(text.data(), text.size());
  const Digest inner = end();
  begin();
  add(key.outer.data(), key.outer.size());
  add(inner.data(), inner.size());
  return end();
}

Timestamp::Timestamp(base::Instant when) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(when);
  const auto midnight = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(midnight);
  const auto second = static_cast<unsigned>((seconds - midnight).count());
  put_number(&text_[0], static_cast<unsigned>(static_cast<int>(date.year())), 4);
  put_number(&text_[4], static_cast<unsigned>(date.month()), 2);
  put_number(&text_[6], static_cast<unsigned>(date.day()), 2);
  text_[8] = 'T';
  put_number(&text_[9], second / 3600, 2);
  put_number(&text_[11], second / 60 % 60, 2);
  put_number(&text_[13], second % 60, 2);
  text_[15] = 'Z';
}

const HmacKey& SigningKeys::get(Sha256& sha256, std::string_view access_key_id, std::string_view secret,
                                std::string_view day, std::string_view region, std::string_view service) {
  for (const Entry& entry : entries_) {
    if (entry.day == day && entry.service == service && entry.region == region &&
        entry.access_key_id == access_key_id && entry.secret == secret) {
      return entry.key;
    }
  }
  const auto as_text = [](const Digest& digest) {
    return std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size());
  };
  Digest digest = sha256.hmac(sha256.key("AWS4" + std::string(secret)), day);
  digest = sha256.hmac(sha256.key(as_text(digest)), region);
  digest = sha256.hmac(sha256.key(as_text(digest)), service);
  digest = sha256.hmac(sha256.key(as_text(digest)), "aws4_request");
  Entry entry{std::string(access_key_id), std::string(secret),  std::string(day),
              std::string(region),        std::string(service), sha256.key(as_text(digest))};
  if (entries_.size() < entries_max) {
    entries_.push_back(std::move(entry));
    return entries_.back().key;
  }
  Entry& place = entries_[next_];
  next_ = (next_ + 1) % entries_max;
  place = std::move(entry);
  return place.key;
}

void append_scope(std::string& out, const Timestamp& stamp, std::string_view region, std::string_view service) {
  out += stamp.day();
  out += '/';
  out += region;
  out += '/';
  out += service;
  out += "/aws4_request";
}

HexDigest sign_text(Sha256& sha256, const HmacKey& key, const Timestamp& stamp, std::string_view region,
                    std::string_view service, std::string_view canonical, std::string& text) {
  text = "AWS4-HMAC-SHA256\n";
  text += stamp.text();
  text += '\n';
  append_scope(text, stamp, region, service);
  text += '\n';
  text += view(to_hex(sha256.digest(canonical)));
  return to_hex(sha256.hmac(key, text));
}

}  // namespace moveout::sigv4
