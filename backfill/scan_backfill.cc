#include "backfill/scan_backfill.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "backfill/segment.h"
#include "base/backoff.h"
#include "base/channel.h"
#include "base/mutant.h"
#include "base/rate.h"
#include "base/task_group.h"
#include "item/slice.h"

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

constexpr std::int64_t kSegmentBytes = std::int64_t{16} << 20;
constexpr std::int64_t kSegmentItems = 100'000;
constexpr int kSegmentsMin = 16;      // a request each costs next to nothing, and keeps every worker busy
constexpr int kSegmentsMax = 20'000;  // their checkpoints are read into memory on resume: some 4 MB

// Bounds of memory: 8 workers with a page or two of about 2 MB of JSON each.
constexpr std::size_t kHeldBytesMax = std::size_t{12} << 20;  // by all, before anyone reads ahead
constexpr std::size_t kLaneBytesMax = 2'500'000;              // by one, before it stops reading ahead
constexpr std::size_t kLanePagesMax = 64;
constexpr std::size_t kWriteBytes = 1 << 20;  // small pages are written together up to this

constexpr base::Millis kTurnSlice{1000};  // how soon a new ceiling is noticed by one who waits

struct Page {
  int segment = 0;
  std::uint64_t number = 0;  // since this run's start of the segment, from 1
  aws::ItemsPage items;
  std::size_t bytes = 0;  // of the body
  std::uint64_t item_bytes = 0;
  SegmentAt after;  // what the checkpoint says once the page is acknowledged
};

// One worker: a reader that runs ahead of its writer through a queue of pages.
struct Lane {
  explicit Lane(base::Executor executor) : pages(std::move(executor), kLanePagesMax) {}
  base::Channel<Page> pages;
  std::size_t pages_held = 0;  // read and not yet acknowledged
  std::size_t bytes_held = 0;
};

}  // namespace

int segments_for(std::int64_t size_bytes, std::int64_t item_count) {
  const std::int64_t wanted = std::max(size_bytes / kSegmentBytes, item_count / kSegmentItems) + 1;
  return static_cast<int>(std::clamp<std::int64_t>(wanted, kSegmentsMin, kSegmentsMax));
}

struct ScanBackfill::State {
  State(ScanConfig c, aws::DynamoDb& s, target::Writer& w, base::Clock& k, base::Rng r, base::Log& l)
      : config(std::move(c)), source(s), writer(w), clock(k), rng(r), log(l), rate(config.max_rcu) {}

  ScanConfig config;
  aws::DynamoDb& source;
  target::Writer& writer;
  base::Clock& clock;
  base::Rng rng;
  base::Log& log;
  base::Rate rate;

  std::optional<base::Error> refused;  // checkpoints that cannot be this run's
  std::vector<int> todo;               // shuffled; taken from the back
  std::map<int, SegmentAt> open;       // begun by an earlier process
  ScanProgress progress;
  double units_seen = 0;  // of the pages this process read
  double items_seen = 0;
  bool paused = false;
  std::size_t bytes_held = 0;
  std::optional<base::Signal> changed;  // pause ended, or pages were acknowledged
  std::vector<std::unique_ptr<Lane>> lanes;

  void load(const std::map<std::string, std::string>& checkpoints);
  Result<> take_checkpoint(const std::string& name, const std::string& value, std::vector<bool>& done);

  Task<Result<>> run();
  Task<Result<>> read_segments(Lane& lane);
  Task<Result<>> read_segment(Lane& lane, int segment);
  Task<> room(Lane& lane);
  Task<double> turn();
  Task<Result<aws::ItemsPage>> read_page(int segment, std::string start_key);
  Task<Result<>> write_pages(Lane& lane);
  Task<Result<>> write(item::Batch batch, target::Checkpoints checkpoints);
  Result<> append(const Page& page, item::Batch& batch) const;
  void acknowledged(Lane& lane, const Page& page);
};

void ScanBackfill::State::load(const std::map<std::string, std::string>& checkpoints) {
  MOVEOUT_ASSERT(config.segments >= 1 && config.workers >= 1);
  if (base::mutant("segment_count_recomputed") && !checkpoints.empty()) config.segments = config.segments / 2 + 1;
  std::vector<bool> done(static_cast<std::size_t>(config.segments));
  for (const auto& [name, value] : checkpoints) {
    if (name.starts_with("shard/")) continue;  // capture's, of the same era
    const Result<> taken = take_checkpoint(name, value, done);
    if (!taken && !refused) refused = taken.error();
  }
  progress.segments = config.segments;
  for (int segment = 0; segment < config.segments; ++segment) {
    if (!done[static_cast<std::size_t>(segment)]) todo.push_back(segment);
  }
  rng.shuffle(todo);
}

