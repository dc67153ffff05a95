#include "sigv4/signer.h"

#include <doctest/doctest.h>

#include <chrono>

using namespace moveout;
using namespace moveout::sigv4;

namespace {

// The identity and the moment of AWS's published SigV4 examples.
const Credentials example{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", std::nullopt};
const base::Instant example_time = base::instant_of_micros(1440938160'000000);  // 2015-08-30T12:36:00Z

http::Request request_for(std::string method, std::string host, std::string target) {
  http::Request request;
  request.method = std::move(method);
  request.endpoint = {true, std::move(host), 443};
  request.target = std::move(target);
  return request;
}

std::string signature_of(const http::Request& request) {
  const std::string_view text = request.headers.get("Authorization");
  return std::string(text.substr(text.rfind('=') + 1));
}

std::string sign_with(Signer& signer, http::Request request, std::string_view service = "service") {
  signer.sign(request, example, "us-east-1", service, example_time);
  return signature_of(request);
}

}  // namespace

TEST_CASE("the published example is signed as published") {
  http::Request request = request_for("GET", "iam.amazonaws.com", "/?Action=ListUsers&Version=2010-05-08");
  request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  Signer signer;
  signer.sign(request, example, "us-east-1", "iam", example_time);
  CHECK(request.headers.get("X-Amz-Date") == "20150830T123600Z");
  CHECK(request.headers.get("Host") == "iam.amazonaws.com");
  CHECK_FALSE(request.headers.has("X-Amz-Content-SHA256"));
  CHECK(request.headers.get("Authorization") ==
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST_CASE("the plainest case of the public suite is signed as there") {
  Signer signer;
  CHECK(sign_with(signer, request_for("GET", "example.amazonaws.com", "/")) ==
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST_CASE("a path is normalised for every service but S3") {
  Signer signer;
  const std::string plain = sign_with(signer, request_for("GET", "example.amazonaws.com", "/"));
  for (const char* target : {"/example/..", "/./", "//", "/a/b/../../", "/.."}) {
    CAPTURE(target);
    CHECK(sign_with(signer, request_for("GET", "example.amazonaws.com", target)) == plain);
    CHECK(sign_with(signer, request_for("GET", "example.amazonaws.com", target), "s3") !=
          sign_with(signer, request_for("GET", "example.amazonaws.com", "/"), "s3"));
  }
}

TEST_CASE("a query is signed in the order of its encoded names and values, however it was sent") {
  Signer signer;
  const auto sign_query = [&](const std::string& query) {
    return sign_with(signer, request_for("GET", "example.amazonaws.com", "/?" + query));
  };
  CHECK(sign_query("b=2&a=1") == sign_query("a=1&b=2"));
  CHECK(sign_query("a=2&a=1") == sign_query("a=1&a=2"));
  CHECK(sign_query("prefix=a/b") == sign_query("prefix=a%2fb"));
  CHECK(sign_query("uploads") == sign_query("uploads="));
  CHECK(sign_query("a=1") != sign_query("a=2"));
  CHECK(sign_query("a=%") != sign_query("a=%00"));
}

TEST_CASE("signing again replaces what was signed before") {
  Signer signer;
  http::Request request = request_for("POST", "dynamodb.us-east-1.amazonaws.com", "/");
  request.body = "{}";
  Credentials temporary = example;
  temporary.session_token = "token-1";
  signer.sign(request, temporary, "us-east-1", "dynamodb", example_time);
  CHECK(request.headers.get("X-Amz-Security-Token") == "token-1");
  const std::size_t headers = request.headers.all().size();
  temporary.session_token = "token-2";
  signer.sign(request, temporary, "us-east-1", "dynamodb", example_time + std::chrono::hours(24));
  CHECK(request.headers.all().size() == headers);
  CHECK(request.headers.get("X-Amz-Security-Token") == "token-2");
  CHECK(request.headers.get("X-Amz-Date") == "20150831T123600Z");
  http::Request fresh = request_for("POST", "dynamodb.us-east-1.amazonaws.com", "/");
  fresh.body = "{}";
  signer.sign(fresh, temporary, "us-east-1", "dynamodb", example_time + std::chrono::hours(24));
  CHECK(signature_of(fresh) == signature_of(request));
  signer.sign(request, example, "us-east-1", "dynamodb", example_time);
  CHECK_FALSE(request.headers.has("X-Amz-Security-Token"));
}

TEST_CASE("headers that hops change are left out of the signature") {
  Signer signer;
  const http::Request plain = request_for("GET", "example.amazonaws.com", "/");
  http::Request more = plain;
  more.headers.add("User-Agent", "moveout");
  more.headers.add("Connection", "keep-alive");
  CHECK(sign_with(signer, more) == sign_with(signer, plain));
  more.headers.add("Accept", "*/*");
  CHECK(sign_with(signer, more) != sign_with(signer, plain));
}

TEST_CASE("cached keys never leak from one identity, day, region or service to another") {
  Signer shared;
  const auto fresh = [](const Credentials& credentials, std::string_view region, std::string_view service,
                        base::Instant when) {
    Signer signer;
    http::Request request = request_for("GET", "example.amazonaws.com", "/");
    signer.sign(request, credentials, region, service, when);
    return signature_of(request);
  };
  // Twice over more combinations than the cache holds, so that entries are made, found and replaced.
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 64; ++i) {
      Credentials credentials = example;
      credentials.access_key_id += std::to_string(i % 2);
      credentials.secret_access_key += std::to_string(i / 2 % 2);
      const std::string region = i / 4 % 2 != 0 ? "eu-west-1" : "us-east-1";
      const std::string service = i / 8 % 2 != 0 ? "s3" : "sqs";
      const base::Instant when = example_time + std::chrono::days(i / 16);
      http::Request request = request_for("GET", "example.amazonaws.com", "/");
      shared.sign(request, credentials, region, service, when);
      CHECK(signature_of(request) == fresh(credentials, region, service, when));
    }
  }
}

TEST_CASE("a secret longer than a hash block is used as HMAC prescribes") {
  Sha256 sha256;
  // RFC 4231, test case 6: a key of 131 bytes.
  const Digest digest =
      sha256.hmac(sha256.key(std::string(131, '\xaa')), "Test Using Larger Than Block-Size Key - Hash Key First");
  CHECK(view(to_hex(digest)) == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("uri_encode keeps what is unreserved and encodes every other byte") {
  CHECK(uri_encode("aZ09-._~", false) == "aZ09-._~");
  CHECK(uri_encode("a/b c+\xc3\xa9%", false) == "a%2Fb%20c%2B%C3%A9%25");
  CHECK(uri_encode("a/b", true) == "a/b");
}
