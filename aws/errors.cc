#include "aws/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "aws/times.h"
#include "aws/walk.h"
#include "aws/xml.h"

namespace moveout::aws {
namespace {

using base::ErrorKind;

constexpr std::size_t kMessageBytesMax = 600;

struct Known {
  std::string_view name;
  Fault fault;
  ErrorKind kind;
};

// Throttling and transient names: the standard retry mode of the AWS SDKs. The rest: the DynamoDB and Streams models,
// and the common errors of AWS services.
constexpr std::array kKnown = {
    Known{"Throttling", Fault::Throttled, ErrorKind::Throttled},
    Known{"ThrottlingException", Fault::Throttled, ErrorKind::Throttled},
    Known{"ThrottledException", Fault::Throttled, ErrorKind::Throttled},
    Known{"RequestThrottledException", Fault::Throttled, ErrorKind::Throttled},
    Known{"RequestThrottled", Fault::Throttled, ErrorKind::Throttled},
    Known{"TooManyRequestsException", Fault::Throttled, ErrorKind::Throttled},
    Known{"ProvisionedThroughputExceededException", Fault::Throttled, ErrorKind::Throttled},
    Known{"ProvisionedThroughputExceeded", Fault::Throttled, ErrorKind::Throttled},
    Known{"TransactionInProgressException", Fault::Throttled, ErrorKind::Throttled},
    Known{"RequestLimitExceeded", Fault::Throttled, ErrorKind::Throttled},
    Known{"BandwidthLimitExceeded", Fault::Throttled, ErrorKind::Throttled},
    Known{"LimitExceededException", Fault::Throttled, ErrorKind::Throttled},
    Known{"SlowDown", Fault::Throttled, ErrorKind::Throttled},
    Known{"PriorRequestNotComplete", Fault::Throttled, ErrorKind::Throttled},
    // Global tables: the write lost to another region's and was not applied.
    Known{"ReplicatedWriteConflictException", Fault::Throttled, ErrorKind::Throttled},

    Known{"RequestTimeout", Fault::Transient, ErrorKind::Unavailable},
    Known{"RequestTimeoutException", Fault::Transient, ErrorKind::Unavailable},
    Known{"InternalServerError", Fault::Transient, ErrorKind::Unavailable},
    Known{"InternalServerErrorException", Fault::Transient, ErrorKind::Unavailable},
    Known{"InternalServerException", Fault::Transient, ErrorKind::Unavailable},
    Known{"InternalServiceError", Fault::Transient, ErrorKind::Unavailable},
    Known{"InternalFailure", Fault::Transient, ErrorKind::Unavailable},
    Known{"InternalError", Fault::Transient, ErrorKind::Unavailable},
    Known{"ServiceUnavailable", Fault::Transient, ErrorKind::Unavailable},
    Known{"ServiceUnavailableException", Fault::Transient, ErrorKind::Unavailable},
    Known{"ServiceFailure", Fault::Transient, ErrorKind::Unavailable},

    Known{"ExpiredToken", Fault::CredentialsStale, ErrorKind::CredentialsExpired},
    Known{"ExpiredTokenException", Fault::CredentialsStale, ErrorKind::CredentialsExpired},
    Known{"TokenRefreshRequired", Fault::CredentialsStale, ErrorKind::CredentialsExpired},
    // Keys that were rotated away look like this too, so their source is asked once more.
    Known{"UnrecognizedClientException", Fault::CredentialsStale, ErrorKind::Denied},
    Known{"InvalidClientTokenId", Fault::CredentialsStale, ErrorKind::Denied},
    Known{"InvalidAccessKeyId", Fault::CredentialsStale, ErrorKind::Denied},
    Known{"InvalidSignatureException", Fault::CredentialsStale, ErrorKind::Denied},
    Known{"SignatureDoesNotMatch", Fault::CredentialsStale, ErrorKind::Denied},

    Known{"RequestTimeTooSkewed", Fault::ClockSkew, ErrorKind::Denied},
    Known{"RequestInTheFuture", Fault::ClockSkew, ErrorKind::Denied},
    Known{"RequestExpired", Fault::ClockSkew, ErrorKind::CredentialsExpired},

    Known{"IncompleteSignature", Fault::Definite, ErrorKind::Denied},
    Known{"IncompleteSignatureException", Fault::Definite, ErrorKind::Denied},
    Known{"MissingAuthenticationToken", Fault::Definite, ErrorKind::Denied},
    Known{"MissingAuthenticationTokenException", Fault::Definite, ErrorKind::Denied},
    Known{"AuthFailure", Fault::Definite, ErrorKind::Denied},
    Known{"OptInRequired", Fault::Definite, ErrorKind::Denied},
    Known{"AccessDenied", Fault::Definite, ErrorKind::Denied},
    Known{"AccessDeniedException", Fault::Definite, ErrorKind::Denied},
    Known{"UnauthorizedOperation", Fault::Definite, ErrorKind::Denied},
    Known{"UnauthorizedException", Fault::Definite, ErrorKind::Denied},
    Known{"NotAuthorized", Fault::Definite, ErrorKind::Denied},

    Known{"ResourceNotFoundException", Fault::Definite, ErrorKind::NotFound},
    Known{"TableNotFoundException", Fault::Definite, ErrorKind::NotFound},
    Known{"ExportNotFoundException", Fault::Definite, ErrorKind::NotFound},
    Known{"NoSuchKey", Fault::Definite, ErrorKind::NotFound},
    Known{"NoSuchBucket", Fault::Definite, ErrorKind::NotFound},
    Known{"PolicyNotFoundException", Fault::Definite, ErrorKind::NotFound},

    Known{"ConditionalCheckFailedException", Fault::Definite, ErrorKind::Conflict},
    Known{"ResourceInUseException", Fault::Definite, ErrorKind::Conflict},
    Known{"TableInUseException", Fault::Definite, ErrorKind::Conflict},
    Known{"TransactionConflictException", Fault::Definite, ErrorKind::Conflict},
    Known{"TransactionCanceledException", Fault::Definite, ErrorKind::Conflict},
    Known{"DuplicateItemException", Fault::Definite, ErrorKind::Conflict},
    Known{"ExportConflictException", Fault::Definite, ErrorKind::Conflict},

    Known{"PreconditionFailed", Fault::Definite, ErrorKind::Conflict},

    Known{"ExpiredIteratorException", Fault::Definite, ErrorKind::Expired},
    Known{"ExpiredNextTokenException", Fault::Definite, ErrorKind::Expired},
    Known{"TrimmedDataAccessException", Fault::Definite, ErrorKind::Trimmed},

    Known{"ItemCollectionSizeLimitExceededException", Fault::Definite, ErrorKind::TooLarge},
    Known{"RequestEntityTooLarge", Fault::Definite, ErrorKind::TooLarge},
    Known{"RequestEntityTooLargeException", Fault::Definite, ErrorKind::TooLarge},

    Known{"ValidationException", Fault::Definite, ErrorKind::Usage},
    Known{"ValidationError", Fault::Definite, ErrorKind::Usage},
    Known{"SerializationException", Fault::Definite, ErrorKind::Usage},
    Known{"UnknownOperationException", Fault::Definite, ErrorKind::Usage},
    Known{"InvalidAction", Fault::Definite, ErrorKind::Usage},
    Known{"IdempotentParameterMismatchException", Fault::Definite, ErrorKind::Usage},
};

// The name without its namespace ("com.amazonaws.dynamodb.v20120810#") and without a link after a colon.
std::string_view bare_name(std::string_view type) {
  if (const std::size_t hash = type.rfind('#'); hash != std::string_view::npos) type.remove_prefix(hash + 1);
  return type.substr(0, type.find(':'));
}

// By status alone, where the body has no name that we know.
Known by_status(int status) {
  if (status == 408 || status >= 500) return {{}, Fault::Transient, ErrorKind::Unavailable};
  if (status == 429) return {{}, Fault::Throttled, ErrorKind::Throttled};
  if (status == 413) return {{}, Fault::Definite, ErrorKind::TooLarge};
  if (status == 401 || status == 403) return {{}, Fault::Definite, ErrorKind::Denied};
  return {{}, Fault::Definite, ErrorKind::Usage};
}

Known classify(int status, const ErrorBody& body) {
  // AWS gives the skew the same name as a wrong secret; only the text tells them apart.
  if ((body.name == "InvalidSignatureException" || body.name == "SignatureDoesNotMatch") &&
      (body.message.find("Signature expired") != std::string::npos ||
       body.message.find("Signature not yet current") != std::string::npos)) {
    return {body.name, Fault::ClockSkew, ErrorKind::Denied};
  }
  const auto known = std::ranges::find(kKnown, body.name, &Known::name);
  if (known == kKnown.end()) return by_status(status);
  // "Request has expired" is said of a presigned time as well as of keys; a 5xx is never a definite refusal.
  if (status >= 500 && known->fault == Fault::Definite) return {known->name, Fault::Transient, ErrorKind::Unavailable};
  return *known;
}

// "ValidationException: text" or what there is.
std::string answered(const http::Response& response, const ErrorBody& body) {
  if (!body.name.empty() && !body.message.empty()) return fmt::format("{}: {}", body.name, body.message);
  if (!body.name.empty()) return body.name;
  if (!body.message.empty()) return fmt::format("HTTP status {}: {}", response.status, body.message);
  return fmt::format(
      "HTTP status {} without an error name ({} bytes of {})", response.status, response.body->size(),
      response.headers.has("content-type") ? shown_text(response.headers.get("content-type")) : "no type");
}

std::string called(const CallContext& context) {
  return context.subject.empty() ? fmt::format("{} at {}", context.operation, context.endpoint)
                                 : fmt::format("{} of {} at {}", context.operation, context.subject, context.endpoint);
}

std::string denied_text(const CallContext& context, const ErrorBody& body, const std::string& answer) {
  const std::string& name = body.name;
  if (name == "UnrecognizedClientException" || name == "InvalidClientTokenId" || name == "InvalidAccessKeyId") {
    return fmt::format("the access key is not known in region {} ({}): {}; use keys of this account and partition",
                       context.region, called(context), answer);
  }
  if (name == "InvalidSignatureException" || name == "SignatureDoesNotMatch") {
    return fmt::format(
        "the signature was refused ({}): {}; the secret access key does not belong to the access key, "
        "or the endpoint is of another region than {}",
        called(context), answer, context.region);
  }
  if (name.starts_with("IncompleteSignature") || name.starts_with("MissingAuthenticationToken") ||
      name == "AuthFailure") {
    return fmt::format("the endpoint did not find a valid signature ({}): {}; check what stands between it and here",
                       called(context), answer);
  }
  const MissingRight right = missing_right(body.message);
  const std::string action =
      right.action.empty() ? fmt::format("{}:{}", context.service, context.operation) : right.action;
  return fmt::format("the right {} is missing{}{} ({}): {}; grant it, then give the same command again", action,
                     right.resource.empty() ? "" : " on ", right.resource, called(context), answer);
}

std::string text_of(const Known& known, const CallContext& context, const ErrorBody& body, const std::string& answer) {
  switch (known.kind) {
    case ErrorKind::Denied:
      return denied_text(context, body, answer);
    case ErrorKind::NotFound:
      return fmt::format("{} not found in region {} at {} ({}: {})",
                         context.subject.empty() ? "what was asked for was" : context.subject, context.region,
                         context.endpoint, context.operation, answer);
    case ErrorKind::CredentialsExpired:
      return fmt::format("the credentials have expired ({}): {}", called(context), answer);
    case ErrorKind::Usage:
      if (body.name.empty()) {
        return fmt::format("{}: {}; is this the endpoint of {}?", called(context), answer,
                           context.service == "sts"  ? "an STS"
                           : context.service == "s3" ? "an S3"
                                                     : "a DynamoDB API");
      }
      break;
    default:
      break;
  }
  return fmt::format("{}: {}", called(context), answer);
}

}  // namespace

std::string shown_text(std::string_view text) {
  std::string out(text.substr(0, kMessageBytesMax));
  // Not in the middle of a UTF-8 sequence.
  if (text.size() > out.size()) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) out.pop_back();
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0) out.pop_back();
    out += "…";
  }
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  return out;
}

