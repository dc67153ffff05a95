#include "aws/s3.h"

#include <doctest/doctest.h>

#include "aws/client_fixture.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

namespace {

ClientConfig place(std::string host, bool tls = true) {
  ClientConfig config = ClientFixture::local();
  config.endpoint = {tls, std::move(host), static_cast<std::uint16_t>(tls ? 443 : 80)};
  config.service = "s3";
  return config;
}

http::Headers headers(std::vector<std::pair<std::string, std::string>> fields) {
  http::Headers out;
  for (auto& [name, value] : fields) out.add(name, value);
  return out;
}

struct World : ClientFixture {
  explicit World(ClientConfig config = place("localhost"), S3Config s3_config = {})
      : ClientFixture(std::move(config)), s3(client, s3_config) {}
  base::Result<ObjectPart> get(std::uint64_t offset, std::uint64_t length, std::string etag = {}) {
    return run(s3.get("bucket", "a key/é", offset, length, std::move(etag)));
  }
  S3 s3;
};

std::string xml_error(const std::string& code) {
  return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>said so</Message></Error>";
}

}  // namespace

TEST_CASE("a part is asked for by range and etag, signed for s3, and is the part that was asked for") {
  World world;
  world.transport.then(206, "cdef", headers({{"Content-Range", "bytes 2-5/10"}, {"ETag", "\"e\""}}));
  const auto part = world.get(2, 4, "\"e\"");
  REQUIRE_MESSAGE(part.has_value(), (part ? "" : part.error().what));
  CHECK(*part->bytes == "cdef");
  CHECK(part->size == 10);
  const http::Request& request = world.transport.requests[0];
  CHECK(request.method == "GET");
  CHECK(request.target == "/bucket/a%20key/%C3%A9");
  CHECK(request.headers.get("Range") == "bytes=2-5");
  CHECK(request.headers.get("If-Match") == "\"e\"");
  CHECK(request.headers.get("X-Amz-Content-SHA256").size() == 64);
  CHECK(!request.headers.has("X-Amz-Target"));
  CHECK(request.headers.get("Authorization").find("/s3/aws4_request") != std::string_view::npos);
}

TEST_CASE("a part that is another one, or of another object, is asked for again and then refused") {
  struct Row {
    int status;
    std::string body, range, etag;
  };
  for (const Row& row : {Row{206, "cdef", "bytes 3-6/10", "\"e\""}, Row{206, "cde", "bytes 2-4/10", "\"e\""},
                         Row{206, "cdef", "", "\"e\""}, Row{206, "cdef", "bytes 2-5/10", "\"f\""},
                         Row{206, "cdef", "bytes 5-2/10", "\"e\""}, Row{200, "abcdefghij", "", "\"e\""}}) {
    CAPTURE(row.range);
    World world;
    world.transport.otherwise = [&row](const http::Request&) {
      return ScriptedTransport::response(row.status, row.body,
                                         headers({{"Content-Range", row.range}, {"ETag", row.etag}}));
    };
    const auto part = world.get(2, 4, "\"e\"");
    REQUIRE(!part.has_value());
    CHECK(part.error().kind == ErrorKind::Corrupt);
    CHECK(world.transport.requests.size() == 3);
  }
}

TEST_CASE("a broken connection costs the part, not the object") {
  World world;
  world.transport.then(ErrorKind::Unavailable, "reset");
  world.transport.then_error(503, "", "");
  world.transport.then(206, "cdef", headers({{"Content-Range", "bytes 2-5/10"}, {"ETag", "\"e\""}}));
  CHECK(world.get(2, 4, "\"e\"").has_value());
  CHECK(world.transport.requests.size() == 3);
  CHECK(world.transport.requests[2].headers.get("Range") == "bytes=2-5");
}

TEST_CASE("the last part may be short, and an empty object is a part of no bytes") {
  World world;
  world.transport.then(206, "ij", headers({{"Content-Range", "bytes 8-9/10"}, {"ETag", "\"e\""}}));
  CHECK(world.get(8, 4)->bytes->size() == 2);
  world.transport.then(416, xml_error("InvalidRange"));
  world.transport.then(200, "", headers({{"Content-Length", "0"}, {"ETag", "\"0\""}}));
  const auto part = world.get(0, 4);
  REQUIRE(part.has_value());
  CHECK(part->size == 0);
  CHECK(world.transport.requests[2].method == "HEAD");
}

TEST_CASE("S3's errors become kinds, with and without a body") {
  struct Row {
    int status;
    std::string body;
    ErrorKind kind;
    std::string said;
  };
  for (const Row& row : {Row{404, xml_error("NoSuchKey"), ErrorKind::NotFound, "NoSuchKey: said so"},
                         Row{404, xml_error("NoSuchBucket"), ErrorKind::NotFound, "NoSuchBucket"},
                         Row{404, "", ErrorKind::NotFound, "s3://bucket/a key/é"},
                         Row{412, "", ErrorKind::Conflict, "PreconditionFailed"},
                         Row{403, xml_error("AccessDenied"), ErrorKind::Denied, "s3:GetObject"},
                         Row{403, "", ErrorKind::Denied, "s3:GetObject"},
                         Row{301, xml_error("PermanentRedirect"), ErrorKind::Usage, "?region=eu-north-1"},
                         Row{400, xml_error("AuthorizationHeaderMalformed"), ErrorKind::Usage, "?region=eu-north-1"},
                         Row{503, xml_error("SlowDown"), ErrorKind::Throttled, "SlowDown"},
                         Row{500, xml_error("InternalError"), ErrorKind::EndpointDown, "InternalError"}}) {
    CAPTURE(row.said);
    World world;
    world.transport.otherwise = [&row](const http::Request&) {
      return ScriptedTransport::response(row.status, row.body, headers({{"x-amz-bucket-region", "eu-north-1"}}));
    };
    const auto part = world.get(0, 4);
    REQUIRE(!part.has_value());
    CHECK(part.error().kind == row.kind);
    CHECK_MESSAGE(part.error().what.find(row.said) != std::string::npos, part.error().what);
  }
}

