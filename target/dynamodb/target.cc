#include <utility>

#include "target/dynamodb/crew.h"
#include "target/dynamodb/guarded.h"
#include "target/dynamodb/table.h"
#include "target/dynamodb/unguarded.h"

namespace moveout::target::dynamodb {

using base::ErrorKind;
using base::Result;
using base::Task;

TargetTable::TargetTable(aws::Client& calls, aws::Client& writes, base::Clock& clock, base::Log& log, Options options)
    : table_calls_(calls),
      writes_client_(writes),
      clock_(clock),
      log_(log),
      options_(options),
      pacer_(PacerOptions{.ceiling = options.max_writes}) {
  // Without a guard a request that is sent twice may undo what came between.
  MOVEOUT_ASSERT(guarded() || !writes.config().retry.retry);
  MOVEOUT_ASSERT(guarded() || options_.late_max.has_value());
}

Task<Result<Outcomes>> TargetTable::apply(item::Batch batch, Checkpoints checkpoints) {
  MOVEOUT_ASSERT(checkpoints.empty());
  if (!writable_) {
    co_return base::fail(ErrorKind::Usage, "table " + layout_.table + ": it is not open for writing");
  }
  aws::ItemWrites writes(writes_client_, layout_.table, guarded() ? nullptr : permit_);
  if (guarded()) {
    GuardedWrites work(writes, layout_.table, layout_.key, batch);
    while (work.next_wave()) {
      if (Result<> sent = co_await send_all(work, pacer_, clock_); !sent) co_return base::fail(sent.error());
    }
    co_return work.outcomes();
  }
  UnguardedWrites work(writes, layout_.table, layout_.key, batch, *options_.late_max);
  if (Result<> sent = co_await send_all(work, pacer_, clock_); !sent) co_return base::fail(sent.error());
  co_return work.outcomes();
}

std::optional<std::string> TargetTable::refusal(const item::Write& write) const { return refusal_of(write, guarded()); }

std::unique_ptr<Target> make_target(aws::Client& calls, aws::Client& writes, base::Clock& clock, base::Log& log,
                                    Options options) {
  return std::make_unique<TargetTable>(calls, writes, clock, log, options);
}

}  // namespace moveout::target::dynamodb