ErrorBody read_error_body(std::string_view body) {
  ErrorBody found;
  const auto padded = with_padding(std::make_shared<const std::string>(body));
  // What was read before a defect stays read: a cut error body still names the error.
  const base::Result<> walked =
      walk_answer("an error", *padded, [&found](std::string_view name, ondemand::value value) {
        const bool is_name = name == "__type" || name == "code";
        const bool is_message = name == "message" || name == "Message";
        std::string_view text;
        if ((!is_name && !is_message) || value.get_string().get(text)) return simdjson::SUCCESS;
        if (is_name && (found.name.empty() || name == "__type")) found.name = shown_text(bare_name(text));
        if (is_message) found.message = shown_text(text);
        return simdjson::SUCCESS;
      });
  if (!walked && found.name.empty()) found.message.clear();
  return found;
}

ErrorBody read_xml_error(const http::Response& response) {
  ErrorBody found;
  if (const base::Result<XmlElement> root = parse_xml(*response.body); root && root->name == "Error") {
    found.name = shown_text(root->text_of("Code"));
    found.message = shown_text(root->text_of("Message"));
  }
  if (found.name.empty()) {
    switch (response.status) {
      case 301:
      case 307:
        found.name = "PermanentRedirect";
        break;
      case 403:
        found.name = "AccessDenied";
        break;
      case 404:
        found.name = "NoSuchKey";
        break;
      case 412:
        found.name = "PreconditionFailed";
        break;
      case 416:
        found.name = "InvalidRange";
        break;
      default:
        break;
    }
  }
  const std::string_view region = response.headers.get("x-amz-bucket-region");
  if (!region.empty() && (response.status == 301 || response.status == 307 || response.status == 400)) {
    found.message +=
        fmt::format(" (the bucket is of region {}: say ?region={})", shown_text(region), shown_text(region));
  }
  return found;
}