TEST_CASE("a bucket stands before the host on AWS where the certificate covers it, and in the path elsewhere") {
  struct Row {
    std::string host, bucket;
    S3Style style;
    std::string asked, target;
  };
  for (const Row& row :
       {Row{"s3.eu-west-3.amazonaws.com", "my-bucket", S3Style::Auto, "my-bucket.s3.eu-west-3.amazonaws.com", "/k"},
        Row{"s3.eu-west-3.amazonaws.com", "my.bucket", S3Style::Auto, "s3.eu-west-3.amazonaws.com", "/my.bucket/k"},
        Row{"s3.eu-west-3.amazonaws.com", "my-bucket", S3Style::Path, "s3.eu-west-3.amazonaws.com", "/my-bucket/k"},
        Row{"minio.local", "my-bucket", S3Style::Auto, "minio.local", "/my-bucket/k"},
        Row{"minio.local", "my-bucket", S3Style::Virtual, "my-bucket.minio.local", "/k"}}) {
    CAPTURE(row.asked);
    World world(place(row.host), {row.style, true});
    world.transport.then(200, "", headers({{"Content-Length", "12"}, {"ETag", "\"e\""}}));
    const auto info = world.run(world.s3.head(row.bucket, "k"));
    REQUIRE(info.has_value());
    CHECK(info->size == 12);
    CHECK(world.transport.requests[0].endpoint.host == row.asked);
    CHECK(world.transport.requests[0].target == row.target);
    CHECK(world.transport.requests[0].headers.get("x-amz-request-payer") == "requester");
  }
}

TEST_CASE("a listing goes on by its token, and its keys are decoded") {
  World world;
  world.transport.then(
      200,
      "<ListBucketResult xmlns='x'><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
      "<NextContinuationToken>t+/=</NextContinuationToken><Contents><Key>a%20b%2Bc+d</Key><Size>7</Size>"
      "<ETag>&quot;e&quot;</ETag></Contents><CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes>"
      "</ListBucketResult>");
  ListRequest request;
  request.bucket = "bucket";
  request.prefix = "a b";
  request.delimiter = "/";
  request.token = "x=";
  const auto list = world.run(world.s3.list(request));
  REQUIRE_MESSAGE(list.has_value(), (list ? "" : list.error().what));
  REQUIRE(list->objects.size() == 1);
  CHECK(list->objects[0].key == "a b+c d");
  CHECK(list->objects[0].size == 7);
  CHECK(list->objects[0].etag == "\"e\"");
  CHECK(list->folders == std::vector<std::string>{"p/"});
  CHECK(list->next == "t+/=");
  CHECK(world.transport.requests[0].target ==
        "/bucket?continuation-token=x%3D&delimiter=%2F&encoding-type=url&list-type=2&prefix=a%20b");
}

TEST_CASE("a listing that cannot be one is refused") {
  for (const char* body : {"", "<a/>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
                           "<ListBucketResult><Contents><Key>k</Key><Size>-1</Size></Contents></ListBucketResult>",
                           "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%zz</Key><Size>1</Size>"
                           "</Contents></ListBucketResult>"}) {
    CAPTURE(body);
    World world;
    world.transport.otherwise = [body](const http::Request&) { return ScriptedTransport::response(200, body); };
    const auto list = world.run(world.s3.list({"bucket", {}, {}, {}, {}, 0}));
    REQUIRE(!list.has_value());
    CHECK(list.error().kind == ErrorKind::Corrupt);
  }
}

TEST_CASE("an object is put with the encryption that was asked for") {
  World world;
  world.transport.then(200, "", headers({{"ETag", "\"e\""}}));
  const auto put = world.run(world.s3.put("bucket", "k", "body", {"aws:kms", "key-1", "text/plain"}));
  REQUIRE(put.has_value());
  CHECK(put->etag == "\"e\"");
  const http::Request& request = world.transport.requests[0];
  CHECK(request.method == "PUT");
  CHECK(request.body == "body");
  CHECK(request.headers.get("x-amz-server-side-encryption") == "aws:kms");
  CHECK(request.headers.get("x-amz-server-side-encryption-aws-kms-key-id") == "key-1");
}

TEST_CASE("an object that is too large to be held is refused") {
  World world;
  world.transport.then(206, "abcd", headers({{"Content-Range", "bytes 0-3/10"}, {"ETag", "\"e\""}}));
  const auto part = world.run(world.s3.get_small("bucket", "k", 4));
  REQUIRE(!part.has_value());
  CHECK(part.error().kind == ErrorKind::TooLarge);
}
