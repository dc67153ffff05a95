#include "aws/errors.h"

#include <doctest/doctest.h>

#include "aws/scripted_transport.h"
#include "aws/times.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

namespace {

constexpr CallContext kScan{"Scan", "dynamodb", "us-east-1", "https://dynamodb.us-east-1.amazonaws.com",
                            "table \"orders\""};

Verdict judged(int status, const std::string& body) {
  return judge(ScriptedTransport::response(status, body), body, kScan);
}

}  // namespace

TEST_CASE("an error's name and message are found in every spelling") {
  for (
      const char* body : {
          R"({"__type":"com.amazonaws.dynamodb.v20120810#ValidationException","message":"bad"})",
          R"({"__type":"com.amazon.coral.validate#ValidationException","Message":"bad"})",
          R"({"message":"bad","__type":"ValidationException"})",
          R"({"code":"ValidationException","message":"bad"})",
          R"({"__type":"ValidationException:http://internal.amazon.com/coral/","message":"bad","Item":{"a":{"S":"x"}}})",
          R"({"__type":"ValidationException","message":"bad","x":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]})",
      }) {
    CAPTURE(body);
    const ErrorBody error = read_error_body(body);
    CHECK(error.name == "ValidationException");
    CHECK(error.message == "bad");
  }
  http::Headers headers;
  headers.add("x-amzn-ErrorType", "ThrottlingException:");
  CHECK(judge(ScriptedTransport::response(400, "", headers), "", kScan).fault == Fault::Throttled);
}

TEST_CASE("a body that is no error in JSON gives nothing, and the status decides") {
  for (const char* body : {"", "null", "[1]", "7", "{", R"({"__type":7})", R"({"message":{}})", "<html>", "\xFF\xFE"}) {
    CAPTURE(body);
    const ErrorBody error = read_error_body(body);
    CHECK(error.name.empty());
    CHECK(error.message.empty());
    CHECK(judged(503, body).fault == Fault::Transient);
    const Verdict verdict = judged(404, body);
    CHECK(verdict.error.kind == ErrorKind::Usage);
    CHECK(verdict.error.what.find("is this the endpoint of a DynamoDB API?") != std::string::npos);
  }
}

TEST_CASE("a server's message is cut and freed of control characters before it is shown") {
  const ErrorBody error =
      read_error_body(R"({"__type":"X","message":"a\nb\u001b[31m)" + std::string(5000, 'x') + "\"}");
  CHECK(error.message.starts_with("a b [31mxxx"));
  CHECK(error.message.size() < 620);
  std::string wide;
  for (int i = 0; i < 1000; ++i) wide += "€";
  const std::string shown = read_error_body(R"({"__type":"X","message":"a)" + wide + "\"}").message;
  CHECK(shown.substr(1).substr(0, 3) == "€");
  CHECK(shown.ends_with("€…"));
}

TEST_CASE("a missing right is taken from the message where it says it") {
  const MissingRight right = missing_right(
      "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: dynamodb:Scan on resource: "
      "arn:aws:dynamodb:us-east-1:1:table/orders because no identity-based policy allows the dynamodb:Scan action");
  CHECK(right.action == "dynamodb:Scan");
  CHECK(right.resource == "arn:aws:dynamodb:us-east-1:1:table/orders");
  CHECK(missing_right("You are not authorized to perform this operation.").action.empty());
  CHECK(missing_right("").action.empty());
  CHECK(missing_right("not authorized to perform: x:Y").action == "x:Y");
}

TEST_CASE("wrong keys and wrong signatures are explained, not only named") {
  const auto says = [](const char* name, const char* message, const char* part) {
    const Verdict verdict = judged(400, ScriptedTransport::error_body(name, message));
    CAPTURE(verdict.error.what);
    CHECK(verdict.error.kind == ErrorKind::Denied);
    CHECK(verdict.error.what.find(part) != std::string::npos);
  };
  says("UnrecognizedClientException", "The security token included in the request is invalid.",
       "the access key is not known in region us-east-1");
  says("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.",
       "the secret access key does not belong to the access key");
  says("IncompleteSignatureException", "x", "did not find a valid signature");
  says("AccessDeniedException", "", "the right dynamodb:Scan is missing");
}

TEST_CASE("times of AWS are read exactly, and nothing else is a time") {
  CHECK(base::micros_of(*parse_http_date("Tue, 14 Nov 2023 22:13:20 GMT")) == 1'700'000'000'000'000);
  CHECK(base::micros_of(*parse_amz_date("20231114T221320Z")) == 1'700'000'000'000'000);
  CHECK(base::micros_of(*parse_iso_time("2023-11-14T22:13:20Z")) == 1'700'000'000'000'000);
  CHECK(base::micros_of(*parse_iso_time("2023-11-14T22:13:20.123456789Z")) == 1'700'000'000'123'456);
  CHECK(base::micros_of(*parse_iso_time("2023-11-15T00:13:20+02:00")) == 1'700'000'000'000'000);
  CHECK(base::micros_of(*parse_iso_time("2023-11-14T17:43:20-04:30")) == 1'700'000'000'000'000);
  CHECK(parse_http_date("Thu, 29 Feb 2024 00:00:00 GMT").has_value());
  for (const char* text :
       {"", "Tue, 14 Nov 2023 22:13:20 CET", "Tue, 31 Nov 2023 22:13:20 GMT", "Wed, 29 Feb 2023 00:00:00 GMT",
        "Tue, 14 nov 2023 22:13:20 GMT", "Tue, 14 ovD 2023 22:13:20 GMT", "Tue, 14 Nov 2023 24:13:20 GMT",
        "Tue, 14 Nov 2023 22:13:2x GMT", "Tuesday, 14-Nov-23 22:13:20 GMT"}) {
    CAPTURE(text);
    CHECK(!parse_http_date(text).has_value());
  }
  for (const char* text : {"", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13:20.Z", "2023-13-14T22:13:20Z",
                           "2023-11-14T22:13:20+0200", "2023-11-14T22:13:20+24:00", "1969-11-14T22:13:20Z"}) {
    CAPTURE(text);
    CHECK(!parse_iso_time(text).has_value());
  }
  CHECK(!parse_amz_date("20231114T221320").has_value());
  CHECK(!parse_amz_date("2023111AT221320Z").has_value());
  CHECK(server_time_in_message("Signature expired: 20130601T000000Z is now earlier than 20130601T001000Z "
                               "(20130601T001500Z - 5 min.)") == parse_amz_date("20130601T001500Z"));
  CHECK(!server_time_in_message("Signature expired").has_value());
  CHECK(!server_time_in_message("(").has_value());
}
