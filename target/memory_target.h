// MemoryTarget: a target in memory, strict: the register rule as written, for tests of what writes to targets.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "target/target.h"

namespace moveout::target {

// What outlives the process: several MemoryTargets on one of these are several owners, one after the other or at once.
struct MemoryTable {
  struct Row {
    item::Version version;
    std::optional<item::Item> item;  // nothing: a tombstone
  };
  bool exists = false;
  std::string run_id;  // empty: no run's
  std::int64_t owner = 0;
  std::string columns_json;
  bool sealed = false;
  Checkpoints checkpoints;
  std::map<std::string, Row> rows;  // by encoded key

  // What the next applies answer instead of their own outcome, first to last.
  struct Fault {
    bool applied = false;              // the writes and checkpoints stand all the same
    std::optional<base::Error> error;  // the whole call fails so; else every outcome is `outcome`
    Outcome outcome = Outcome::Unknown;
  };
  std::deque<Fault> faults;
  std::function<std::optional<std::string>(const item::Write&)> refuses;  // at apply, not beforehand
  std::uint64_t applies = 0;
};

class MemoryTarget final : public Target {
 public:
  explicit MemoryTarget(std::shared_ptr<MemoryTable> table, bool commits_checkpoints = true)
      : table_(std::move(table)), commits_checkpoints_(commits_checkpoints) {}

  base::Task<base::Result<Opened>> open(std::string run_id, std::int64_t owner, Layout layout, Mode mode,
                                        bool resuming) override;
  base::Task<base::Result<Opened>> open_reader(Layout layout) override;
  base::Task<base::Result<std::optional<std::string>>> checkpoint(std::string name) override;
  base::Task<base::Result<Outcomes>> apply(item::Batch batch, Checkpoints checkpoints) override;
  base::Task<base::Result<std::vector<std::optional<Stored>>>> read(std::vector<item::Key> keys) override;
  base::Task<base::Result<std::vector<std::optional<item::Version>>>> versions(std::vector<item::Key> keys) override;
  base::Task<base::Result<StoredPage>> scan(std::string cursor, std::size_t limit) override;
  base::Task<base::Result<std::optional<std::uint64_t>>> live_rows() override;
  base::Task<base::Result<>> seal() override;
  base::Task<base::Result<>> finish() override;
  std::optional<std::string> refusal(const item::Write&) const override { return std::nullopt; }
  Guard guard() const override { return Guard::PerWrite; }
  bool commits_checkpoints() const override { return commits_checkpoints_; }

 private:
  base::Result<Outcomes> apply_now(const item::Batch& batch, const Checkpoints& checkpoints);

  std::shared_ptr<MemoryTable> table_;
  bool commits_checkpoints_;
  std::string run_id_;
  std::int64_t owner_ = 0;
};

}  // namespace moveout::target
