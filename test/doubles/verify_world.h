// World: a source, a target, a disk and a clock around a Verifier, for its unit tests.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "aws/client.h"
#include "base/inline_worker.h"
#include "base/memory_disk.h"
#include "test/doubles/map_target.h"
#include "test/doubles/random_items.h"
#include "test/doubles/small_source.h"
#include "test/doubles/virtual_clock.h"
#include "verify/verifier.h"

namespace moveout::test {

struct World {
  boost::asio::io_context io;
  VirtualClock clock;
  base::NoLog log;
  base::Rng rng;
  SmallDynamoDb db;
  MapTarget target;
  aws::StaticCredentials credentials{{"id", "secret", "", std::nullopt}};
  aws::Client client;
  aws::DynamoDb source;
  base::MemoryDisk disk;
  base::InlineWorker worker;
  verify::FixedWait fixed_wait{clock, base::Millis(5000)};
  verify::Watermark* watermark = &fixed_wait;
  verify::Config config;

  explicit World(std::uint64_t seed)
      : rng(seed),
        db(two_part_key(), seed),
        client(local(), db, credentials, clock, base::Rng(seed), log),
        source(client) {
    config.table = "t";
    config.key = db.schema;
    config.segments = 3;
    config.workers = 2;
    config.buckets = 128;
  }

  item::Key key_of(const item::Item& item) const { return item::Key::of(db.schema, item); }
  void both(const item::Item& item) {
    db.put(item);
    target.put(key_of(item), item);
  }
  void fill(int count) {
    for (int n = 0; n < count; ++n) both(random_item(rng, static_cast<std::uint64_t>(n)));
  }
  verify::Verifier verifier() {
    return verify::Verifier(config, source, target, *watermark, disk, worker, clock, rng.fork(), log);
  }
  base::Result<verify::Report> run() {
    verify::Verifier one = verifier();
    return test::run(io, clock, one.run());
  }
  verify::Report report() {
    base::Result<verify::Report> result = run();
    CHECK_MESSAGE(result.has_value(), (result ? "" : result.error().what));
    return result.value_or(verify::Report{});
  }
};

}  // namespace moveout::test
