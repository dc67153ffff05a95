// A DynamoDB that costs the tool under test nothing to wait for: a table of distinct items, made as they are asked for,
// served by segments in 1 MB pages with checksums. Written tables are counted by distinct keys (operation Written), not
// kept. usage: synthetic_dynamodb --items N --shape small|medium|wide [--latency-ms N] [--throttle PERCENT] [--error
// PERCENT] [--unprocessed PERCENT] [--certificate PEM-FILE --key PEM-FILE]
#include <fmt/format.h>
#include <zlib.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "net/http_server.h"
#include "net/runtime.h"
#include "net/system_clock.h"

using namespace moveout;
namespace json = base::json;

namespace {

struct Table {
  std::string name = "bench";
  std::int64_t items = 1000000;
  std::string shape = "small";
  std::int64_t latency_ms = 0;
  // Of the writes, in percent of the requests: refused; answered by an error, every second one after it was done; done
  // in part.
  std::uint64_t throttle = 0, error = 0, unprocessed = 0;

  std::set<std::string> made;  // other tables
  std::vector<bool> written;   // by number
  std::int64_t distinct = 0;
  std::uint64_t writes = 0;  // requests
};

// splitmix64: item n has the same content in every run.
std::uint64_t mixed(std::uint64_t n) {
  n += 0x9e3779b97f4a7c15ULL;
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9ULL;
  n = (n ^ (n >> 27)) * 0x94d049bb133111ebULL;
  return n ^ (n >> 31);
}

// performance.md's shapes: small 185 B with 6 attributes, medium about 980 B with map, list and set, wide 8.6 KB
// with 72.
void append_item(std::string& out, const Table& table, std::int64_t n) {
  const std::uint64_t x = mixed(static_cast<std::uint64_t>(n));
  fmt::format_to(
      std::back_inserter(out),
      R"({{"pk":{{"S":"user#{:012}"}},"sk":{{"N":"{}"}},"name":{{"S":"name-{:016x}"}},"amount":{{"N":"{}.{:02}"}},)"
      R"("active":{{"BOOL":{}}},"city":{{"S":"city-{:06}"}})",
      n, n % 1000, x, x % 100000, x % 100, x % 2 ? "true" : "false", x % 999999);
  if (table.shape == "medium") {
    fmt::format_to(
        std::back_inserter(out),
        R"(,"address":{{"M":{{"street":{{"S":"street number {}"}},"zip":{{"N":"{}"}},"lines":{{"L":[{{"S":"line one {:x}"}},)"
        R"({{"S":"line two"}},{{"N":"3"}}]}}}}}},"tags":{{"SS":["alpha-{}","beta-{}","gamma-{}"]}},"note":{{"S":"{:x>600}"}})",
        x % 500, x % 100000, x, x % 7, x % 11 + 100, x % 13 + 200, "y");
  } else if (table.shape == "wide") {
    for (int i = 0; i < 66; ++i) {
      fmt::format_to(std::back_inserter(out), R"(,"attribute_{:02}":{{"S":"{:016x}{:z>90}"}})", i, mixed(x + i), "w");
    }
  }
  out += '}';
}

http::Response answer(std::string body, int status = 200) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/x-amz-json-1.0");
  const uLong crc = ::crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  response.headers.add("x-amz-crc32", std::to_string(crc));
  *response.body = std::move(body);
  return response;
}

http::Response scan(const Table& table, const json::object& request) {
  const auto number = [&](const char* name, std::int64_t otherwise) {
    const json::value* value = request.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : otherwise;
  };
  const std::int64_t segment = number("Segment", 0), total = number("TotalSegments", 1),
                     limit = number("Limit", 1 << 30);
  std::int64_t next = segment;
  if (const json::value* start = request.if_contains("ExclusiveStartKey")) {
    const auto& pk = start->at("pk").at("S").as_string();
    std::from_chars(pk.data() + std::strlen("user#"), pk.data() + pk.size(), next);
    next += total;
  }
  std::string body = "{\"Items\":[";
  body.reserve(1100000);
  std::int64_t count = 0, last = -1;
  for (; next < table.items && count < limit && body.size() < 1000000; next += total) {
    if (count++ > 0) body += ',';
    append_item(body, table, next);
    last = next;
  }
  const double consumed = static_cast<double>(body.size()) / 4096 + 0.5;
  fmt::format_to(std::back_inserter(body),
                 R"(],"Count":{},"ScannedCount":{},"ConsumedCapacity":{{"TableName":"{}","CapacityUnits":{:.1f}}})",
                 count, count, table.name, consumed);
  if (next < table.items && last >= 0) {
    fmt::format_to(std::back_inserter(body), R"(,"LastEvaluatedKey":{{"pk":{{"S":"user#{:012}"}},"sk":{{"N":"{}"}}}})",
                   last, last % 1000);
  }
  body += '}';
  return answer(std::move(body));
}

