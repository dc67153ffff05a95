// Finding a table's stream, or switching one on, against scripted answers.
#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <string>
#include <vector>

#include "aws/scripted_transport.h"
#include "base/manual_clock.h"
#include "test/doubles/capture_world.h"

using namespace moveout;
using namespace moveout::capture;
using aws::ScriptedTransport;
using base::ErrorKind;
using base::Result;

namespace {

// Remembers events in order, with the calls between them.
class Events final : public base::Log {
 public:
  explicit Events(std::vector<std::string>& all) : all_(all) {}
  void write(base::LogLevel, std::string_view event, const std::vector<base::LogField>&) override {
    all_.emplace_back(event);
  }
  bool enabled(base::LogLevel level) const override { return level == base::LogLevel::Info; }

 private:
  std::vector<std::string>& all_;
};

// A table whose stream is as the members say; `on_update` is what UpdateTable does.
struct Table {
  boost::asio::io_context io;
  base::ManualClock clock{io.get_executor()};
  ScriptedTransport transport;
  test::FixedKeys keys;
  std::vector<std::string> order;
  Events log{order};
  aws::Client client{test::CaptureWorld::client_config(), transport, keys, clock, base::Rng(1), log};
  aws::DynamoDb dynamodb{client};
  aws::Streams streams{client};

  bool enabled = false;
  std::string arn;
  std::string view = "NEW_AND_OLD_IMAGES";
  std::string status = "ENABLED";
  bool streams_know_it = true;
  std::function<http::Response()> on_update;
  std::function<void()> before_describe = [] {};
  int updates = 0;

  Table() {
    transport.otherwise = [this](const auto& request) {
      return answer(std::string(request.headers.get("x-amz-target")));
    };
  }
  http::Response answer(const std::string& target) {
    if (target.ends_with("DescribeTable")) return describe();
    if (target.ends_with("UpdateTable")) {
      ++updates;
      order.push_back("UpdateTable");
      return on_update();
    }
    MOVEOUT_ASSERT(target.ends_with("DescribeStream"));
    if (!streams_know_it) return refused("ResourceNotFoundException");
    return ScriptedTransport::response(
        200, R"({"StreamDescription":{"StreamArn":")" + arn + R"(","StreamStatus":")" + status + R"(","Shards":[]}})");
  }
  static http::Response refused(const char* name) {
    return ScriptedTransport::response(400, ScriptedTransport::error_body(name, "Table already has an enabled stream"));
  }
  http::Response describe() {
    before_describe();
    std::string text =
        R"({"Table":{"TableName":"orders","TableStatus":"ACTIVE","TableArn":"a","CreationDateTime":1,"ItemCount":0,)"
        R"("TableSizeBytes":0,"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],)"
        R"("AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}])";
    if (!arn.empty()) text += R"(,"LatestStreamArn":")" + arn + "\"";
    if (enabled) text += R"(,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":")" + view + "\"}";
    return ScriptedTransport::response(200, text + "}}");
  }
  http::Response switched_on() {
    enabled = true;
    arn = "arn:new";
    return ScriptedTransport::response(200, "{}");
  }
  Result<OpenedStream> open(bool may_enable) {
    return base::finish(io, clock, open_stream(dynamodb, streams, clock, log, "orders", may_enable));
  }
};

}  // namespace

TEST_CASE("a stream that is there is reused, whatever its view, and nothing is changed") {
  for (const char* view : {"NEW_IMAGE", "NEW_AND_OLD_IMAGES", "OLD_IMAGE", "KEYS_ONLY"}) {
    Table t;
    t.enabled = true;
    t.arn = "arn:old";
    t.view = view;
    Result<OpenedStream> opened = t.open(true);
    REQUIRE(opened.has_value());
    CHECK(opened->arn == "arn:old");
    CHECK(opened->view_type == view);
    CHECK(!opened->enabled_now);
    CHECK(t.updates == 0);
  }
}

