#include "target/memory_target.h"

#include <algorithm>
#include <utility>

#include "item/json.h"

namespace moveout::target {

using base::ErrorKind;

base::Task<base::Result<Opened>> MemoryTarget::open(std::string run_id, std::int64_t owner, Layout layout, Mode,
                                                    bool resuming) {
  MOVEOUT_ASSERT(!run_id.empty());
  MemoryTable& table = *table_;
  const bool marked = !table.run_id.empty();
  if (marked && table.run_id != run_id) co_return base::fail(ErrorKind::Usage, "the table belongs to another run");
  if (marked && table.owner > owner) co_return base::fail(ErrorKind::RunLocked, "another process owns the run");
  if (!marked && resuming) co_return base::fail(ErrorKind::TargetChanged, "no marks of this run");
  if (!marked && !table.rows.empty()) co_return base::fail(ErrorKind::Usage, "rows that are not this run's");
  const bool created = !table.exists;
  if (created) table.columns_json = layout.columns_json;
  table.exists = true;
  table.run_id = run_id_ = run_id;
  table.owner = owner_ = owner;
  co_return Opened{created, table.checkpoints, table.columns_json, table.sealed};
}

base::Task<base::Result<Opened>> MemoryTarget::open_reader(Layout) {
  if (!table_->exists) co_return base::fail(ErrorKind::NotFound, "no such table");
  run_id_.clear();
  co_return Opened{false, table_->checkpoints, table_->columns_json, table_->sealed};
}

base::Task<base::Result<std::optional<std::string>>> MemoryTarget::checkpoint(std::string name) {
  for (const Checkpoint& each : table_->checkpoints) {
    if (each.name == name) co_return each.value;
  }
  co_return std::nullopt;
}

base::Task<base::Result<Outcomes>> MemoryTarget::apply(item::Batch batch, Checkpoints checkpoints) {
  MemoryTable& table = *table_;
  MOVEOUT_ASSERT(commits_checkpoints_ || checkpoints.empty());
  ++table.applies;
  if (run_id_.empty()) co_return base::fail(ErrorKind::Usage, "opened for reading only");
  if (table.run_id != run_id_) co_return base::fail(ErrorKind::TargetChanged, "the marks of this run are gone");
  if (table.owner != owner_) co_return base::fail(ErrorKind::RunLocked, "another process owns the run");
  if (table.faults.empty()) co_return apply_now(batch, checkpoints);
  const MemoryTable::Fault fault = table.faults.front();
  table.faults.pop_front();
  if (fault.applied) {
    base::Result<Outcomes> landed = apply_now(batch, checkpoints);
    if (!landed) co_return landed;
  }
  if (fault.error) co_return base::fail(*fault.error);
  co_return Outcomes::all(fault.outcome, batch.size());
}

base::Result<Outcomes> MemoryTarget::apply_now(const item::Batch& batch, const Checkpoints& checkpoints) {
  MemoryTable& table = *table_;
  Outcomes outcomes;
  std::vector<std::optional<item::Item>> items;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const item::Write write = batch[i];
    std::optional<std::string> reason = table.refuses ? table.refuses(write) : std::nullopt;
    items.emplace_back();
    if (!write.is_delete()) {
      auto item = item::parse_item(write.image);
      if (item) items.back() = std::move(*item);
      if (!item) reason = item.error().what;
    }
    if (reason) outcomes.why.emplace_back(i, std::move(*reason));
  }
  if (!outcomes.why.empty()) {
    outcomes.each.assign(batch.size(), Outcome::Throttled);
    for (const auto& [index, reason] : outcomes.why) outcomes.each[index] = Outcome::Refused;
    return outcomes;
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const item::Write write = batch[i];
    const auto [row, added] = table.rows.try_emplace(std::string(write.key));
    const bool newer = added || row->second.version < write.version;
    if (newer) row->second = {write.version, std::move(items[i])};
    outcomes.each.push_back(newer ? Outcome::Applied : Outcome::Stale);
  }
  for (const Checkpoint& checkpoint : checkpoints) {
    std::erase_if(table.checkpoints, [&](const Checkpoint& old) { return old.name == checkpoint.name; });
    if (!checkpoint.value.empty()) table.checkpoints.push_back(checkpoint);
  }
  std::sort(table.checkpoints.begin(), table.checkpoints.end(),
            [](const Checkpoint& a, const Checkpoint& b) { return a.name < b.name; });
  return outcomes;
}

base::Task<base::Result<std::vector<std::optional<Stored>>>> MemoryTarget::read(std::vector<item::Key> keys) {
  std::vector<std::optional<Stored>> all;
  for (const item::Key& key : keys) {
    const auto row = table_->rows.find(key.encoded());
    all.emplace_back();
    if (row != table_->rows.end() && row->second.item) all.back() = Stored{*row->second.item, row->second.version};
  }
  co_return all;
}

base::Task<base::Result<std::vector<std::optional<item::Version>>>> MemoryTarget::versions(
    std::vector<item::Key> keys) {
  std::vector<std::optional<item::Version>> all;
  for (const item::Key& key : keys) {
    const auto row = table_->rows.find(key.encoded());
    all.push_back(row == table_->rows.end() ? std::nullopt : std::optional(row->second.version));
  }
  co_return all;
}

base::Task<base::Result<StoredPage>> MemoryTarget::scan(std::string cursor, std::size_t limit) {
  StoredPage page;
  for (auto row = table_->rows.upper_bound(cursor); row != table_->rows.end(); ++row) {
    if (!row->second.item) continue;
    if (page.items.size() == limit) {
      page.next = page.items.back().first.encoded();
      break;
    }
    auto key = item::Key::from_encoded(row->first);
    if (!key) co_return base::fail(std::move(key.error()));
    page.items.emplace_back(std::move(*key), Stored{*row->second.item, row->second.version});
  }
  co_return page;
}

base::Task<base::Result<std::optional<std::uint64_t>>> MemoryTarget::live_rows() {
  co_return std::optional<std::uint64_t>(static_cast<std::uint64_t>(std::count_if(
      table_->rows.begin(), table_->rows.end(), [](const auto& row) { return row.second.item.has_value(); })));
}

base::Task<base::Result<>> MemoryTarget::seal() {
  if (table_->owner != owner_) co_return base::fail(ErrorKind::RunLocked, "another process owns the run");
  table_->sealed = true;
  co_return base::Result<>();
}

base::Task<base::Result<>> MemoryTarget::finish() {
  table_->run_id.clear();
  table_->checkpoints.clear();
  table_->sealed = false;
  std::erase_if(table_->rows, [](const auto& row) { return !row.second.item; });
  for (auto& [key, row] : table_->rows) row.version = {};
  co_return base::Result<>();
}

}  // namespace moveout::target