http::Response describe(const Table& table) {
  std::string text = fmt::format(
      R"({{"Table":{{"TableName":"{0}","TableStatus":"ACTIVE","TableArn":"arn:aws:dynamodb:us-east-1:000000000000:table/{0}",)"
      R"("TableId":"b0000000-0000-0000-0000-000000000001","CreationDateTime":1700000000,"ItemCount":{1},"TableSizeBytes":{2},)"
      R"("KeySchema":[{{"AttributeName":"pk","KeyType":"HASH"}},{{"AttributeName":"sk","KeyType":"RANGE"}}],)"
      R"("AttributeDefinitions":[{{"AttributeName":"pk","AttributeType":"S"}},{{"AttributeName":"sk","AttributeType":"N"}}],)"
      R"("LatestStreamArn":"arn:aws:dynamodb:us-east-1:000000000000:table/{0}/stream/s","LatestStreamLabel":"s",)"
      R"("StreamSpecification":{{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}}}}}})",
      table.name, table.items,
      table.items * (table.shape == "small"    ? 100
                     : table.shape == "medium" ? 800
                                               : 8000));
  return answer(std::move(text));
}

// One open shard on which nothing ever happens.
http::Response streams(const Table& table, std::string_view operation) {
  if (operation == "DescribeStream") {
    return answer(fmt::format(
        R"({{"StreamDescription":{{"StreamArn":"arn:aws:dynamodb:us-east-1:000000000000:table/{0}/stream/s","StreamLabel":"s",)"
        R"("StreamStatus":"ENABLED","StreamViewType":"NEW_AND_OLD_IMAGES","TableName":"{0}","KeySchema":[],)"
        R"("Shards":[{{"ShardId":"shardId-1","SequenceNumberRange":{{"StartingSequenceNumber":"100000000000000000001"}}}}]}}}})",
        table.name));
  }
  if (operation == "GetShardIterator") return answer(R"({"ShardIterator":"i"})");
  return answer(R"({"Records":[],"NextShardIterator":"i"})");
}

// What only a key holds.
constexpr std::string_view kKey = "\"user#";

// Every item of the text was written.
void count_keys(Table& table, std::string_view text) {
  for (std::size_t at = text.find(kKey); at != std::string_view::npos; at = text.find(kKey, at + 1)) {
    std::int64_t n = -1;
    const char* number = text.data() + at + kKey.size();
    std::from_chars(number, number + 12, n);
    if (n < 0 || n >= table.items || table.written[static_cast<std::size_t>(n)]) continue;
    table.written[static_cast<std::size_t>(n)] = true;
    ++table.distinct;
  }
}

