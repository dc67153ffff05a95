#include "app/url.h"

#include <doctest/doctest.h>

using namespace moveout;
using app::parse_url;
using app::Scheme;

namespace {
std::string refusal(std::string_view text) {
  const auto url = parse_url(text);
  REQUIRE(!url.has_value());
  CHECK(url.error().kind == base::ErrorKind::Usage);
  return url.error().what;
}
}  // namespace

TEST_CASE("a DynamoDB URL names region, table and options, percent-decoded") {
  const auto url = parse_url("dynamodb://eu-west-1/my%2Dtable?endpoint=http%3A%2F%2F127.0.0.1%3A8000&profile=prod");
  REQUIRE(url.has_value());
  CHECK(url->scheme == Scheme::DynamoDb);
  CHECK(url->region == "eu-west-1");
  CHECK(url->table == "my-table");
  CHECK(url->option("endpoint") == "http://127.0.0.1:8000");
  CHECK(url->option("profile") == "prod");
}

TEST_CASE("sqlite and file URLs keep relative and absolute paths") {
  CHECK(parse_url("sqlite:orders.db")->path == "orders.db");
  CHECK(parse_url("sqlite:/var/x.db?table=T")->path == "/var/x.db");
  CHECK(parse_url("sqlite:/var/x.db?table=T")->table == "T");
  CHECK(parse_url("file:out/a.jsonl")->path == "out/a.jsonl");
  CHECK(parse_url("out/a.jsonl")->scheme == Scheme::File);
  CHECK(parse_url("-")->path == "-");
}

TEST_CASE("what is no URL of ours is refused with a reason") {
  CHECK(refusal("").find("empty") != std::string::npos);
  CHECK(refusal("mysql://x/y").find("unknown scheme") != std::string::npos);
  CHECK(refusal("cql://h/k.t").find("cannot serve") != std::string::npos);
  CHECK(refusal("sqlite:").find("no path") != std::string::npos);
  CHECK(refusal("dynamodb:us-east-1/t").find("expected dynamodb://") != std::string::npos);
  CHECK(refusal("dynamodb://r/t?colour=red").find("unknown option") != std::string::npos);
  CHECK(refusal("dynamodb://r/t?profile").find("has no value") != std::string::npos);
  CHECK(refusal("dynamodb://r/t?profile=a&profile=b").find("twice") != std::string::npos);
  CHECK(refusal("dynamodb://r/t?profile=%zz").find("%-escape") != std::string::npos);
}

TEST_CASE("a secret in a URL is refused and not repeated") {
  const std::string said = refusal("dynamodb://AKIA:sesame@us-east-1/t");
  CHECK(said.find("sesame") == std::string::npos);
  for (const char* text : {"dynamodb://r/t?password=sesame", "dynamodb://r/t?profile=p&password=sesame",
                           "postgres://u:sesame@h/db", "postgres://u@h/db?password=sesame", "cql://u:sesame@h/k.t",
                           "mysql://u:sesame@h/db", "sqlite:x.db?password=sesame"}) {
    CAPTURE(text);
    CHECK(refusal(text).find("sesame") == std::string::npos);
    CHECK(refusal(text).find("password") != std::string::npos);
  }
}

TEST_CASE("a table's name cannot leave the state folder") {
  for (const char* text : {"dynamodb://r/..", "dynamodb://r/../../etc", "dynamodb://r/a/b", "dynamodb://r/.hidden",
                           "dynamodb://r/a%2Fb", "dynamodb://r/arn:aws:dynamodb:r:1:table/..", "dynamodb://r/a%00b"}) {
    CAPTURE(text);
    CHECK(refusal(text).find("table's name") != std::string::npos);
  }
  CHECK(parse_url("dynamodb://r/arn:aws:dynamodb:r:1:table/orders-2.x_y").has_value());
  CHECK(parse_url("dynamodb://r/log-*").has_value());
}

TEST_CASE("tls says true or false, and does not contradict the endpoint") {
  CHECK(refusal("dynamodb://r/t?tls=maybe").find("tls") != std::string::npos);
  CHECK(refusal("dynamodb://r/t?tls=true&endpoint=http://h:1").find("tls") != std::string::npos);
  CHECK(parse_url("dynamodb://r/t?tls=false&endpoint=http://h:1").has_value());
}

TEST_CASE("a move's identity does not depend on the profile") {
  CHECK(parse_url("dynamodb://r/t?profile=a")->identity() == parse_url("dynamodb://r/t?profile=b")->identity());
  CHECK(parse_url("dynamodb://r/t")->identity() != parse_url("dynamodb://r/u")->identity());
}

TEST_CASE("a whole URL says all that was said, and is read again as the same") {
  for (const char* text : {"dynamodb://eu-west-1/my%2Dtable?endpoint=http://"
                           "127.0.0.1:8000&profile=a%26b%20c&role_arn=arn:aws:iam::1:role/r"
                           "&external_id=%C3%A4/%3D&session_name=s&tls=false",
                           "dynamodb://eu-west-1", "sqlite:/tmp/100%25?table=a%3Fb", "file:/tmp/x%3F.jsonl", "-"}) {
    CAPTURE(text);
    const auto url = parse_url(text);
    REQUIRE_MESSAGE(url.has_value(), url.error().what);
    const auto again = parse_url(url->whole());
    REQUIRE_MESSAGE(again.has_value(), again.error().what);
    CHECK(again->scheme == url->scheme);
    CHECK(again->region == url->region);
    CHECK(again->table == url->table);
    CHECK(again->path == url->path);
    CHECK(again->options == url->options);
  }
}

TEST_CASE("a bucket's URL says prefix and place, and an export is named by its ARN") {
  const auto bucket = parse_url("s3://my-bucket/pre%20fix/x/?region=eu-west-3&requester_pays=true&style=path");
  REQUIRE_MESSAGE(bucket.has_value(), (bucket ? "" : bucket.error().what));
  CHECK(bucket->scheme == Scheme::S3);
  CHECK(bucket->bucket == "my-bucket");
  CHECK(bucket->path == "pre fix/x");
  CHECK(bucket->region == "eu-west-3");
  CHECK(bucket->identity() == "s3://my-bucket/pre fix/x");
  CHECK(parse_url(bucket->whole())->path == bucket->path);
  const auto arn = parse_url("arn:aws:dynamodb:eu-west-3:1:table/orders/export/01-ab?profile=p");
  REQUIRE_MESSAGE(arn.has_value(), (arn ? "" : arn.error().what));
  CHECK(arn->scheme == Scheme::Export);
  CHECK(arn->region == "eu-west-3");
  CHECK(arn->table == "orders");
  CHECK(parse_url(arn->whole())->path == arn->path);
  for (const char* text :
       {"s3:", "s3://", "s3://ab", "s3://a_b!/p", "s3://bucket?style=odd", "s3://bucket?requester_pays=1",
        "s3://key:secret@bucket/p", "arn:aws:dynamodb:r:1:table/t", "arn:aws:s3:::bucket"}) {
    CAPTURE(text);
    const auto refused = parse_url(text);
    REQUIRE(!refused.has_value());
    CHECK(refused.error().kind == base::ErrorKind::Usage);
    CHECK(refused.error().what.find("secret") == std::string::npos);
  }
}
