#include "aws/sts.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "aws/errors.h"
#include "aws/times.h"
#include "aws/xml.h"
#include "sigv4/canonical.h"
#include "sigv4/signer.h"

namespace moveout::aws {
namespace {

using base::ErrorKind;
using Keys = base::Result<sigv4::Credentials>;
using Fields = std::vector<std::pair<std::string, std::string>>;

// Throttles of STS come as HTTP status 400, so that fetch() does not see them.
constexpr int kTries = 4;
constexpr base::Micros kWait = std::chrono::milliseconds(500);
// A smaller difference of clocks is no reason for a refused signature: AWS allows five minutes.
constexpr base::Micros kSkewMin = std::chrono::seconds(30);

std::string form(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    out += name + '=' + sigv4::uri_encode(value, false);
  }
  return out;
}

Fields fields_of(const char* action, const RoleWish& role) {
  Fields fields = {{"Action", action},
                   {"Version", "2011-06-15"},
                   {"RoleArn", role.arn},
                   {"RoleSessionName", role.session_name.empty() ? "moveout" : role.session_name}};
  if (role.duration_s > 0) fields.emplace_back("DurationSeconds", std::to_string(role.duration_s));
  return fields;
}

// One question, and what it may be asked with.
struct Question {
  const char* action;
  RoleWish role;
  ServicePlace sts;
  std::string body;
  std::optional<sigv4::Credentials> source;  // none: not signed
  std::string token;                         // of a web identity: never to be repeated
};

http::Request request_of(const Question& question, base::Instant when) {
  http::Request request;
  request.endpoint = question.sts.endpoint;
  request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  request.headers.add("Accept", "text/xml");
  request.body = question.body;
  if (question.source) {
    sigv4::Signer signer;
    signer.sign(request, *question.source, question.sts.region, "sts", when);
  }
  return request;
}

// Validation errors quote what they refuse, and that may be the token.
std::string without_secrets(std::string message, const Question& question) {
  const std::string none = "(its message is not shown, it quotes what must stay secret)";
  const auto quotes = [&](const std::string& secret) {
    return secret.size() >= 8 && message.find(secret.substr(0, 24)) != std::string::npos;
  };
  if (quotes(question.token)) return none;
  if (question.source && (quotes(question.source->secret_access_key) || quotes(question.source->session_token))) {
    return none;
  }
  return message;
}

ErrorBody error_of(const http::Response& response, const Question& question) {
  ErrorBody body;
  const base::Result<XmlElement> root = parse_xml(*response.body);
  if (!root) return body;
  const XmlElement* error = root->name == "Error" ? &*root : root->child("Error");
  if (error == nullptr) return body;
  body.name = shown_text(error->text_of("Code"));
  body.message = without_secrets(shown_text(error->text_of("Message")), question);
  return body;
}

Verdict judged(const http::Response& response, const Question& question) {
  const std::string endpoint = question.sts.endpoint.to_string();
  const std::string subject = "role " + question.role.arn;
  ErrorBody body = error_of(response, question);
  // The identity provider did not answer STS in time: AWS asks to try again.
  if (body.name == "IDPCommunicationError") {
    return {Fault::Throttled, {ErrorKind::Unavailable, body.name + ": " + body.message}, {}};
  }
  if (body.name == "IDPRejectedClaim" || body.name == "InvalidIdentityToken") {
    return {Fault::Definite,
            {ErrorKind::Denied, fmt::format("STS at {} does not take the web identity token for {}: {}: {}", endpoint,
                                            subject, body.name, body.message)},
            {}};
  }
  Verdict verdict = judge(response, std::move(body), {question.action, "sts", question.sts.region, endpoint, subject});
  // A token file that is behind cannot be helped by asking STS again.
  if (verdict.fault == Fault::CredentialsStale && verdict.error.kind == ErrorKind::CredentialsExpired &&
      !question.source) {
    verdict.error.what += "; the token in the web identity token file has ended, and nobody has put a newer one there";
  }
  return verdict;
}

Keys keys_in(const http::Response& response, const Question& question) {
  const auto refuse = [&](const std::string& why) {
    return base::fail(ErrorKind::Corrupt, fmt::format("STS at {} gave no keys for role {}: {}",
                                                      question.sts.endpoint.to_string(), question.role.arn, why));
  };
  const base::Result<XmlElement> root = parse_xml(*response.body);
  if (!root) return refuse("its answer is not the XML that was expected; is this the endpoint of an STS?");
  const std::string action(question.action);
  if (root->name != action + "Response") return refuse("the answer is to something else than " + action);
  const XmlElement* result = root->child(action + "Result");
  const XmlElement* given = result == nullptr ? nullptr : result->child("Credentials");
  if (given == nullptr) return refuse("no Credentials in the answer");
  Keys keys = checked_keys(
      {given->text_of("AccessKeyId"), given->text_of("SecretAccessKey"), given->text_of("SessionToken"), {}},
      given->text_of("Expiration"), true);
  if (!keys) return refuse(keys.error().what);
  if (keys->session_token.empty()) return refuse("no session token");
  return keys;
}

base::Task<Keys> ask(Reach& reach, Question question) {
  base::Micros skew{0};
  base::Micros wait = kWait;
  for (int attempt = 1;; ++attempt) {
    base::Result<http::Response> response =
        co_await fetch(reach.services, reach.clock, request_of(question, reach.clock.now() + skew), Patience{}, "STS");
    if (!response) co_return base::fail(response.error());
    if (response->status == 200) co_return keys_in(*response, question);
    Verdict verdict = judged(*response, question);
    if (attempt >= kTries) co_return base::fail(verdict.error);
    if (verdict.fault == Fault::Throttled || verdict.fault == Fault::Transient) {
      co_await reach.clock.sleep_for(wait);
      wait *= 2;
      continue;
    }
    // The signature's time was refused: once more by the server's clock.
    const auto date = parse_http_date(response->headers.get("date"));
    if (!question.source || skew != base::Micros(0) || !date) co_return base::fail(verdict.error);
    const base::Micros measured = *date - reach.clock.now();
    const bool of_time = verdict.fault == Fault::ClockSkew || verdict.error.kind == ErrorKind::Denied;
    if (!of_time || std::chrono::abs(measured) < kSkewMin) co_return base::fail(verdict.error);
    skew = measured;
  }
}

bool is_name(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_+=,.@-").find(c) != std::string_view::npos;
  });
}

}  // namespace

