// CaptureWorld: a capture in a world that tests set up: fake stream, target in memory, manual clock. Needs doctest.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/task_group.h"
#include "capture/shard_state.h"
#include "capture/stream_capture.h"
#include "item/json.h"
#include "test/doubles/fake_stream.h"

namespace moveout::test {

class FixedKeys final : public aws::CredentialsProvider {
 public:
  base::Task<base::Result<sigv4::Credentials>> get() override { co_return sigv4::Credentials{"id", "secret", "", {}}; }
  void invalidate() override {}
};

// Keeps what a target would: the highest version of each key, and the checkpoints, both at once.
class CaptureTarget final : public capture::Sink {
 public:
  explicit CaptureTarget(base::ManualClock& clock) : clock_(clock) {}
  base::Task<base::Result<>> deliver(capture::CapturedPage page) override {
    MOVEOUT_ASSERT(busy_.insert(page.shard).second);  // one page of a shard at a time
    co_await clock_.sleep_for(slow);
    busy_.erase(page.shard);
    if (fail_next) {
      fail_next = false;
      co_return base::fail(base::ErrorKind::DiskFull, "as asked");
    }
    for (item::Change& change : page.changes) {
      const std::string key =
          std::get<std::string>(change.key.attributes({{"pk", item::KeyType::S}, {}}).at("pk").get());
      order.push_back(key + "@" + page.shard);
      auto [at, fresh] = rows.try_emplace(key, change);
      if (!fresh && at->second.version < change.version) at->second = change;
    }
    records += page.records;
    checkpoints[page.checkpoint.first] = page.checkpoint.second;
    if (page.checkpoint.second.empty()) checkpoints.erase(page.checkpoint.first);  // empty: forget
    ++pages;
    co_return base::Result<>();
  }
  // The sequence number in the image of a key's row; empty when it is deleted or absent.
  std::string seq_of(const std::string& key) const {
    const auto at = rows.find(key);
    if (at == rows.end() || at->second.kind == item::ChangeKind::Delete) return "";
    return item::parse_item(at->second.image).value().at("seq").as<item::Number>().to_string();
  }
  capture::ShardState row(const std::string& shard) const {
    return capture::ShardState::decode(checkpoints.at("shard/" + shard)).value();
  }

  void forget_pages_under_way() { busy_.clear(); }

  base::Millis slow{1};
  bool fail_next = false;
  std::map<std::string, item::Change> rows;
  std::vector<std::string> order;
  std::map<std::string, std::string> checkpoints;
  std::uint64_t records = 0;
  int pages = 0;

 private:
  base::ManualClock& clock_;
  std::set<std::string> busy_;
};

struct CaptureWorld {
  boost::asio::io_context io;
  base::ManualClock clock{io.get_executor()};
  FakeStream stream{clock};
  FixedKeys keys;
  base::NoLog log;
  aws::Client client{client_config(), stream, keys, clock, base::Rng(1), log};
  aws::Streams streams{client};
  aws::DynamoDb dynamodb{client};
  CaptureTarget target{clock};
  capture::Config config;
  std::optional<capture::StreamCapture> capture;
  std::optional<base::TaskGroup> group;
  std::optional<base::Result<>> ended;
  capture::Sink* sink = &target;

  CaptureWorld() {
    config.table = "orders";
    config.stream_arn = "arn:aws:dynamodb:eu-west-1:1:table/orders/stream/x";
    config.key = {{"pk", item::KeyType::S}, {}};
    config.covered_until = clock.now();
    config.tip_wait = base::Millis(1000);
    config.tip_pages = 2;
  }
  ~CaptureWorld() {
    if (group) stop();
  }
  static aws::ClientConfig client_config() {
    aws::ClientConfig config;
    config.endpoint = {false, "localhost", 8000};
    config.target_prefix = "DynamoDBStreams_20120810";
    config.accept_gzip = false;
    return config;
  }
  base::Task<base::Result<>> keep(base::Task<base::Result<>> task) {
    ended = co_await std::move(task);
    co_return base::Result<>();
  }
  void start(bool watch_table = false) {
    ended.reset();
    capture.emplace(config, streams, clock, base::Rng(2), log, *sink, target.checkpoints,
                    watch_table ? &dynamodb : nullptr);
    group.emplace(io.get_executor());
    group->start(keep(capture->run()));
  }
  base::Task<base::Result<>> stop_group() {
    co_await group->stop();
    co_return base::Result<>();
  }
  void stop() {
    base::finish(io, clock, stop_group());
    group.reset();
    capture.reset();
    // What was under way died with the process.
    stream.reading.clear();
    target.forget_pages_under_way();
  }
  void restart() {
    if (group) stop();
    start();
  }
  // Lets everything happen that happens within `time`, or until the capture ends.
  void run(base::Micros time) {
    const base::Steady until = clock.steady() + time;
    base::finish(io, clock, idle(until));
  }
  base::Task<base::Result<>> idle(base::Steady until) {
    while (clock.steady() < until && !ended)
      co_await clock.sleep_for(std::min<base::Micros>(until - clock.steady(), base::Millis(50)));
    co_return base::Result<>();
  }
  // Ended by a StreamGap whose text has this, the table, and the way on.
  void expect_gap(const std::string& naming) {
    REQUIRE(ended.has_value());
    REQUIRE(!ended->has_value());
    CHECK(ended->error().kind == base::ErrorKind::StreamGap);
    CAPTURE(ended->error().what);
    CHECK(ended->error().what.find(naming) != std::string::npos);
    CHECK(ended->error().what.find("table orders") != std::string::npos);
    CHECK(ended->error().what.find("--new-backfill") != std::string::npos);
  }
  int asked(const std::string& iterator) const {
    return static_cast<int>(std::ranges::count(stream.iterators_asked, iterator));
  }
};

}  // namespace moveout::test
