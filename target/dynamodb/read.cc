// TargetTable: reading, without moveout's own attribute and tombstones.
#include <algorithm>
#include <unordered_map>

#include "item/json.h"
#include "target/dynamodb/table.h"

namespace moveout::target::dynamodb {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

constexpr std::size_t kReadKeys = 100;  // of one BatchGetItem

std::unexpected<base::Error> closed(const Layout& layout) {
  return fail(ErrorKind::Usage, "table " + layout.table + ": it is not open");
}

}  // namespace

Result<std::vector<TargetTable::Found>> TargetTable::found_in(const aws::ItemsPage& page) {
  const bool hides = guarded() && !options_.as_it_stands;
  std::vector<Found> all;
  all.reserve(page.items.size());
  for (const std::string_view text : page.items) {
    Result<item::Item> item = item::parse_item(text);
    if (!item) return fail(item.error().kind, "table " + layout_.table + " of the target: " + item.error().what);
    Result<item::Key> key = item::key_of(layout_.key, *item);
    if (!key) return fail(key.error().kind, "table " + layout_.table + " of the target: " + key.error().what);
    const std::optional<Mark> mark = hides ? take_mark(*item) : std::nullopt;
    if (!hides && !told_of_marks_ && item->contains(std::string(kVersionAttribute))) {
      told_of_marks_ = true;
      log_.warn("target.has_versions", {{"table", layout_.table}, {"attribute", std::string(kVersionAttribute)}});
    }
    all.push_back({std::move(*key), std::move(*item), mark});
  }
  return all;
}

Task<Result<std::vector<TargetTable::Found>>> TargetTable::look(std::vector<item::Key> keys) {
  if (!readable_) co_return closed(layout_);
  std::vector<Found> all;
  for (std::size_t at = 0; at < keys.size(); at += kReadKeys) {
    std::vector<item::Key> some(keys.begin() + static_cast<std::ptrdiff_t>(at),
                                keys.begin() + static_cast<std::ptrdiff_t>(std::min(at + kReadKeys, keys.size())));
    std::ranges::sort(some);
    some.erase(std::ranges::unique(some).begin(), some.end());
    const Result<aws::ItemsPage> page = co_await table_calls_.batch_get(layout_.table, layout_.key, std::move(some));
    if (!page) co_return fail(page.error());
    Result<std::vector<Found>> found = found_in(*page);
    if (!found) co_return found;
    std::ranges::move(*found, std::back_inserter(all));
  }
  co_return all;
}

Task<Result<std::vector<std::optional<Stored>>>> TargetTable::read(std::vector<item::Key> keys) {
  Result<std::vector<Found>> found = co_await look(keys);
  if (!found) co_return fail(found.error());
  std::unordered_map<std::string_view, const Found*> by_key;  // looked up only, never walked
  for (const Found& one : *found) by_key.emplace(one.key.encoded(), &one);
  std::vector<std::optional<Stored>> out;
  out.reserve(keys.size());
  for (const item::Key& key : keys) {
    const auto at = by_key.find(key.encoded());
    if (at == by_key.end() || (at->second->mark && at->second->mark->tombstone)) {
      out.emplace_back();
    } else {
      out.push_back(Stored{at->second->item, at->second->mark ? at->second->mark->version : item::Version{}});
    }
  }
  co_return out;
}

Task<Result<std::vector<std::optional<item::Version>>>> TargetTable::versions(std::vector<item::Key> keys) {
  std::vector<std::optional<item::Version>> out(keys.size());
  if (!guarded()) co_return out;
  Result<std::vector<Found>> found = co_await look(keys);
  if (!found) co_return fail(found.error());
  std::unordered_map<std::string_view, item::Version> by_key;  // looked up only, never walked
  for (const Found& one : *found) by_key.emplace(one.key.encoded(), one.mark ? one.mark->version : item::Version{});
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto at = by_key.find(keys[i].encoded());
    if (at != by_key.end()) out[i] = at->second;
  }
  co_return out;
}

Task<Result<StoredPage>> TargetTable::scan(std::string cursor, std::size_t limit) {
  if (!readable_) co_return closed(layout_);
  aws::ScanRequest request;
  request.table = layout_.table;
  request.start_key = std::move(cursor);
  request.limit = static_cast<int>(std::min<std::size_t>(limit, 100'000));
  const Result<aws::ItemsPage> page = co_await table_calls_.scan(std::move(request));
  if (!page) co_return fail(page.error());
  Result<std::vector<Found>> found = found_in(*page);
  if (!found) co_return fail(found.error());
  StoredPage out;
  out.next = page->last_key;
  for (Found& one : *found) {
    if (one.mark && one.mark->tombstone) continue;
    const item::Version version = one.mark ? one.mark->version : item::Version{};
    out.items.emplace_back(std::move(one.key), Stored{std::move(one.item), version});
  }
  co_return out;
}

// DescribeTable's count is hours old.
Task<Result<std::optional<std::uint64_t>>> TargetTable::live_rows() { co_return std::optional<std::uint64_t>(); }

}  // namespace moveout::target::dynamodb
