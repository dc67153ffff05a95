// HTTP as values, and the seam that sends one. Real transport: net/; the simulated DynamoDB is another.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/task.h"

namespace moveout::http {

// Names compare without case; order and repeats are kept.
class Headers {
 public:
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  // The first value of that name, or empty.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return fields_; }
  void reserve(std::size_t fields) { fields_.reserve(fields); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// scheme://host[:port]; the default port is left out of the Host header.
struct Endpoint {
  bool tls = true;
  std::string host;
  std::uint16_t port = 443;

  // "host" or "host:port" for the Host header.
  std::string authority() const;
  std::string to_string() const;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// Parses scheme://host[:port][/]; IPv6 in brackets. Usage error for anything else.
base::Result<Endpoint> parse_endpoint(std::string_view text);

struct Request {
  std::string method = "POST";
  Endpoint endpoint;
  std::string target = "/";  // path and query, encoded as sent
  Headers headers;           // Host and Content-Length are added by the transport when absent
  std::string body;
  base::Millis timeout{60000};  // for the whole exchange
};

// The body as received after transfer decoding; Content-Encoding is still on (aws/ checks the crc over it first).
struct Response {
  int status = 0;
  Headers headers;
  std::shared_ptr<std::string> body = std::make_shared<std::string>();
};

class Transport {
 public:
  virtual ~Transport() = default;
  // contract: one attempt, no retries. A Response is whatever status arrived whole.
  // Error Unavailable: no whole answer; the server may or may not have acted, until the endpoint's own limit has
  // passed. Error EndpointDown: the connection was refused or the name not resolved, so the request certainly did not
  // arrive. Error Usage: TLS verification failed or the like; no retry helps.
  virtual base::Task<base::Result<Response>> send(Request request) = 0;
};

}  // namespace moveout::http
