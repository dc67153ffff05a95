#include "verify/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/backoff.h"
#include "base/task_group.h"
#include "item/json.h"
#include "item/slice.h"
#include "verify/expiry.h"

namespace moveout::verify {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

constexpr base::Millis kTurnSlice{1000};
constexpr std::size_t kGetMax = 100;      // BatchGetItem's bound
constexpr double kGetBytes = 4 << 20;     // of one answer, as far as the mean size tells
constexpr double kItemBytesFirst = 4096;  // before any was seen
constexpr base::Millis kTtlAskAgain{10 * 60 * 1000};

}  // namespace

Task<double> Source::turn() {
  for (;;) {
    const base::Steady now = clock_.steady();
    const base::Steady ready = rate_.ready_at(now);
    if (ready <= now) co_return rate_.reserve(now);
    co_await clock_.sleep_until(std::min(ready, now + kTurnSlice));
  }
}

void Source::spent(double reserved, aws::ItemsPage& page) {
  // A server that does not say: a unit reads 4 KB strongly.
  if (page.consumed_rcu <= 0) {
    for (const std::string_view item : page.items) page.consumed_rcu += static_cast<double>(item.size()) / 4096;
  }
  rate_.settle(reserved, page.consumed_rcu, clock_.steady());
  consumed_rcu_ += page.consumed_rcu;
  items_seen_ += static_cast<double>(page.items.size());
  for (const std::string_view item : page.items) bytes_seen_ += static_cast<double>(item.size());
}

void Source::throttled() {
  const base::Steady now = clock_.steady();
  rate_.throttled(now);
  log_.debug("verify.throttled", {{"table", config_.table}, {"rcu_s", rate_.allowed(now)}});
}

std::size_t Source::group() const {
  const double mean = items_seen_ > 0 ? bytes_seen_ / items_seen_ : kItemBytesFirst;
  return static_cast<std::size_t>(std::clamp(kGetBytes / std::max(mean, 1.0), 1.0, static_cast<double>(kGetMax)));
}

Task<Result<aws::ItemsPage>> Source::scan(std::uint64_t segment, std::uint64_t segments, std::string start_key) {
  base::Backoff backoff({}, rng_);
  for (;;) {
    const double reserved = co_await turn();
    aws::ScanRequest request;
    request.table = config_.table;
    request.segment = static_cast<int>(segment);
    request.total_segments = static_cast<int>(segments);
    request.start_key = start_key;
    request.key = config_.key;
    request.consistent = true;
    request.limit = base::page_limit(rate_.allowed(clock_.steady()), items_seen_ > 0 ? consumed_rcu_ / items_seen_ : 0);
    Result<aws::ItemsPage> page = co_await db_.scan(std::move(request));
    if (page) {
      spent(reserved, *page);
      co_return page;
    }
    rate_.give_back(reserved);
    if (page.error().kind != ErrorKind::Throttled) {
      co_return base::fail(page.error().kind, fmt::format("verify, scan of table {}, segment {}: {}", config_.table,
                                                          segment, page.error().what));
    }
    throttled();
    co_await clock_.sleep_for(backoff.next());
  }
}

Task<Result<aws::ItemsPage>> Source::get(const std::vector<item::Key>& keys) {
  base::Backoff backoff({}, rng_);
  for (;;) {
    const double reserved = co_await turn();
    Result<aws::ItemsPage> page = co_await db_.batch_get(config_.table, config_.key, keys);
    if (page) {
      spent(reserved, *page);
      co_return page;
    }
    rate_.give_back(reserved);
    if (page.error().kind != ErrorKind::Throttled) {
      co_return base::fail(page.error().kind, fmt::format("verify, reading {} keys of table {}: {}", keys.size(),
                                                          config_.table, page.error().what));
    }
    throttled();
    co_await clock_.sleep_for(backoff.next());
  }
}

item::Hash128 Source::hash_of(const item::Item& item, std::uint64_t seed) const {
  return item::canonical_hash(config_.normalise ? config_.normalise(item) : item, seed);
}

Result<item::Hash128> Source::hash_of(std::string_view item_json, std::uint64_t seed) const {
  const Result<item::Item> item = item::parse_item(item_json);
  // What the source shows and nobody understands is in no target: it hashes as no item does.
  return item ? hash_of(*item, seed) : item::hash_of(item_json, ~seed);
}

Task<> Source::learn_ttl() {
  if (ttl_learned_ && clock_.steady() - *ttl_learned_ < kTtlAskAgain) co_return;
  const Result<std::string> attribute = co_await db_.ttl_attribute(config_.table);
  ttl_learned_ = clock_.steady();
  ttl_attribute_ = attribute.value_or("");
  if (!attribute) {
    log_.warn("verify.ttl_unknown", {{"table", config_.table}, {"why", attribute.error().what}});
  }
}

Task<Result<Images>> Source::read_group(std::vector<item::Key> keys, std::uint64_t seed) {
  Images out(keys.size());
  const Result<aws::ItemsPage> page = co_await get(keys);
  if (!page) co_return base::fail(page.error());
  for (const std::string_view text : page->items) {
    Result<item::Key> key = item::key_of_json(config_.key, text);
    if (!key) key = item::key_of_unreadable(config_.key, text);
    if (!key) co_return base::fail(key.error());
    const auto at = std::lower_bound(keys.begin(), keys.end(), *key);
    if (at == keys.end() || *at != *key) {
      co_return base::fail(ErrorKind::Corrupt,
                           fmt::format("table {} answered with an item that was not asked for", config_.table));
    }
    const Result<item::Item> item = item::parse_item(text);
    Image& image = out[static_cast<std::size_t>(at - keys.begin())].emplace();
    image.hash = item ? hash_of(*item, seed) : item::hash_of(text, ~seed);
    if (item) image.expires_at = expires_at(*item, ttl_attribute_);
  }
  co_return out;
}

// One of several that work through the keys together, group after group.
Task<Result<>> Source::read_groups(const std::vector<item::Key>& keys, std::uint64_t seed, std::size_t& next,
                                   Images& out) {
  while (next < keys.size()) {
    const std::size_t from = next;
    next = std::min(keys.size(), from + group());
    const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(from);
    Result<Images> part = co_await read_group({begin, begin + static_cast<std::ptrdiff_t>(next - from)}, seed);
    if (!part) co_return base::fail(part.error());
    std::copy(part->begin(), part->end(), out.begin() + static_cast<std::ptrdiff_t>(from));
  }
  co_return Result<>();
}

Task<Result<Images>> Source::images(std::vector<item::Key> keys, std::uint64_t seed) {
  Images out(keys.size());
  std::size_t next = 0;
  base::TaskGroup readers(co_await base::this_executor);
  const std::size_t count = std::min(static_cast<std::size_t>(config_.workers), keys.size() / kGetMax + 1);
  for (std::size_t i = 0; i < count; ++i) readers.start(read_groups(keys, seed, next, out));
  const Result<> read = co_await readers.wait_or_stop();
  if (!read) co_return base::fail(read.error());
  co_return out;
}

}  // namespace moveout::verify
