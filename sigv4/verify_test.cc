#include "sigv4/verify.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <chrono>

using namespace moveout;
using namespace moveout::sigv4;

namespace {

const Credentials known{"AKID", "secret", "", std::nullopt};
const Credentials temporary{"ASIA", "other secret", "session token", std::nullopt};
const base::Instant now = base::instant_of_micros(1'700'000'000'000'000);

std::optional<Credentials> find(std::string_view id) {
  if (id == known.access_key_id) return known;
  if (id == temporary.access_key_id) return temporary;
  return std::nullopt;
}

http::Request call() {
  http::Request request;
  request.endpoint = {false, "127.0.0.1", 8000};
  request.headers.add("Content-Type", "application/x-amz-json-1.0");
  request.headers.add("X-Amz-Target", "DynamoDB_20120810.PutItem");
  request.body = R"({"TableName":"t"})";
  return request;
}

http::Request signed_call(const Credentials& credentials = known, base::Instant when = now) {
  http::Request request = call();
  Signer signer;
  signer.sign(request, credentials, "us-east-1", "dynamodb", when);
  return request;
}

std::optional<Refusal> refusal(const http::Request& request, base::Instant at = now) {
  Verifier strict({.region = "us-east-1", .service = "dynamodb"}, find);
  const auto result = strict.verify(request, at);
  return result ? std::nullopt : std::optional(result.error());
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

void change_authorization(http::Request& request, std::string_view from, std::string_view to) {
  request.headers.set("Authorization", replaced(std::string(request.headers.get("Authorization")), from, to));
}

}  // namespace

TEST_CASE("what our signer signs verifies, and says who, where and when") {
  Verifier strict({.region = "us-east-1", .service = "dynamodb"}, find);
  for (const Credentials& credentials : {known, temporary}) {
    const auto result = strict.verify(signed_call(credentials), now);
    REQUIRE(result.has_value());
    CHECK(result->access_key_id == credentials.access_key_id);
    CHECK(result->region == "us-east-1");
    CHECK(result->service == "dynamodb");
    CHECK(result->signed_at == now);
  }
}

TEST_CASE("any change to what was signed is refused") {
  http::Request request = signed_call();
  SUBCASE("body") { request.body += ' '; }
  SUBCASE("method") { request.method = "PUT"; }
  SUBCASE("path") { request.target = "/other"; }
  SUBCASE("query") { request.target = "/?a=b"; }
  SUBCASE("operation") { request.headers.set("X-Amz-Target", "DynamoDB_20120810.DeleteItem"); }
  SUBCASE("host") { request.headers.set("Host", "127.0.0.1:8001"); }
  SUBCASE("one header more of a signed name") { request.headers.add("Content-Type", "text/plain"); }
  SUBCASE("a digit of the signature") {
    const std::string text(request.headers.get("Authorization"));
    request.headers.set("Authorization", text.substr(0, text.size() - 1) + (text.back() == '0' ? "1" : "0"));
  }
  SUBCASE("the list of signed headers") { change_authorization(request, "content-type;host", "host"); }
  CHECK(refusal(request) == Refusal::Mismatch);
}

TEST_CASE("spaces within and around a signed header's value do not matter") {
  http::Request request = call();
  request.headers.add("X-Amz-Meta", "a b");
  Signer signer;
  signer.sign(request, known, "us-east-1", "dynamodb", now);
  request.headers.set("X-Amz-Meta", "  a   b ");
  CHECK_FALSE(refusal(request));
}

TEST_CASE("a request without a signature, or with half of one, is refused as such") {
  CHECK(refusal(call()) == Refusal::Missing);
  http::Request request = signed_call();
  SUBCASE("another algorithm") { change_authorization(request, "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"); }
  SUBCASE("no scope end") { change_authorization(request, "aws4_request", "aws5_request"); }
  SUBCASE("no access key") { change_authorization(request, "AKID/", ""); }
  SUBCASE("a part twice") { change_authorization(request, "Signature=", "Signature=00, Signature="); }
  SUBCASE("a part that is none") { change_authorization(request, "Signature=", "Sig="); }
  SUBCASE("a short signature") {
    const std::string text(request.headers.get("Authorization"));
    request.headers.set("Authorization", text.substr(0, text.size() - 2));
  }
  SUBCASE("an unsorted list") { change_authorization(request, "content-type;host", "host;content-type"); }
  SUBCASE("a listed header that is absent") {
    change_authorization(request, "content-type;host", "content-type;date;host");
  }
  SUBCASE("host not signed") { change_authorization(request, "content-type;host;", "content-type;"); }
  SUBCASE("operation not signed") { change_authorization(request, ";x-amz-target", ""); }
  SUBCASE("a token added on the way") { request.headers.add("X-Amz-Security-Token", "session token"); }
  SUBCASE("no date") { request.headers.remove("X-Amz-Date"); }
  SUBCASE("a date that is none") { request.headers.set("X-Amz-Date", "20231332T221320Z"); }
  CHECK(refusal(request) == Refusal::Incomplete);
}

TEST_CASE("another day, region or service, and an unknown key, are told apart") {
  http::Request request = signed_call();
  const std::string day(request.headers.get("X-Amz-Date").substr(0, 8));
  SUBCASE("day") {
    change_authorization(request, day, "20200101");
    CHECK(refusal(request) == Refusal::WrongScope);
  }
  SUBCASE("region") {
    change_authorization(request, "us-east-1", "eu-west-1");
    CHECK(refusal(request) == Refusal::WrongScope);
  }
  SUBCASE("service") {
    change_authorization(request, "/dynamodb/", "/kinesis/");
    CHECK(refusal(request) == Refusal::WrongScope);
  }
  SUBCASE("key") {
    change_authorization(request, "AKID/", "AKIDX/");
    CHECK(refusal(request) == Refusal::UnknownKey);
  }
  SUBCASE("the wrong session token") {
    Credentials wrong = temporary;
    wrong.session_token = "session tokem";
    CHECK(refusal(signed_call(wrong)) == Refusal::UnknownKey);
  }
  SUBCASE("no session token where the key has one") {
    Credentials wrong = temporary;
    wrong.session_token.clear();
    CHECK(refusal(signed_call(wrong)) == Refusal::UnknownKey);
  }
  SUBCASE("the wrong secret") {
    Credentials wrong = known;
    wrong.secret_access_key = "guess";
    CHECK(refusal(signed_call(wrong)) == Refusal::Mismatch);
  }
}

TEST_CASE("a signature lives five minutes before and after its time") {
  using std::chrono::seconds;
  CHECK_FALSE(refusal(signed_call(), now + seconds(300)));
  CHECK_FALSE(refusal(signed_call(), now - seconds(300)));
  CHECK(refusal(signed_call(), now + seconds(301)) == Refusal::Skewed);
  CHECK(refusal(signed_call(), now - seconds(301)) == Refusal::Skewed);
}

TEST_CASE("a payload hash must be the body's, and an unsigned payload is taken only where allowed") {
  http::Request request = call();
  request.headers.add("X-Amz-Content-SHA256", std::string(64, '0'));
  Signer signer;
  signer.sign(request, known, "us-east-1", "dynamodb", now);
  CHECK(refusal(request) == Refusal::Payload);

  http::Request s3 = call();
  s3.headers.remove("X-Amz-Target");
  signer.sign(s3, known, "us-east-1", "s3", now);
  Verifier strict({}, find);
  CHECK(strict.verify(s3, now));
  s3.headers.set("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD");
  CHECK(strict.verify(s3, now).error() == Refusal::Payload);
  Verifier lenient({.unsigned_payload = true}, find);
  // Allowed, but this signature was over the hash.
  CHECK(lenient.verify(s3, now).error() == Refusal::Mismatch);
}

TEST_CASE("verifying any text as an Authorization header answers, and never with success") {
  CHECK(rc::check([] {
    http::Request request = signed_call();
    const auto text = *rc::gen::arbitrary<std::string>();
    const std::string original(request.headers.get("Authorization"));
    const auto cut = *rc::gen::inRange<std::size_t>(0, original.size());
    request.headers.set("Authorization", *rc::gen::element(text, "AWS4-HMAC-SHA256 " + text, original.substr(0, cut),
                                                           original.substr(0, cut) + text));
    if (request.headers.get("Authorization") != original) RC_ASSERT(refusal(request).has_value());
  }));
}
