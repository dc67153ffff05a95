// The canonical request of SigV4: what both sides hash.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "http/http.h"

namespace moveout::sigv4 {

// Percent-encodes all but A-Z a-z 0-9 - . _ ~ (and / if kept): a path segment, a query's name or value.
std::string uri_encode(std::string_view text, bool keep_slash);

// Scratch memory and the builder. The views it gives live until the next build.
class Canonical {
 public:
  // Signing: every header but those that hops change.
  std::string_view build(const http::Request& request, bool s3, std::string_view payload_hash);
  // Verifying: the headers of a list "a;b;c". Empty when one of them is absent from the request.
  std::string_view build(const http::Request& request, bool s3, std::string_view payload_hash,
                         std::string_view signed_headers);
  // "a;b;c" of the last build.
  std::string_view signed_headers() const { return signed_; }

 private:
  struct Field {
    std::string_view name;  // lower case, in names_
    std::string_view value;
    std::size_t order;
  };
  void collect(const http::Request& request);
  std::string_view finish(const http::Request& request, bool s3, std::string_view payload_hash);

  std::string names_;
  std::vector<Field> fields_;
  std::string signed_;
  std::string out_;
};

}  // namespace moveout::sigv4
