#include "test/wire/places.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "base/task_group.h"

namespace moveout::test {

using base::Result;
using base::Task;

namespace {

// Into a place outside, when the task has ended.
Task<Result<>> send_into(http::Transport& transport, http::Request request,
                         std::optional<Result<http::Response>>& out) {
  out = co_await transport.send(std::move(request));
  co_return Result<>();
}

http::Endpoint endpoint_from(const char* variable) {
  const char* text = std::getenv(variable);
  REQUIRE_MESSAGE(text != nullptr, "set ", variable, " (tools/parts/with dynamodb-local -- …)");
  const Result<http::Endpoint> endpoint = http::parse_endpoint(text);
  REQUIRE(endpoint.has_value());
  return *endpoint;
}

}  // namespace

http::Request signed_request(const http::Endpoint& endpoint, const std::string& operation, std::string body,
                             base::Instant now, const std::string& region) {
  const bool streams = operation == "ListStreams" || operation == "DescribeStream" || operation == "GetShardIterator" ||
                       operation == "GetRecords";
  http::Request request;
  request.endpoint = endpoint;
  request.body = std::move(body);
  request.timeout = base::Millis(20000);
  request.headers.add("Content-Type", "application/x-amz-json-1.0");
  request.headers.add("X-Amz-Target", (streams ? "DynamoDBStreams_20120810." : "DynamoDB_20120810.") + operation);
  sigv4::Signer().sign(request, {"AKIDTEST", "secret", "", std::nullopt}, region, "dynamodb", now);
  return request;
}

Reply reply_of(const http::Response& response) {
  Reply reply;
  reply.status = response.status;
  reply.headers = response.headers;
  reply.raw = *response.body;
  const Result<base::json::value> value = base::parse_json(reply.raw);
  REQUIRE_MESSAGE(value.has_value(), "not JSON: ", reply.raw);
  reply.body = value->as_object();
  if (const base::json::value* type = reply.body.if_contains("__type")) {
    const std::string name(type->as_string());
    reply.error = name.substr(name.find('#') + 1);
  }
  CHECK((reply.status == 200) == reply.error.empty());
  return reply;
}

Simulated::Simulated()
    : server_(scheduler_, faults_, base::Rng(7), sim::ServerOptions{}),
      transport_(scheduler_, process_, server_, faults_, base::Rng(8), trace_, {}) {
  server_.identities()["AKIDTEST"];
}

Reply Simulated::call(const std::string& operation, const std::string& body) {
  const http::Endpoint endpoint{true, "dynamodb.us-east-1.amazonaws.com", 443};
  base::TaskGroup group(scheduler_.executor());
  std::optional<Result<http::Response>> out;
  group.start(send_into(transport_,
                        signed_request(endpoint, operation, body, sim::true_time(scheduler_), server_.options().region),
                        out));
  REQUIRE(scheduler_.run_until([&] { return group.size() == 0; }, sim::Micros::max()) == sim::Scheduler::End::Done);
  REQUIRE(out->has_value());
  // Records show after a moment, and DescribeStream answers ten times a second: nobody asks sooner.
  const sim::Micros later = scheduler_.now() + sim::Micros(300'000);
  scheduler_.call_at(later, [] {});
  scheduler_.run_until([&] { return scheduler_.now() >= later; }, sim::Micros::max());
  return reply_of(**out);
}

void Simulated::roll(const std::string& table) { server_.find(table)->stream()->roll_all(); }

std::string Simulated::fresh_name() { return "wire"; }

Local::Local()
    : client_(runtime_.executor(), {}),
      endpoint_(endpoint_from("MOVEOUT_TEST_DYNAMODB")),
      control_(endpoint_from("MOVEOUT_TEST_DYNAMODB_CONTROL")) {}

Reply Local::call(const std::string& operation, const std::string& body) {
  std::optional<Result<http::Response>> out;
  const auto now = std::chrono::time_point_cast<base::Micros>(std::chrono::system_clock::now());
  REQUIRE(
      runtime_.run(send_into(client_, signed_request(endpoint_, operation, body, now, "us-east-1"), out)).has_value());
  REQUIRE_MESSAGE(out->has_value(), (out->has_value() ? "" : out->error().what));
  return reply_of(**out);
}

void Local::roll(const std::string&) {
  http::Request request;
  request.method = "GET";
  request.endpoint = control_;
  request.target = "/rollover";
  std::optional<Result<http::Response>> out;
  REQUIRE(runtime_.run(send_into(client_, std::move(request), out)).has_value());
  REQUIRE(out->has_value());
  REQUIRE((*out)->status == 200);
}

std::string Local::fresh_name() {
  static int number = 0;
  return fmt::format("wire_{}_{}", getpid(), ++number);
}

}  // namespace moveout::test
