#include "move/verification.h"

#include <fmt/format.h>

#include <algorithm>

#include "item/hash.h"
#include "move/adapters.h"

namespace moveout::move {

using base::fail;
using base::Result;
using base::Task;

namespace {

// A busy shard's records tell that an instant has passed by times floored to a minute at worst (DynamoDB Local), a
// quiet one's by a tip of 30 s (AWS); to this come a listing of shards and the run's next note.
constexpr base::Millis kPatience{90000};
constexpr base::Millis kLookAgainAfter{30000};

}  // namespace

// What the run has set aside of one table. A table that was dropped and made again is another one.
class Verification::Quarantined {
 public:
  Quarantined(state::Store& store, const std::string& table) : poison_(store, table), state_(store, {}, table) {}
  // Null where nothing is known.
  Task<Result<verify::SetAside*>> of(const aws::TableDescription& table) {
    if (Result<> loaded = co_await state_.load(); !loaded) co_return fail(loaded.error());
    const std::optional<SourceIdentity>& source = state_.source();
    if (!source || source->arn != table.arn || source->id != table.id) co_return nullptr;
    co_return &keys_;
  }

 private:
  state::PoisonStore poison_;
  TableState state_;
  PoisonKeys keys_{poison_, PoisonKeys::Of::Beside};
};

Verification::Verification(VerifySpec spec, VerifySeams seams, std::unique_ptr<target::Target> target, base::Rng rng)
    : spec_(std::move(spec)), seams_(seams), target_(std::move(target)), rng_(rng) {}

Verification::~Verification() = default;

Task<Result<>> Verification::open() {
  const TableSpec& table = spec_.table;
  Result<aws::TableDescription> described = co_await seams_.source.describe_table(table.source);
  if (!described) co_return fail(described.error());
  described_ = std::move(*described);
  Result<target::Opened> opened = co_await target_->open_reader(target::Layout{table.target, described_.key, ""});
  if (!opened) co_return fail(opened.error());
  verify::Config config;
  config.table = table.source;
  config.key = described_.key;
  config.max_rcu = table.max_rcu;
  config.seed = rng_.next();
  config.patience = kPatience;
  config.checkpoint_every = spec_.checkpoint_every;
  config.sides = fmt::format("{} {} {} {} -> {} {} {}", spec_.source_place, described_.arn, described_.id,
                             base::micros_of(described_.created), spec_.target_place, table.target, opened->identity);
  // A table of SQLite may have any name; this one is of files.
  config.name = fmt::format("command-{:016x}", item::hash_of(table.target, 0).high);
  watermark_.emplace(*target_, seams_.clock, seams_.log, table.source,
                     described_.stream_enabled ? described_.stream_arn : "");
  co_await watermark_->look();
  if (watermark_->knows()) seams_.log.info("verify.beside_a_run", {{"table", table.source}});
  if (seams_.run_state != nullptr) {
    quarantined_ = std::make_unique<Quarantined>(*seams_.run_state, table.source);
    Result<verify::SetAside*> known = co_await quarantined_->of(described_);
    if (!known) co_return fail(known.error());
    config.set_aside = *known;
  }
  verifier_.emplace(std::move(config), seams_.source, *target_, *watermark_, seams_.disk, seams_.worker, seams_.clock,
                    rng_.fork(), seams_.log);
  co_return Result<>();
}

Task<Result<verify::Report>> Verification::run() {
  Result<verify::Report> found = co_await verifier_->run();
  if (!found) co_return found;
  compared_ = true;
  if (Result<> done = co_await outlast(*found); !done) co_return fail(done.error());
  co_return found;
}

// A run believes that everything is applied although a child shard, of which DescribeStream did not tell yet, holds
// changes. What they explain goes away once it does.
Task<Result<>> Verification::outlast(verify::Report& report) {
  const base::Steady until = seams_.clock.steady() + spec_.difference_wait;
  while (told_by() == "run" && !report.clean() && seams_.clock.steady() < until) {
    // Too many to be named are too many to be explained by that.
    if (report.missing + report.extra + report.different != report.first.size()) break;
    co_await seams_.clock.sleep_for(kLookAgainAfter);
    std::vector<item::Key> keys;
    for (const verify::Difference& difference : report.first) keys.push_back(difference.key);
    Result<verify::Report> again = co_await verifier_->compare(std::move(keys));
    if (!again) co_return fail(again.error());
    report.missing = again->missing;
    report.extra = again->extra;
    report.different = again->different;
    report.first = std::move(again->first);
    report.matched += again->matched;
    report.hot += again->hot;
    report.expired += again->expired;
    report.quarantined += again->quarantined;
    report.consumed_rcu += again->consumed_rcu;
    std::ranges::move(again->hot_keys, std::back_inserter(report.hot_keys));
  }
  co_return Result<>();
}

verify::VerifyProgress Verification::progress() const {
  return verifier_ ? verifier_->progress() : verify::VerifyProgress();
}

verify::Report Verification::so_far() const { return verifier_ ? verifier_->so_far() : verify::Report(); }

Task<Result<>> Verification::keep() {
  if (!verifier_ || compared_) co_return Result<>();
  co_return co_await verifier_->keep();
}

bool too_hot(const verify::Report& report) { return report.hot > std::max<std::uint64_t>(10, report.matched / 1000); }

}  // namespace moveout::move
