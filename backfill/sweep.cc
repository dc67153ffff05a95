#include "backfill/sweep.h"

#include <fmt/format.h>

#include <set>
#include <utility>
#include <vector>

#include "base/mutant.h"
#include "item/slice.h"

namespace moveout::backfill {
namespace {

using base::Result;
using base::Task;

constexpr std::size_t kPageRows = 100;  // one BatchGetItem

}  // namespace

Task<Result<std::set<std::string>>> present(aws::DynamoDb& source, std::string table, item::KeySchema schema,
                                            std::vector<item::Key> keys) {
  Result<aws::ItemsPage> page = co_await source.batch_get(table, schema, std::move(keys));
  if (!page) co_return base::fail(page.error().kind, fmt::format("sweep of table {}: {}", table, page.error().what));
  std::set<std::string> found;
  for (const std::string_view item : page->items) {
    std::string key;
    const Result<> decoded = item::append_key_of_json(schema, item, key);
    if (!decoded && !item::append_key_of_unreadable(schema, item, key))
      co_return base::fail(decoded.error().kind, fmt::format("sweep of table {}: {}", table, decoded.error().what));
    found.insert(std::move(key));
  }
  co_return found;
}

Task<Result<std::uint64_t>> sweep(aws::DynamoDb& source, std::string table, item::KeySchema key, target::Writer& writer,
                                  item::Version backfill, base::Log& log) {
  std::uint64_t removed = 0;
  if (base::mutant("no_sweep")) co_return removed;
  const item::Version tombstone{backfill.era, item::Band::Backfill, backfill.t + item::kFoldStep};
  std::string cursor;
  do {
    Result<target::StoredPage> page = co_await writer.target().scan(cursor, kPageRows);
    if (!page) co_return base::fail(page.error());
    std::vector<item::Key> old;
    for (const auto& [row, stored] : page->items) {
      if (stored.version.era < backfill.era) old.push_back(row);
    }
    cursor = page->next;
    for (std::size_t from = 0; from < old.size(); from += kPageRows) {
      const std::vector<item::Key> keys(
          old.begin() + static_cast<std::ptrdiff_t>(from),
          old.begin() + static_cast<std::ptrdiff_t>(std::min(old.size(), from + kPageRows)));
      const Result<std::set<std::string>> found = co_await present(source, table, key, keys);
      if (!found) co_return base::fail(found.error());
      item::Batch batch;
      for (const item::Key& gone : keys) {
        if (!found->contains(gone.encoded())) batch.add_copy(gone.encoded(), tombstone, {});
      }
      if (batch.empty()) continue;
      const Result<target::Written> written = co_await writer.write(std::move(batch), {});
      if (!written) co_return base::fail(written.error());
      removed += written->applied;
    }
  } while (!cursor.empty());
  log.info("backfill.swept", {{"table", table}, {"era", backfill.era}, {"removed", removed}});
  co_return removed;
}

}  // namespace moveout::backfill
