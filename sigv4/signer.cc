#include "sigv4/signer.h"

namespace moveout::sigv4 {

void Signer::sign(http::Request& request, const Credentials& credentials, std::string_view region,
                  std::string_view service, base::Instant when) {
  const bool s3 = service == "s3";
  const Timestamp stamp(when);
  http::Headers& headers = request.headers;
  if (!headers.has("Host")) headers.add("Host", request.endpoint.authority());
  headers.set("X-Amz-Date", std::string(stamp.text()));
  if (credentials.session_token.empty()) {
    headers.remove("X-Amz-Security-Token");
  } else {
    headers.set("X-Amz-Security-Token", credentials.session_token);
  }
  HexDigest payload;
  if (const std::string_view given = headers.get("X-Amz-Content-SHA256"); !s3 && given.size() == 64) {
    std::copy(given.begin(), given.end(), payload.begin());
  } else {
    payload = to_hex(sha256_.digest(request.body));
  }
  if (s3) headers.set("X-Amz-Content-SHA256", std::string(view(payload)));

  const std::string_view canonical = canonical_.build(request, s3, view(payload));
  const HexDigest signature = sign_text(
      sha256_,
      keys_.get(sha256_, credentials.access_key_id, credentials.secret_access_key, stamp.day(), region, service), stamp,
      region, service, canonical, text_);

  std::string authorization;
  authorization.reserve(160 + credentials.access_key_id.size() + region.size() + service.size() +
                        canonical_.signed_headers().size());
  authorization += "AWS4-HMAC-SHA256 Credential=";
  authorization += credentials.access_key_id;
  authorization += '/';
  append_scope(authorization, stamp, region, service);
  authorization += ", SignedHeaders=";
  authorization += canonical_.signed_headers();
  authorization += ", Signature=";
  authorization += view(signature);
  headers.set("Authorization", std::move(authorization));
}

}  // namespace moveout::sigv4