Result<> ScanBackfill::State::take_checkpoint(const std::string& name, const std::string& value,
                                              std::vector<bool>& done) {
  const Result<int> segment = segment_of_name(name);
  if (!segment) return base::fail(segment.error());
  if (*segment >= config.segments) {
    if (base::mutant("segment_count_recomputed")) return {};
    return base::fail(ErrorKind::Corrupt,
                      fmt::format("table {}: a checkpoint of segment {}, but the run has {} segments", config.table,
                                  *segment, config.segments));
  }
  Result<SegmentAt> at = parse_segment(value);
  if (!at)
    return base::fail(ErrorKind::Corrupt,
                      fmt::format("table {}, segment {}: {}", config.table, *segment, at.error().what));
  progress.items += at->items;
  progress.bytes += at->bytes;
  progress.consumed_rcu += at->rcu;
  if (at->done) {
    ++progress.segments_done;
    done[static_cast<std::size_t>(*segment)] = true;
  } else {
    open[*segment] = std::move(*at);
  }
  return {};
}

Task<Result<>> ScanBackfill::State::run() {
  if (refused) co_return base::fail(*refused);
  const base::Executor executor = co_await base::this_executor;
  changed.emplace(executor);
  base::TaskGroup group(executor);
  lanes.clear();
  const std::size_t count = std::min(todo.size(), static_cast<std::size_t>(config.workers));
  for (std::size_t i = 0; i < count; ++i) {
    Lane& lane = *lanes.emplace_back(std::make_unique<Lane>(executor));
    group.start(read_segments(lane));
    group.start(write_pages(lane));
  }
  co_return co_await group.wait_or_stop();
}

Task<Result<>> ScanBackfill::State::read_segments(Lane& lane) {
  while (!todo.empty()) {
    const int segment = todo.back();
    todo.pop_back();
    const Result<> read = co_await read_segment(lane, segment);
    if (!read) co_return read;
  }
  lane.pages.close();
  co_return Result<>();
}

Task<Result<>> ScanBackfill::State::read_segment(Lane& lane, int segment) {
  SegmentAt at;
  if (const auto begun = open.find(segment); begun != open.end()) at = begun->second;
  for (std::uint64_t number = 1; !at.done; ++number) {
    co_await room(lane);
    Result<aws::ItemsPage> items = co_await read_page(segment, at.last_key);
    if (!items && base::mutant("scan_error_skips_page")) items = aws::ItemsPage{};
    if (!items) {
      co_return base::fail(items.error().kind,
                           fmt::format("scan of table {}, segment {} of {}, page {}: {}", config.table, segment,
                                       config.segments, number, items.error().what));
    }
    Page page{segment, number, std::move(*items), 0, 0, {}};
    if (page.items.body) page.bytes = page.items.body->size();
    for (const std::string_view item : page.items.items) page.item_bytes += item.size();
    at.last_key = page.items.last_key;
    at.done = at.last_key.empty();
    if (base::mutant("empty_page_is_end") && page.items.items.empty()) at.done = true;
    if (at.done) at.last_key.clear();
    at.items += page.items.items.size();
    at.bytes += page.item_bytes;
    at.rcu += page.items.consumed_rcu;
    page.after = at;
    ++lane.pages_held;
    lane.bytes_held += page.bytes;
    bytes_held += page.bytes;
    const bool taken = co_await lane.pages.push(std::move(page));
    MOVEOUT_ASSERT(taken);
  }
  co_return Result<>();
}

// Reading ahead is for speed alone: a worker with nothing in hand may always read, one with a page in hand only while
// memory allows.
Task<> ScanBackfill::State::room(Lane& lane) {
  while (lane.pages_held > 0 &&
         (lane.pages_held >= kLanePagesMax || lane.bytes_held >= kLaneBytesMax || bytes_held >= kHeldBytesMax)) {
    co_await changed->wait();
  }
}

// Waits until a request may be sent; what it is expected to cost is reserved.
Task<double> ScanBackfill::State::turn() {
  for (;;) {
    while (paused) co_await changed->wait();
    const base::Steady now = clock.steady();
    const base::Steady ready = rate.ready_at(now);
    if (ready <= now) co_return rate.reserve(now);
    co_await clock.sleep_until(std::min(ready, now + kTurnSlice));
  }
}

Task<Result<aws::ItemsPage>> ScanBackfill::State::read_page(int segment, std::string start_key) {
  base::Backoff backoff({}, rng);
  for (;;) {
    const double reserved = co_await turn();
    aws::ScanRequest request;
    request.table = config.table;
    request.segment = segment;
    request.total_segments = config.segments;
    request.start_key = start_key;
    request.key = config.key;
    request.consistent = config.consistent && !base::mutant("eventual_scan");
    request.limit = base::page_limit(rate.allowed(clock.steady()), items_seen > 0 ? units_seen / items_seen : 0);
    Result<aws::ItemsPage> page = co_await source.scan(std::move(request));
    const base::Steady now = clock.steady();
    if (page) {
      // A server that does not say: a unit reads 4 KB strongly, 8 KB eventually.
      if (page->consumed_rcu <= 0) {
        for (const std::string_view item : page->items) {
          page->consumed_rcu += static_cast<double>(item.size()) / (config.consistent ? 4096 : 8192);
        }
      }
      rate.settle(reserved, page->consumed_rcu, now);
      units_seen += page->consumed_rcu;
      items_seen += static_cast<double>(page->items.size());
      progress.consumed_rcu += page->consumed_rcu;
      co_return page;
    }
    rate.give_back(reserved);
    if (page.error().kind != ErrorKind::Throttled) co_return page;
    rate.throttled(now);
    log.debug("backfill.throttled", {{"table", config.table}, {"segment", segment}, {"rcu_s", rate.allowed(now)}});
    co_await clock.sleep_for(backoff.next());
  }
}