Verdict judge(const http::Response& response, std::string_view body, const CallContext& context) {
  return judge(response, read_error_body(body), context);
}

Verdict judge(const http::Response& response, ErrorBody error, const CallContext& context) {
  if (error.name.empty()) error.name = shown_text(bare_name(response.headers.get("x-amzn-errortype")));
  const Known known = classify(response.status, error);
  const std::string answer = answered(response, error);
  if (known.fault != Fault::ClockSkew) return {known.fault, {known.kind, text_of(known, context, error, answer)}, {}};
  std::optional<base::Instant> time = parse_http_date(response.headers.get("date"));
  if (!time) time = server_time_in_message(error.message);
  return {known.fault, {known.kind, fmt::format("{}: {}", called(context), answer)}, time};
}

MissingRight missing_right(std::string_view message) {
  constexpr std::string_view before = "not authorized to perform: ";
  constexpr std::string_view between = " on resource: ";
  MissingRight right;
  std::size_t at = message.find(before);
  if (at == std::string_view::npos) return right;
  message.remove_prefix(at + before.size());
  right.action = message.substr(0, message.find_first_of(" ,;"));
  at = message.find(between);
  if (at == std::string_view::npos) return right;
  message.remove_prefix(at + between.size());
  right.resource = message.substr(0, message.find_first_of(" ,;"));
  return right;
}

std::optional<base::Instant> server_time_in_message(std::string_view message) {
  const std::size_t open = message.rfind('(');
  if (open == std::string_view::npos) return std::nullopt;
  return parse_amz_date(message.substr(open + 1, 16));
}

}  // namespace moveout::aws
