#include "sim/dynamodb/server.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>

namespace moveout::sim {

namespace json = base::json;

namespace {

constexpr std::string_view kTables = "DynamoDB_20120810.";
constexpr std::string_view kStreams = "DynamoDBStreams_20120810.";
constexpr Micros kSkewMax = std::chrono::minutes(5);

bool is_streams_operation(std::string_view name) {
  return name == "ListStreams" || name == "DescribeStream" || name == "GetShardIterator" || name == "GetRecords";
}

// 20260101T000000Z → µs since the world's beginning; nothing for other text.
std::optional<Micros> parse_amz_date(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  int field[6];
  const int at[6] = {0, 4, 6, 9, 11, 13};
  for (int i = 0; i < 6; ++i) {
    const char* begin = text.data() + at[i];
    const char* end = begin + (i == 0 ? 4 : 2);
    if (std::from_chars(begin, end, field[i]).ptr != end) return std::nullopt;
  }
  using namespace std::chrono;
  const sys_days day = year(field[0]) / month(static_cast<unsigned>(field[1])) / static_cast<unsigned>(field[2]);
  const base::Instant instant = day + hours(field[3]) + minutes(field[4]) + seconds(field[5]);
  return instant - kWorldBegins;
}

}  // namespace

Server::Server(Scheduler& scheduler, Faults& faults, base::Rng rng, ServerOptions options)
    : scheduler_(scheduler), faults_(faults), rng_(rng), options_(std::move(options)) {}

const std::map<std::string, Server::Operation, std::less<>>& Server::operations() {
  static const std::map<std::string, Operation, std::less<>> all = {
      {"CreateTable", &Server::create_table},
      {"DeleteTable", &Server::delete_table},
      {"DescribeTable", &Server::describe_table},
      {"UpdateTable", &Server::update_table},
      {"ListTables", &Server::list_tables},
      {"DescribeTimeToLive", &Server::describe_ttl},
      {"UpdateTimeToLive", &Server::update_ttl},
      {"TagResource", &Server::tag_resource},
      {"ListTagsOfResource", &Server::list_tags},
      {"PutItem", &Server::put_item},
      {"DeleteItem", &Server::delete_item},
      {"UpdateItem", &Server::update_item},
      {"GetItem", &Server::get_item},
      {"BatchGetItem", &Server::batch_get_item},
      {"BatchWriteItem", &Server::batch_write_item},
      {"Scan", &Server::scan},
      {"ListStreams", &Server::list_streams},
      {"DescribeStream", &Server::describe_stream},
      {"GetShardIterator", &Server::get_shard_iterator},
      {"GetRecords", &Server::get_records},
  };
  return all;
}

http::Response Server::handle(const http::Request& request) {
  for (auto& [name, table] : tables_) table->trim();
  for (auto& table : dropped_) table->trim();
  Api<std::string> answer = act(request);
  http::Response response;
  response.status = 200;
  if (answer) {
    *response.body = std::move(*answer);
  } else {
    const ApiError& error = answer.error();
    response.status = error.status;
    const bool by_coral = error.type.find("Signature") != std::string::npos || error.status >= 500 ||
                          error.type == "UnrecognizedClientException" || error.type == "AccessDeniedException";
    std::string type = by_coral ? "com.amazon.coral.service#" : "com.amazonaws.dynamodb.v20120810#";
    type += error.type;
    *response.body = fmt::format(R"({{"__type":"{}","{}":{}}})", type, options_.capital_message ? "Message" : "message",
                                 json::serialize(json::value(error.message)));
  }
  if (answer && faults_.strikes(Fault::Malformed)) response.body->resize(rng_.below(response.body->size()));
  response.headers.add("Content-Type", "application/x-amz-json-1.0");
  response.headers.add("x-amzn-RequestId", fmt::format("SIM{:08}", ++request_number_));
  const uLong crc =
      crc32(0, reinterpret_cast<const Bytef*>(response.body->data()), static_cast<uInt>(response.body->size()));
  response.headers.add("x-amz-crc32", std::to_string(crc));
  response.headers.add("Content-Length", std::to_string(response.body->size()));
  return response;
}

Api<std::string> Server::act(const http::Request& request) {
  if (request.method != "POST" || request.target != "/")
    return refuse("UnknownOperationException", "POST / alone", 404);
  if (request.headers.get("Content-Type") != "application/x-amz-json-1.0") {
    return refuse("SerializationException", "Content-Type must be application/x-amz-json-1.0");
  }
  if (request.body.size() > (16u << 20)) return refuse("RequestEntityTooLarge", "more than 16 MB", 413);
  std::string_view target = request.headers.get("X-Amz-Target");
  const bool streams = target.starts_with(kStreams);
  if (!streams && !target.starts_with(kTables)) return refuse("UnknownOperationException", "X-Amz-Target is not ours");
  target.remove_prefix(streams ? kStreams.size() : kTables.size());
  const auto operation = operations().find(target);
  if (operation == operations().end() || is_streams_operation(target) != streams) {
    return refuse("UnknownOperationException", fmt::format("no operation {}", target));
  }
  if (auto allowed = authorise(request, target); !allowed) return allowed;
  ++calls_[std::string(target)];
  auto parsed = base::parse_json(request.body);
  if (!parsed || !parsed->is_object()) return refuse("SerializationException", "the body is not a JSON object");
  if (faults_.strikes(Fault::ServerError)) {
    return rng_.chance(2) ? refuse("InternalServerError", "Internal server error", 500)
                          : refuse("ServiceUnavailableException", "Service is unavailable", 503);
  }
  if (faults_.strikes(Fault::Throttle)) {
    if (streams) return refuse("LimitExceededException", "Rate of requests exceeded");
    return rng_.chance(2)
               ? refuse("ProvisionedThroughputExceededException", "The level of configured provisioned throughput")
               : refuse("ThrottlingException", "Rate exceeded");
  }
  if (!options_.knows_capacity && parsed->as_object().contains("ReturnConsumedCapacity")) {
    return refuse("ValidationException", "ReturnConsumedCapacity is not supported");
  }
  return (this->*operation->second)(parsed->as_object());
}

Api<std::string> Server::authorise(const http::Request& request, std::string_view operation) {
  const std::string_view authorization = request.headers.get("Authorization");
  constexpr std::string_view kStart = "AWS4-HMAC-SHA256 Credential=";
  if (!authorization.starts_with(kStart) || authorization.find("SignedHeaders=") == std::string_view::npos ||
      authorization.find("Signature=") == std::string_view::npos) {
    return refuse("MissingAuthenticationTokenException", "Request is missing Authentication Token");
  }
  const std::string_view scope = authorization.substr(kStart.size(), authorization.find(',') - kStart.size());
  const std::string_view key = scope.substr(0, scope.find('/'));
  if (scope.find(fmt::format("/{}/dynamodb/aws4_request", options_.region)) == std::string_view::npos) {
    return refuse("InvalidSignatureException", "Credential should be scoped to a valid region and service");
  }
  const auto date = parse_amz_date(request.headers.get("X-Amz-Date"));
  if (!date) return refuse("IncompleteSignatureException", "X-Amz-Date is missing or malformed");
  const Micros skew = *date - scheduler_.now();
  if (skew > kSkewMax || skew < -kSkewMax) {
    return refuse("InvalidSignatureException", "Signature expired: it is not close enough to the server's time");
  }
  const auto identity = identities_.find(std::string(key));
  if (identity == identities_.end()) {
    return refuse("UnrecognizedClientException", "The security token included in the request is invalid.");
  }
  if (identity->second.expires <= scheduler_.now()) {
    return refuse("ExpiredTokenException", "The security token included in the request is expired");
  }
  if (identity->second.denied.contains(std::string(operation))) {
    return refuse("AccessDeniedException",
                  fmt::format("User: arn:aws:iam::{}:user/u is not authorized to perform: dynamodb:{} on resource: *",
                              options_.account, operation));
  }
  return std::string();
}

Table& Server::make_table(TableSpec spec) {
  const std::string name = spec.name;
  const std::string arn = fmt::format("arn:aws:dynamodb:{}:{}:table/{}", options_.region, options_.account, name);
  const std::string id = fmt::format("{:08x}-0000-4000-8000-{:012x}", ++table_number_, rng_.below(1ULL << 48));
  auto [at, made] =
      tables_.emplace(name, std::make_unique<Table>(scheduler_, faults_, rng_.fork(), std::move(spec), arn, id));
  MOVEOUT_ASSERT(made);
  return *at->second;
}

void Server::drop_table(const std::string& name) {
  auto at = tables_.find(name);
  MOVEOUT_ASSERT(at != tables_.end());
  at->second->disable_stream();
  dropped_.push_back(std::move(at->second));
  tables_.erase(at);
}

Table* Server::find(std::string_view name_or_arn) {
  for (auto& [name, table] : tables_) {
    if (name == name_or_arn || table->arn() == name_or_arn) return table.get();
  }
  return nullptr;
}

Stream* Server::find_stream(std::string_view arn) {
  const auto in = [&](Table& table) -> Stream* {
    for (auto& stream : table.streams()) {
      if (stream->arn() == arn) return stream.get();
    }
    return nullptr;
  };
  for (auto& [name, table] : tables_) {
    if (Stream* found = in(*table)) return found;
  }
  for (auto& table : dropped_) {
    if (Stream* found = in(*table)) return found;
  }
  return nullptr;
}

Text Server::read(const Row& row, bool consistent, Micros stale_by) {
  return consistent ? row.now() : row.at(scheduler_.now() - stale_by);
}

}  // namespace moveout::sim
