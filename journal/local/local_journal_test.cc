#include "journal/local/local_journal.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <optional>

#include "base/memory_disk.h"
#include "base/task_group.h"
#include "test/doubles/virtual_clock.h"

using namespace moveout;
using namespace moveout::journal;
using base::Result;
using base::Task;

namespace {

// Work takes a moment, so that calls meet.
class SlowWorker final : public base::Worker {
 public:
  explicit SlowWorker(base::Clock& clock) : clock_(clock) {}
  Task<> run(std::function<void()> work) override {
    ++calls;
    co_await clock_.sleep_for(base::Millis(5));
    work();
  }
  int calls = 0;

 private:
  base::Clock& clock_;
};

Page page_of(int shard, int number) { return {{}, {"shard/" + std::to_string(shard), std::to_string(number)}}; }

Task<Result<>> append_ten(Journal& journal, int shard, std::vector<std::uint64_t>& places) {
  for (int number = 1; number <= 10; ++number) {
    const Result<Position> place = co_await journal.append(page_of(shard, number));
    if (!place) co_return base::fail(place.error());
    places.push_back(place->number);
  }
  co_return Result<>();
}

Task<Result<>> fill(Journal& journal, std::vector<std::uint64_t>& places, int shards) {
  const Result<Opened> opened = co_await journal.open(1, {0});
  if (!opened) co_return base::fail(opened.error());
  base::TaskGroup group(co_await base::this_executor);
  for (int shard = 0; shard < shards; ++shard) group.start(append_ten(journal, shard, places));
  co_return co_await group.wait_or_stop();
}

}  // namespace

TEST_CASE("appends that meet become durable together, each at a place of its own, each shard in its order") {
  boost::asio::io_context io;
  test::VirtualClock clock;
  SlowWorker worker(clock);
  base::MemoryDisk disk;
  local::LocalJournal journal(disk, worker, "journal-t", 0);
  std::vector<std::uint64_t> places;
  constexpr int kShards = 150;  // more than go into one write
  REQUIRE(test::run(io, clock, fill(journal, places, kShards)));
  CHECK(worker.calls < 60);
  std::sort(places.begin(), places.end());
  REQUIRE(places.size() == kShards * 10);
  for (std::size_t i = 0; i < places.size(); ++i) CHECK(places[i] == i + 1);
  CHECK(journal.end() == Position{kShards * 10 + 1});

  std::map<std::string, int> last;
  Position from{1};
  for (;;) {
    const Result<std::vector<Entry>> entries = test::run(io, clock, journal.read(from, 1 << 20));
    REQUIRE(entries);
    if (entries->empty()) break;
    for (const Entry& entry : *entries) {
      CHECK(entry.position == from);
      CHECK(std::stoi(entry.page.checkpoint.second) == ++last[entry.page.checkpoint.first]);
      from = from.next();
    }
  }
  CHECK(from == journal.end());
}
