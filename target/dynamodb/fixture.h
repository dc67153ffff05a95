// TargetFixture: a DynamoDbTarget over a script of answers, with a clock that the test moves. For tests.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "aws/client_fixture.h"
#include "item/json.h"
#include "target/dynamodb/dynamodb_target.h"

namespace moveout::target::dynamodb {

inline const item::KeySchema kTestKey{{"id", item::KeyType::S}, std::nullopt};

struct TargetFixture {
  explicit TargetFixture(Way way, double max_writes = 0) {
    aws::ClientConfig config = aws::ClientFixture::local();
    calls = std::make_unique<aws::Client>(config, transport, credentials, clock, base::Rng(1), log);
    config.retry.retry = way == Way::Guarded;
    writes = std::make_unique<aws::Client>(config, transport, credentials, clock, base::Rng(2), log);
    target = make_target(*calls, *writes, clock, log,
                         {.way = way, .late_max = base::Millis(2000), .max_writes = max_writes});
  }

  template <class T>
  T run(base::Task<T> task) {
    return base::finish(io, clock, std::move(task));
  }

  static std::string table(const std::string& status = "ACTIVE", const std::string& id = "table-1") {
    return R"({"Table":{"TableName":"orders","TableStatus":")" + status + R"(","TableId":")" + id +
           R"(","CreationDateTime":1700000000,"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],)"
           R"("AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}]}})";
  }
  static Layout layout(std::string identity = "") { return {"orders", kTestKey, "", {}, std::move(identity)}; }

  // Adopts a table of its own, so that only what follows is in `transport.requests`.
  void open() {
    transport.then(200, table());
    transport.then(200, table());
    REQUIRE(run(target->open("run", 2, layout("table-1"), Mode::Run, true)));
    transport.requests.clear();
  }

  static std::string item(const std::string& id, const std::string& more = "") {
    return R"({"id":{"S":")" + id + "\"}" + (more.empty() ? "" : "," + more) + "}";
  }
  static void put(item::Batch& batch, const std::string& id, std::int64_t t = 16, const std::string& more = "") {
    const std::string text = item(id, more);
    batch.add_copy(item::key_of_json(kTestKey, text)->encoded(), {0, item::Band::Change, t}, text);
  }
  static void remove(item::Batch& batch, const std::string& id, std::int64_t t = 16) {
    batch.add_copy(item::key_of_json(kTestKey, item(id))->encoded(), {0, item::Band::Change, t}, {});
  }
  static item::Batch numbered(std::size_t count) {
    item::Batch batch;
    for (std::size_t i = 0; i < count; ++i) put(batch, "k" + std::to_string(i));
    return batch;
  }
  // Of the n-th request since open().
  std::string operation(std::size_t n) const {
    const std::string_view header = transport.requests.at(n).headers.get("X-Amz-Target");
    return std::string(header.substr(header.find('.') + 1));
  }
  const std::string& body(std::size_t n) const { return transport.requests.at(n).body; }
  base::Result<Outcomes> apply(item::Batch batch) { return run(target->apply(std::move(batch), {})); }

  boost::asio::io_context io;
  base::ManualClock clock{io.get_executor()};
  aws::ScriptedTransport transport;
  aws::StaticCredentials credentials{{"AKIDEXAMPLE", "secret", "", {}}};
  aws::RecordingLog log;
  std::unique_ptr<aws::Client> calls;
  std::unique_ptr<aws::Client> writes;
  std::unique_ptr<Target> target;
};

}  // namespace moveout::target::dynamodb
