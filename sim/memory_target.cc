#include "sim/memory_target.h"

#include "base/mutant.h"
#include "item/json.h"

namespace moveout::sim {

using base::ErrorKind;
using base::fail;
using base::Result;
using target::Outcome;
using target::Outcomes;

namespace {
constexpr Micros kTimeout = std::chrono::seconds(10);
auto unavailable() { return fail(ErrorKind::Unavailable, "the target did not answer"); }
}  // namespace

Micros MemoryTarget::latency() {
  const auto span = static_cast<std::uint64_t>((options_.latency_max - options_.latency_min).count());
  return options_.latency_min + Micros(rng_.below(span + 1));
}

Task<MemoryTarget::Way> MemoryTarget::travel() {
  co_await process_.gate();
  const bool down = !database_.reads_while_down && scheduler_.now() < database_.down_until;
  if (down) faults_.count(Fault::TargetDown);
  co_await scheduler_.sleep_for(down ? kTimeout : latency());
  co_await process_.gate();
  co_return down ? Way::NoAnswer : Way::Answered;
}

Task<Result<target::Opened>> MemoryTarget::open(std::string run_id, std::int64_t owner, target::Layout layout,
                                                target::Mode, bool resuming) {
  if (co_await travel() == Way::NoAnswer) co_return unavailable();
  MemoryDatabase& db = database_;
  if (resuming && (db.run_id != run_id || db.finished)) {
    co_return fail(ErrorKind::TargetChanged, "the run's marks are not in the target");
  }
  if (!resuming && db.made && db.run_id != run_id) co_return fail(ErrorKind::Usage, "the target is not empty");
  if (owner < db.owner) co_return fail(ErrorKind::RunLocked, "a later owner has the target");
  target::Opened opened;
  opened.created = !db.made;
  if (!db.made) db.layout = layout;
  db.made = true;
  db.run_id = std::move(run_id);
  db.owner = owner_ = owner;
  for (auto& [name, value] : db.checkpoints) opened.checkpoints.push_back({name, value});
  opened.columns_json = db.layout.columns_json;
  opened.sealed = db.sealed;
  co_return opened;
}

Task<Result<target::Opened>> MemoryTarget::open_reader(target::Layout) {
  if (co_await travel() == Way::NoAnswer) co_return unavailable();
  if (!database_.made) co_return fail(ErrorKind::NotFound, "no such table");
  co_return target::Opened{false, {}, database_.layout.columns_json, database_.sealed};
}

Outcome MemoryTarget::apply_one(const item::Write& write) {
  auto row = database_.rows.find(std::string(write.key));
  if (row != database_.rows.end() && row->second.version >= write.version) return Outcome::Stale;
  Text image = write.is_delete() ? nullptr : std::make_shared<const std::string>(write.image);
  database_.rows[std::string(write.key)] = {write.version, std::move(image)};
  return Outcome::Applied;
}

Result<Outcomes> MemoryTarget::apply_all(const item::Batch& batch, const target::Checkpoints& checkpoints,
                                         bool in_part) {
  // Where data and checkpoints are one transaction, it also holds the owner's fence; elsewhere versions alone decide.
  if (database_.keeps_checkpoints && owner_ != database_.owner) {
    return fail(ErrorKind::RunLocked, "a later owner has the target");
  }
  Outcomes outcomes;
  item::Batch late;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const item::Write write = batch[i];
    if (in_part && rng_.chance(3)) {
      outcomes.each.push_back(rng_.chance(2) ? Outcome::Throttled : Outcome::Unknown);
      if (outcomes.each.back() == Outcome::Unknown && rng_.chance(2))
        late.add_copy(write.key, write.version, write.image);
      continue;
    }
    if (auto reason = refusal(write)) {
      outcomes.each.push_back(Outcome::Refused);
      outcomes.why.emplace_back(i, *reason);
      continue;
    }
    outcomes.each.push_back(apply_one(write));
  }
  if (!late.empty()) land_later(late, {});
  for (const target::Checkpoint& checkpoint : checkpoints) {
    if (checkpoint.value.empty()) {
      database_.checkpoints.erase(checkpoint.name);
    } else {
      database_.checkpoints[checkpoint.name] = checkpoint.value;
    }
  }
  return outcomes;
}

void MemoryTarget::land_later(const item::Batch& batch, const target::Checkpoints& checkpoints) {
  const Micros wait(rng_.below(static_cast<std::uint64_t>(options_.late_max.count())));
  faults_.count(Fault::TargetLate);
  // This object may be gone by then: the request is a process's, its landing the database's.
  MemoryTarget then(database_, scheduler_, process_, faults_, rng_.fork(), trace_, options_);
  then.owner_ = owner_;
  scheduler_.call_after(wait, [late = batch, checkpoints, then]() mutable {
    const Result<Outcomes> outcomes = then.apply_all(late, checkpoints, false);
    then.trace_.note("target: {} writes of {} landed late, {} applied", late.size(), then.process_.name(),
                     outcomes ? outcomes->count(Outcome::Applied) : 0);
  });
}

