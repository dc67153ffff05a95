// sigv4_probe: the signer, the verifier and the HTTP client for tests in another language.
// One JSON object a line on stdin, one on stdout:
//   {"do":"sign"|"verify"|"send", method, endpoint, target, headers: [[name, value], …], body: hex,
//    access_key_id, secret_access_key, session_token, region, service, micros}
// sign → {"headers": […]} · verify → {"refusal": name or ""} · send (signed first) → {"status", "body": hex} or
// {"error"}
#include <optional>

#include "base/json.h"
#include "net/http_client.h"
#include "net/runtime.h"
#include "sigv4/signer.h"
#include "sigv4/verify.h"
#include "test/doubles/probe.h"

using namespace moveout;
namespace json = base::json;

namespace {

std::string text_of(const json::object& from, std::string_view name) { return std::string(from.at(name).as_string()); }

int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  return out;
}

std::string to_hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

http::Request request_of(const json::object& from) {
  http::Request request;
  request.method = text_of(from, "method");
  const auto endpoint = http::parse_endpoint(text_of(from, "endpoint"));
  MOVEOUT_ASSERT(endpoint);
  request.endpoint = *endpoint;
  request.target = text_of(from, "target");
  for (const json::value& header : from.at("headers").as_array()) {
    request.headers.add(std::string(header.at(0).as_string()), std::string(header.at(1).as_string()));
  }
  request.body = from_hex(from.at("body").as_string());
  request.timeout = base::Millis(30000);
  return request;
}

sigv4::Credentials credentials_of(const json::object& from) {
  return {text_of(from, "access_key_id"), text_of(from, "secret_access_key"), text_of(from, "session_token"),
          std::nullopt};
}

base::Task<base::Result<>> send(net::HttpClient& client, http::Request request, json::object& out) {
  const auto response = co_await client.send(std::move(request));
  if (response) {
    out["status"] = response->status;
    out["body"] = to_hex(*response->body);
  } else {
    out["error"] = response.error().what;
  }
  co_return base::Result<>();
}

struct Probe {
  net::Runtime runtime;
  net::HttpClient client{runtime.executor(), {}};
  sigv4::Signer signer;

  json::object answer(const json::object& from) {
    const std::string what = text_of(from, "do");
    http::Request request = request_of(from);
    const sigv4::Credentials credentials = credentials_of(from);
    const base::Instant when = base::instant_of_micros(from.at("micros").as_int64());
    json::object out;
    if (what == "verify") {
      sigv4::Verifier verifier({}, [&](std::string_view id) {
        return id == credentials.access_key_id ? std::optional(credentials) : std::nullopt;
      });
      const auto verified = verifier.verify(request, when);
      out["refusal"] = verified ? std::string() : std::string(sigv4::name_of(verified.error()));
      return out;
    }
    signer.sign(request, credentials, text_of(from, "region"), text_of(from, "service"), when);
    if (what == "send") {
      MOVEOUT_ASSERT(runtime.run(send(client, std::move(request), out)));
      return out;
    }
    json::array headers;
    for (const auto& [name, value] : request.headers.all()) headers.push_back(json::array{name, value});
    out["headers"] = std::move(headers);
    return out;
  }
};

}  // namespace

int main() {
  Probe probe;
  return test::answer_lines([&](const json::object& question) { return probe.answer(question); });
}
