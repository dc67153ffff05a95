// The servers that must answer alike: the simulated DynamoDB and DynamoDB Local, spoken to in signed HTTP requests.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "http/http.h"
#include "item/json.h"
#include "net/http_client.h"
#include "net/runtime.h"
#include "sigv4/signer.h"
#include "sim/network.h"

namespace moveout::test {

struct Reply {
  int status = 0;
  std::string error;  // after the '#' of __type; empty for success
  base::json::object body;
  http::Headers headers;
  std::string raw;

  const base::json::value& at(const char* name) const {
    const base::json::value* value = body.if_contains(name);
    REQUIRE_MESSAGE(value != nullptr, "no ", name, " in ", raw);
    return *value;
  }
  std::string text(const char* name) const { return std::string(at(name).as_string()); }
  bool has(const char* name) const { return body.contains(name); }
};

// A request as every client sends it, signed for `now`.
http::Request signed_request(const http::Endpoint& endpoint, const std::string& operation, std::string body,
                             base::Instant now, const std::string& region);
Reply reply_of(const http::Response& response);

// The simulated one, without any fault.
class Simulated {
 public:
  Simulated();
  Reply call(const std::string& operation, const std::string& body);
  // Every open shard of the table closes and one child of each opens.
  void roll(const std::string& table);
  static std::string fresh_name();

 private:
  sim::Scheduler scheduler_;
  sim::Faults faults_{base::Rng(1)};
  sim::Trace trace_{scheduler_, false};
  sim::Process process_{scheduler_, "test"};
  sim::Server server_;
  sim::SimTransport transport_;
};

// DynamoDB Local at MOVEOUT_TEST_DYNAMODB, with its control port.
class Local {
 public:
  Local();
  Reply call(const std::string& operation, const std::string& body);
  void roll(const std::string& table);
  static std::string fresh_name();

 private:
  net::Runtime runtime_;
  net::HttpClient client_;
  http::Endpoint endpoint_;
  http::Endpoint control_;
};

}  // namespace moveout::test