base::Result<> check_role(const RoleWish& role) {
  const auto refuse = [](const std::string& why) { return base::fail(ErrorKind::Usage, why); };
  if (!role.arn.starts_with("arn:") || role.arn.find(":role/") == std::string::npos || role.arn.size() > 2048 ||
      !is_header_safe(role.arn, 2048)) {
    return refuse("role_arn \"" + role.arn + "\" is not the ARN of a role (arn:aws:iam::123456789012:role/NAME)");
  }
  if (!role.session_name.empty() &&
      (role.session_name.size() < 2 || role.session_name.size() > 64 || !is_name(role.session_name))) {
    return refuse("session name \"" + role.session_name + "\": 2 to 64 letters, digits and _+=,.@- are expected");
  }
  if (!role.external_id.empty() && (role.external_id.size() < 2 || role.external_id.size() > 1224)) {
    return refuse("an external id has 2 to 1224 characters");
  }
  if (role.duration_s != 0 && (role.duration_s < 900 || role.duration_s > 43200)) {
    return refuse(fmt::format("duration_seconds {}: 900 to 43200 is expected", role.duration_s));
  }
  return {};
}

base::Task<Keys> assume_role(Reach& reach, ServicePlace sts, RoleWish role, sigv4::Credentials source) {
  Fields fields = fields_of("AssumeRole", role);
  if (!role.external_id.empty()) fields.emplace_back("ExternalId", role.external_id);
  Question question{"AssumeRole", std::move(role), std::move(sts), form(fields), std::move(source), {}};
  co_return co_await ask(reach, std::move(question));
}

base::Task<Keys> assume_role_with_web_identity(Reach& reach, ServicePlace sts, RoleWish role, std::string token) {
  Fields fields = fields_of("AssumeRoleWithWebIdentity", role);
  fields.emplace_back("WebIdentityToken", token);
  Question question{"AssumeRoleWithWebIdentity", std::move(role), std::move(sts), form(fields), {}, std::move(token)};
  co_return co_await ask(reach, std::move(question));
}

}  // namespace moveout::aws