// Every second write is done, the others come back.
http::Response write_in_part(Table& table, std::string_view body) {
  const base::Result<json::value> request = base::parse_json(body);
  if (!request) return answer(R"({"__type":"x#SerializationException","message":"no JSON"})", 400);
  json::object rest;
  for (const auto& [name, writes] : request->at("RequestItems").as_object()) {
    json::array left;
    bool done = false;
    for (const json::value& each : writes.as_array()) {
      if (done) {
        count_keys(table, json::serialize(each));
      } else {
        left.push_back(each);
      }
      done = !done;
    }
    rest[name] = std::move(left);
  }
  return answer(json::serialize(json::object{{"UnprocessedItems", std::move(rest)}}));
}

http::Response write(Table& table, std::string_view operation, std::string_view body) {
  const std::uint64_t chance = mixed(++table.writes) % 100;
  if (chance < table.throttle) {
    return answer(R"({"__type":"x#ProvisionedThroughputExceededException","message":"slower"})", 400);
  }
  const bool error = chance < table.throttle + table.error;
  const bool part = !error && chance < table.throttle + table.error + table.unprocessed && operation != "PutItem";
  if (error && table.writes % 2 == 0) return answer(R"({"__type":"x#InternalServerError","message":"x"})", 500);
  if (!part) count_keys(table, body);
  if (error) return answer(R"({"__type":"x#InternalServerError","message":"x"})", 500);
  if (operation == "PutItem") return answer("{}");
  return part ? write_in_part(table, body) : answer(R"({"UnprocessedItems":{}})");
}

std::string table_name(const json::object& body) {
  const json::value* name = body.if_contains("TableName");
  return name != nullptr && name->is_string() ? std::string(name->get_string()) : std::string();
}

base::Task<http::Response> handle(Table& table, net::SystemClock& clock, http::Request request) {
  if (table.latency_ms > 0) co_await clock.sleep_for(base::Millis(table.latency_ms));
  const std::string_view header = request.headers.get("x-amz-target");
  const std::string operation(header.substr(header.rfind('.') + 1));
  if (operation == "BatchWriteItem" || operation == "PutItem") co_return write(table, operation, request.body);
  if (operation == "Written") {
    co_return answer(fmt::format(R"({{"Distinct":{},"Requests":{}}})", table.distinct, table.writes));
  }
  base::Result<json::value> body = base::parse_json(request.body);
  if (!body || !body->is_object())
    co_return answer(R"({"__type":"x#SerializationException","message":"no JSON"})", 400);
  if (operation == "Scan") co_return scan(table, body->get_object());
  const std::string name = table_name(body->get_object());
  if (operation == "CreateTable") co_return table.made.insert(name), answer("{}");
  if (operation == "DescribeTable" && name != table.name && !table.made.contains(name)) {
    co_return answer(R"({"__type":"x#ResourceNotFoundException","message":"no such table"})", 400);
  }
  if (operation == "DescribeTable") co_return describe(table);
  if (operation == "DescribeStream" || operation == "GetShardIterator" || operation == "GetRecords") {
    co_return streams(table, operation);
  }
  co_return answer(fmt::format(R"({{"__type":"x#UnknownOperationException","message":"{}"}})", operation), 400);
}

base::Task<base::Result<>> serve(Table& table, net::SystemClock& clock, net::HttpServerOptions options) {
  base::Result<std::unique_ptr<net::HttpServer>> server =
      net::HttpServer::listen(co_await base::this_executor, options,
                              [&](http::Request request) { return handle(table, clock, std::move(request)); });
  if (!server) co_return base::fail(server.error());
  std::printf("%s\n", (*server)->endpoint().to_string().c_str());
  std::fflush(stdout);
  for (;;) co_await clock.sleep_for(std::chrono::hours(1));
}

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  Table table;
  if (options.contains("--items")) table.items = std::stoll(options["--items"]);
  if (options.contains("--shape")) table.shape = options["--shape"];
  if (options.contains("--latency-ms")) table.latency_ms = std::stoll(options["--latency-ms"]);
  if (options.contains("--throttle")) table.throttle = std::stoull(options["--throttle"]);
  if (options.contains("--error")) table.error = std::stoull(options["--error"]);
  if (options.contains("--unprocessed")) table.unprocessed = std::stoull(options["--unprocessed"]);
  table.written.resize(static_cast<std::size_t>(table.items));
  net::HttpServerOptions listen;
  if (options.contains("--port")) listen.port = static_cast<std::uint16_t>(std::stoi(options["--port"]));
  if (options.contains("--certificate")) {
    listen.certificate = text_of(options["--certificate"]);
    listen.key = text_of(options["--key"]);
  }
  net::SystemClock clock;
  net::Runtime runtime;
  const base::Result<> result = runtime.run(serve(table, clock, std::move(listen)));
  if (!result) std::fprintf(stderr, "%s\n", result.error().what.c_str());
  return result ? 0 : 1;
}
