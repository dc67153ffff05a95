// What an AWS JSON error answer means: its name → a kind, a sentence, and what the client does about it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "http/http.h"

namespace moveout::aws {

// What the client does about one attempt.
enum class Fault {
  None,              // a success
  Definite,          // refused for good: the error goes to the caller
  Throttled,         // certainly not applied; slower, then again
  Transient,         // no definite answer; again where harmless
  NotReached,        // connection refused or name not resolved: certainly did not arrive; again
  CredentialsStale,  // the keys are expired or unknown: ask their source again, then once more
  ClockSkew,         // the signature's time was refused: correct the signing clock, then once more
  Malformed,         // a success that cannot be read
  ChecksumMismatch,  // x-amz-crc32 is not that of the body
};

struct Verdict {
  Fault fault = Fault::None;
  // As it would be if this attempt were the last.
  base::Error error{base::ErrorKind::Unavailable, {}};
  std::optional<base::Instant> server_time;  // with ClockSkew, where the answer tells it
};

// What was called; views live as long as the call of judge().
struct CallContext {
  std::string_view operation;  // "Scan"
  std::string_view service;    // the signing name, which is also the prefix of IAM actions: "dynamodb"
  std::string_view region;
  std::string_view endpoint;  // "https://dynamodb.us-east-1.amazonaws.com"
  std::string_view subject;   // `table "orders"`, or empty
};

// A decoded error body. Never fails: what is not there stays empty.
struct ErrorBody {
  std::string name;     // after '#', for instance "ValidationException"
  std::string message;  // at most 600 bytes, without control characters
};
ErrorBody read_error_body(std::string_view body);

// A server's text as it may stand in an error: at most 600 bytes, without control characters.
std::string shown_text(std::string_view text);

// S3's errors are XML, and an answer to HEAD or a 304 has no body: then the status gives the name S3 would have used.
ErrorBody read_xml_error(const http::Response& response);

// For an answer whose status is not 2xx; `body` is decoded.
Verdict judge(const http::Response& response, std::string_view body, const CallContext& context);
// The same for a body that was read otherwise (STS answers in XML).
Verdict judge(const http::Response& response, ErrorBody error, const CallContext& context);

// "X on resource Y" out of IAM's "… is not authorized to perform: X on resource: Y …"; empty when it says no such
// thing.
struct MissingRight {
  std::string action;
  std::string resource;
};
MissingRight missing_right(std::string_view message);

// The server's time out of "Signature expired: … is now earlier than … (20130601T001500Z - 5 min.)".
std::optional<base::Instant> server_time_in_message(std::string_view message);

}  // namespace moveout::aws
