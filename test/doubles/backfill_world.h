// World: a source, a target and a clock around a back-fill, for its unit tests.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>

#include "aws/client.h"
#include "backfill/scan_backfill.h"
#include "test/doubles/map_target.h"
#include "test/doubles/random_items.h"
#include "test/doubles/small_source.h"
#include "test/doubles/virtual_clock.h"

namespace moveout::test {

struct KeptQuarantine final : target::Quarantine {
  std::vector<target::Poison> kept;
  base::Task<base::Result<>> put(std::vector<target::Poison> items) override {
    for (target::Poison& item : items) kept.push_back(std::move(item));
    co_return base::Result<>();
  }
};
struct NoSink final : target::CheckpointSink {
  base::Task<base::Result<>> commit(target::Checkpoints) override { co_return base::Result<>(); }
};

inline target::WriterPolicy hasty() {
  target::WriterPolicy policy;
  policy.give_up_after = base::Millis(1000);
  return policy;
}

struct World {
  boost::asio::io_context io;
  VirtualClock clock;
  base::NoLog log;
  base::Rng rng;
  SmallDynamoDb db;
  MapTarget target;
  KeptQuarantine quarantine;
  NoSink sink;
  aws::StaticCredentials credentials{{"id", "secret", "", std::nullopt}};
  aws::Client client;
  aws::DynamoDb source;
  target::Writer writer;
  backfill::ScanConfig config;

  explicit World(std::uint64_t seed)
      : rng(seed),
        db(two_part_key(), seed),
        client(local(), db, credentials, clock, base::Rng(seed), log),
        source(client),
        writer(target, quarantine, sink, clock, base::Rng(seed), log, hasty()) {
    config.table = "t";
    config.key = db.schema;
    config.version = {0, item::Band::Backfill, 1000};
    config.segments = 5;
    config.workers = 3;
  }

  void fill(int count) {
    for (int n = 0; n < count; ++n) db.put(random_item(rng, static_cast<std::uint64_t>(n)));
  }
  std::unique_ptr<backfill::ScanBackfill> make() {
    return std::make_unique<backfill::ScanBackfill>(config, source, writer, clock, rng.fork(), log, target.checkpoints);
  }
  base::Result<> run() {
    const std::unique_ptr<backfill::ScanBackfill> one = make();
    return test::run(io, clock, one->run());
  }
  bool equal() const {
    std::map<std::string, item::Item> live;
    for (const auto& [key, row] : target.rows) {
      if (row.item) live[key.encoded()] = *row.item;
    }
    return live == db.items;
  }
};

}  // namespace moveout::test