Task<Result<Outcomes>> MemoryTarget::apply(item::Batch batch, target::Checkpoints checkpoints) {
  co_await process_.gate();
  MOVEOUT_ASSERT(database_.keeps_checkpoints || checkpoints.empty());
  if (scheduler_.now() < database_.down_until || faults_.strikes(Fault::LateRequest)) {
    const bool down = scheduler_.now() < database_.down_until;
    if (down) faults_.count(Fault::TargetDown);
    if (!down) land_later(batch, checkpoints);
    co_await scheduler_.sleep_for(kTimeout);
    co_await process_.gate();
    co_return unavailable();
  }
  const bool in_part = checkpoints.empty() && faults_.strikes(Fault::PartialBatch);
  auto answer = std::make_shared<std::optional<Result<Outcomes>>>();
  Micros there = latency();
  if (faults_.strikes(Fault::SlowAnswer)) there += Micros(rng_.below(4'000'000));
  MemoryTarget then(database_, scheduler_, process_, faults_, rng_.fork(), trace_, options_);
  then.owner_ = owner_;
  scheduler_.call_after(there, [answer, batch, checkpoints, in_part, then]() mutable {
    *answer = then.apply_all(batch, checkpoints, in_part);
  });
  if (faults_.strikes(Fault::Duplicate)) land_later(batch, checkpoints);
  const bool unheard = faults_.strikes(Fault::LostAnswer);
  co_await scheduler_.sleep_for(unheard ? kTimeout : there + latency());
  co_await process_.gate();
  if (unheard) co_return unavailable();
  trace_.note("{} target.apply {} writes {} checkpoints -> {}", process_.name(), batch.size(), checkpoints.size(),
              **answer ? (**answer)->count(Outcome::Applied) : 0);
  co_return std::move(**answer);
}

Task<Result<std::vector<std::optional<target::Stored>>>> MemoryTarget::read(std::vector<item::Key> keys) {
  if (co_await travel() == Way::NoAnswer) co_return unavailable();
  std::vector<std::optional<target::Stored>> found;
  for (const item::Key& key : keys) {
    auto row = database_.rows.find(key.encoded());
    if (row == database_.rows.end() || !row->second.image) {
      found.emplace_back();
      continue;
    }
    auto item = item::parse_item(*row->second.image);
    if (!item) co_return fail(item.error());
    found.push_back(target::Stored{std::move(*item), row->second.version});
  }
  co_return found;
}

Task<Result<std::vector<std::optional<item::Version>>>> MemoryTarget::versions(std::vector<item::Key> keys) {
  if (co_await travel() == Way::NoAnswer) co_return unavailable();
  std::vector<std::optional<item::Version>> found;
  for (const item::Key& key : keys) {
    auto row = database_.rows.find(key.encoded());
    found.push_back(row == database_.rows.end() ? std::optional<item::Version>() : row->second.version);
  }
  co_return found;
}

Task<Result<target::StoredPage>> MemoryTarget::scan(std::string cursor, std::size_t limit) {
  if (co_await travel() == Way::NoAnswer) co_return unavailable();
  target::StoredPage page;
  for (auto row = database_.rows.upper_bound(cursor); row != database_.rows.end(); ++row) {
    if (page.items.size() == limit) {
      page.next = item::Key(page.items.back().first).encoded();
      break;
    }
    if (!row->second.image) continue;
    auto item = item::parse_item(*row->second.image);
    auto key = item::Key::from_encoded(row->first);
    if (!item) co_return fail(item.error());
    if (!key) co_return fail(key.error());
    page.items.emplace_back(std::move(*key), target::Stored{std::move(*item), row->second.version});
  }
  co_return page;
}

Task<Result<std::optional<std::uint64_t>>> MemoryTarget::live_rows() {
  if (co_await travel() == Way::NoAnswer) co_return unavailable();
  std::uint64_t live = 0;
  for (auto& [key, row] : database_.rows) live += row.image ? 1 : 0;
  co_return live;
}

Task<Result<>> MemoryTarget::seal() {
  if (co_await travel() == Way::NoAnswer) co_return unavailable();
  database_.sealed = true;
  co_return Result<>();
}

Task<Result<>> MemoryTarget::finish() {
  if (co_await travel() == Way::NoAnswer) co_return unavailable();
  database_.finished = true;
  std::erase_if(database_.rows, [](auto& entry) { return !entry.second.image; });
  co_return Result<>();
}

std::optional<std::string> MemoryTarget::refusal(const item::Write& write) const {
  if (!database_.refuses_nul || write.image.find("\\u0000") == std::string_view::npos) return std::nullopt;
  return "U+0000 in a text";
}

}  // namespace moveout::sim