Task<Result<>> ScanBackfill::State::write_pages(Lane& lane) {
  for (;;) {
    std::optional<Page> page = co_await lane.pages.pop();
    if (!page) co_return Result<>();
    item::Batch batch;
    target::Checkpoints checkpoints;
    std::vector<Page> together;
    for (;;) {
      const Result<> appended = append(*page, batch);
      if (!appended) co_return appended;
      // Of two pages of one segment in one write the later checkpoint stands for both.
      target::Checkpoint checkpoint{config.checkpoint_prefix + segment_name(page->segment),
                                    format_segment(page->after)};
      if (!checkpoints.empty() && checkpoints.back().name == checkpoint.name) checkpoints.pop_back();
      checkpoints.push_back(std::move(checkpoint));
      page->items = {};  // the batch holds what it needs
      together.push_back(std::move(*page));
      if (batch.bytes() >= kWriteBytes || lane.pages.size() == 0) break;
      page = co_await lane.pages.pop();
    }
    const Result<> written = co_await write(std::move(batch), std::move(checkpoints));
    if (!written) co_return written;
    for (const Page& done : together) acknowledged(lane, done);
  }
}

Task<Result<>> ScanBackfill::State::write(item::Batch batch, target::Checkpoints checkpoints) {
  if (base::mutant("checkpoint_before_ack")) {
    const Result<target::Written> moved = co_await writer.write({}, std::exchange(checkpoints, {}));
    if (!moved) co_return base::fail(moved.error());
  }
  const Result<target::Written> written = co_await writer.write(std::move(batch), std::move(checkpoints));
  if (!written) co_return base::fail(written.error());
  co_return Result<>();
}

Result<> ScanBackfill::State::append(const Page& page, item::Batch& batch) const {
  item::Version version = config.version;
  if (base::mutant("backfill_version_high")) version.band = item::Band::Change;
  const item::PageKeys& keys = page.items.keys;
  batch.reserve(page.items.items.size(), keys.bytes());
  std::string key;
  for (std::size_t i = 0; i < page.items.items.size(); ++i) {
    if (base::mutant("rows_without_ttl_dropped") && page.items.items[i].find("\"expires\"") == std::string_view::npos) {
      continue;
    }
    const std::string_view text = page.items.items[i];
    if (!keys.empty()) {
      batch.add(keys[i], version, text, page.items.body);
      continue;
    }
    key.clear();
    const Result<> decoded = item::append_key_of_json(config.key, text, key);
    // An item that nobody understands is set aside under its key; without a key nothing could be said of it later.
    if (!decoded && !item::append_key_of_unreadable(config.key, text, key)) {
      return base::fail(decoded.error().kind,
                        fmt::format("table {}, segment {} of {}, page {}, item {}: {}; its key cannot be understood "
                                    "either, so it cannot be set aside: mend or delete it in the source, then the same "
                                    "command goes on",
                                    config.table, page.segment, config.segments, page.number, i, decoded.error().what));
    }
    batch.add(key, version, text, page.items.body);
    if (!decoded) batch.mark_unreadable(item::why_unreadable(text));
  }
  return {};
}

void ScanBackfill::State::acknowledged(Lane& lane, const Page& page) {
  const SegmentAt before = [&] {
    const auto at = open.find(page.segment);
    return at == open.end() ? SegmentAt{} : at->second;
  }();
  progress.items += page.after.items - before.items;
  progress.bytes += page.after.bytes - before.bytes;
  if (page.after.done) {
    ++progress.segments_done;
    open.erase(page.segment);
  } else {
    open[page.segment] = page.after;
  }
  --lane.pages_held;
  lane.bytes_held -= page.bytes;
  bytes_held -= page.bytes;
  changed->notify_all();
}

ScanBackfill::ScanBackfill(ScanConfig config, aws::DynamoDb& source, target::Writer& writer, base::Clock& clock,
                           base::Rng rng, base::Log& log, std::map<std::string, std::string> checkpoints)
    : state_(std::make_unique<State>(std::move(config), source, writer, clock, rng, log)) {
  state_->load(checkpoints);
}

ScanBackfill::~ScanBackfill() = default;

Task<Result<>> ScanBackfill::run() { return state_->run(); }

ScanProgress ScanBackfill::progress() const { return state_->progress; }

void ScanBackfill::set_max_rcu(double max_rcu) { state_->rate.set_ceiling(max_rcu, state_->clock.steady()); }

void ScanBackfill::pause(bool on) {
  state_->paused = on;
  if (state_->changed) state_->changed->notify_all();
}

}  // namespace moveout::backfill