TEST_CASE("a table without a stream gets one, said before it is done, and waited for until it is ENABLED") {
  Table t;
  t.status = "ENABLING";
  t.streams_know_it = false;
  t.on_update = [&] { return t.switched_on(); };
  int looks = 0;
  t.before_describe = [&] {
    ++looks;
    t.streams_know_it = looks >= 4;
    if (looks >= 6) t.status = "ENABLED";
  };
  Result<OpenedStream> opened = t.open(true);
  REQUIRE(opened.has_value());
  CHECK(opened->arn == "arn:new");
  CHECK(opened->enabled_now);
  CHECK(t.updates == 1);
  CHECK(looks >= 6);
  REQUIRE(t.order.size() >= 2);
  CHECK(t.order[0] == "capture.enable_stream");
  CHECK(t.order[1] == "UpdateTable");
}

TEST_CASE("a stream that was switched off before is no stream: a new one is switched on") {
  Table t;
  t.arn = "arn:off";
  t.on_update = [&] { return t.switched_on(); };
  Result<OpenedStream> opened = t.open(true);
  REQUIRE(opened.has_value());
  CHECK(opened->arn == "arn:new");
  CHECK(opened->enabled_now);
}

TEST_CASE("without leave to switch one on the request is refused, and nothing is changed") {
  Table t;
  Result<OpenedStream> opened = t.open(false);
  REQUIRE(!opened.has_value());
  CHECK(opened.error().kind == ErrorKind::Usage);
  CHECK(opened.error().what.find("table orders") != std::string::npos);
  CHECK(opened.error().what.find("--no-enable-stream") != std::string::npos);
  CHECK(t.updates == 0);
}

//  look: no stream ──────────────────────── UpdateTable: refused, one is on already ── look: theirs is used
//  someone else:     UpdateTable succeeds
TEST_CASE("when someone else switches the stream on first, theirs is used and not claimed") {
  for (const char* name : {"ValidationException", "ResourceInUseException"}) {
    CAPTURE(name);
    Table t;
    t.on_update = [&] {
      t.enabled = true;
      t.arn = "arn:theirs";
      t.view = "KEYS_ONLY";
      return Table::refused(name);
    };
    Result<OpenedStream> opened = t.open(true);
    REQUIRE(opened.has_value());
    CHECK(opened->arn == "arn:theirs");
    CHECK(opened->view_type == "KEYS_ONLY");
    CHECK(!opened->enabled_now);
  }
}

TEST_CASE("while the table is being updated, switching on is tried again") {
  Table t;
  t.on_update = [&] { return t.updates < 4 ? Table::refused("ResourceInUseException") : t.switched_on(); };
  Result<OpenedStream> opened = t.open(true);
  REQUIRE(opened.has_value());
  CHECK(t.updates == 4);
  CHECK(opened->enabled_now);
}

TEST_CASE("a table that refuses a stream without having one ends in the server's own words") {
  Table t;
  t.on_update = [] { return Table::refused("ResourceInUseException"); };
  Result<OpenedStream> opened = t.open(true);
  REQUIRE(!opened.has_value());
  CHECK(opened.error().kind == ErrorKind::Conflict);
  CHECK(opened.error().what.find("already has an enabled stream") != std::string::npos);
}

TEST_CASE("a stream that is never ENABLED ends in a stop that can be resumed") {
  Table t;
  t.enabled = true;
  t.arn = "arn:old";
  t.status = "ENABLING";
  Result<OpenedStream> opened = t.open(true);
  REQUIRE(!opened.has_value());
  CHECK(opened.error().kind == ErrorKind::Unavailable);
}

TEST_CASE("a missing right is the caller's to know") {
  Table t;
  t.on_update = [] { return Table::refused("AccessDeniedException"); };
  Result<OpenedStream> opened = t.open(true);
  REQUIRE(!opened.has_value());
  CHECK(opened.error().kind == ErrorKind::Denied);
  CHECK(opened.error().what.find("UpdateTable") != std::string::npos);
}
