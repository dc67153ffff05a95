#include "sigv4/verify.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace moveout::sigv4 {

namespace {

struct Authorization {
  std::string_view access_key_id, day, region, service, signed_headers, signature;
};

// Takes the text behind the last '/' off `text`.
std::string_view take_last(std::string_view& text) {
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return {};
  const std::string_view part = text.substr(slash + 1);
  text = text.substr(0, slash);
  return part;
}

// Lower case, sorted, each once.
bool is_header_list(std::string_view list) {
  std::string_view previous;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(';'), list.size());
    const std::string_view name = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    const bool plain =
        std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 127 && (c < 'A' || c > 'Z'); });
    if (name.empty() || !plain || name <= previous) return false;
    previous = name;
  }
  return !previous.empty();
}

std::optional<Authorization> parse_authorization(std::string_view text) {
  static constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";
  if (!text.starts_with(algorithm)) return std::nullopt;
  text.remove_prefix(algorithm.size());
  if (!text.starts_with(' ')) return std::nullopt;
  std::string_view credential;
  Authorization out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view name = part.substr(0, equals);
    std::string_view* place = name == "Credential"      ? &credential
                              : name == "SignedHeaders" ? &out.signed_headers
                              : name == "Signature"     ? &out.signature
                                                        : nullptr;
    if (place == nullptr || !place->empty()) return std::nullopt;
    *place = part.substr(equals + 1);
  }
  if (take_last(credential) != "aws4_request") return std::nullopt;
  out.service = take_last(credential);
  out.region = take_last(credential);
  out.day = take_last(credential);
  out.access_key_id = credential;
  const bool complete = !out.access_key_id.empty() && out.day.size() == 8 && !out.region.empty() &&
                        !out.service.empty() && out.signature.size() == 64 && is_header_list(out.signed_headers);
  return complete ? std::optional(out) : std::nullopt;
}

std::optional<unsigned> number_at(std::string_view text, std::size_t at, std::size_t digits) {
  unsigned value = 0;
  const char* begin = text.data() + at;
  const auto [end, ec] = std::from_chars(begin, begin + digits, value);
  if (ec != std::errc() || end != begin + digits) return std::nullopt;
  return value;
}

std::optional<base::Instant> parse_timestamp(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto year = number_at(text, 0, 4), month = number_at(text, 4, 2), day = number_at(text, 6, 2);
  const auto hour = number_at(text, 9, 2), minute = number_at(text, 11, 2), second = number_at(text, 13, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)), std::chrono::month(*month),
                                         std::chrono::day(*day));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return base::Instant(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

bool listed(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(';'), list.size());
    if (list.substr(0, end) == name) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

// A header that steers the request and is not signed could have been added on the way.
bool signs_what_it_must(const http::Request& request, std::string_view list) {
  if (!listed(list, "host") || !listed(list, "x-amz-date")) return false;
  for (const auto& [name, value] : request.headers.all()) {
    std::string lower = name;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (lower.starts_with("x-amz-") && !listed(list, lower)) return false;
  }
  return true;
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::string_view name_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::Missing:
      return "MissingAuthenticationTokenException";
    case Refusal::Incomplete:
      return "IncompleteSignatureException";
    case Refusal::UnknownKey:
      return "UnrecognizedClientException";
    case Refusal::WrongScope:
    case Refusal::Skewed:
    case Refusal::Payload:
    case Refusal::Mismatch:
      return "InvalidSignatureException";
  }
  return "InvalidSignatureException";
}

Verifier::Verifier(VerifyOptions options, Lookup lookup) : options_(std::move(options)), lookup_(std::move(lookup)) {
  MOVEOUT_ASSERT(options_.skew <= std::chrono::minutes(15));
}

std::expected<Verified, Refusal> Verifier::verify(const http::Request& request, base::Instant now) {
  const std::string_view header = request.headers.get("Authorization");
  if (header.empty()) return std::unexpected(Refusal::Missing);
  const std::optional<Authorization> said = parse_authorization(header);
  const std::optional<base::Instant> when = parse_timestamp(request.headers.get("X-Amz-Date"));
  if (!said || !when || !signs_what_it_must(request, said->signed_headers)) {
    return std::unexpected(Refusal::Incomplete);
  }
  const Timestamp stamp(*when);
  const bool in_scope = said->day == stamp.day() && (options_.region.empty() || said->region == options_.region) &&
                        (options_.service.empty() || said->service == options_.service);
  if (!in_scope) return std::unexpected(Refusal::WrongScope);
  if (*when > now + options_.skew || *when < now - options_.skew) return std::unexpected(Refusal::Skewed);

  const std::optional<Credentials> known = lookup_(said->access_key_id);
  if (!known || !same_secret(known->session_token, request.headers.get("X-Amz-Security-Token"))) {
    return std::unexpected(Refusal::UnknownKey);
  }
  const HexDigest actual = to_hex(sha256_.digest(request.body));
  std::string_view payload = request.headers.get("X-Amz-Content-SHA256");
  if (payload.empty()) payload = view(actual);
  const bool unsigned_payload = options_.unsigned_payload && payload == "UNSIGNED-PAYLOAD";
  if (payload != view(actual) && !unsigned_payload) return std::unexpected(Refusal::Payload);

  const bool s3 = said->service == "s3";
  const std::string_view canonical = canonical_.build(request, s3, payload, said->signed_headers);
  if (canonical.empty()) return std::unexpected(Refusal::Incomplete);
  const HmacKey& key =
      keys_.get(sha256_, known->access_key_id, known->secret_access_key, said->day, said->region, said->service);
  const HexDigest expected = sign_text(sha256_, key, stamp, said->region, said->service, canonical, text_);
  if (!same_secret(view(expected), said->signature)) return std::unexpected(Refusal::Mismatch);
  return Verified{std::string(said->access_key_id), std::string(said->region), std::string(said->service), *when};
}

}  // namespace moveout::sigv4
