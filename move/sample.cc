#include "move/sample.h"

#include <numeric>
#include <vector>

namespace moveout::move {

using base::Result;
using base::Task;

Task<Result<schema::Columns>> sample_columns(aws::DynamoDb& source, std::string table, item::KeySchema key,
                                             base::Rng rng, double* consumed_rcu) {
  constexpr int kSegments = 16;
  std::vector<int> segments(kSegments);
  std::iota(segments.begin(), segments.end(), 0);
  rng.shuffle(segments);
  schema::Sampler sampler(key);
  for (int segment : segments) {
    // An equal share of each segment, so that one end of the table does not decide for all.
    const std::uint64_t share = kSampleItems / kSegments;
    std::uint64_t seen = 0;
    aws::ScanRequest request{.table = table,
                             .segment = segment,
                             .total_segments = kSegments,
                             .start_key = {},
                             .consistent = false,
                             .limit = static_cast<int>(share)};
    do {
      Result<aws::ItemsPage> page = co_await source.scan(request);
      if (!page) co_return base::fail(page.error());
      *consumed_rcu += page->consumed_rcu;
      for (std::string_view text : page->items) {
        // What cannot be understood says nothing about columns; the back-fill sets it aside.
        if (sampler.see(text)) ++seen;
      }
      request.start_key = page->last_key;
    } while (!request.start_key.empty() && seen < share);
  }
  co_return sampler.columns(schema::Dialect::Sqlite);
}

}  // namespace moveout::move
