// MemoryTarget: a guarded target behind a network: the stand-in for remote databases. Its batches succeed in part, its
// answers get lost, its writes land late, and it can be down.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "sim/network.h"
#include "target/target.h"

namespace moveout::sim {

// What the database holds; it outlives every process.
struct MemoryDatabase {
  struct Row {
    item::Version version;
    Text image;  // null: a tombstone
  };
  std::string run_id;
  std::int64_t owner = 0;
  target::Layout layout;
  std::map<std::string, Row> rows;  // by Key::encoded()
  std::map<std::string, std::string> checkpoints;
  bool made = false;
  bool sealed = false;
  bool finished = false;
  // Set by the world.
  bool keeps_checkpoints = false;
  bool refuses_nul = false;  // as PostgreSQL does: no U+0000 in a text
  Micros down_until{0};
  bool reads_while_down = false;  // only writes fail
};

class MemoryTarget : public target::Target {
 public:
  MemoryTarget(MemoryDatabase& database, Scheduler& scheduler, Process& process, Faults& faults, base::Rng rng,
               Trace& trace, NetworkOptions options)
      : database_(database),
        scheduler_(scheduler),
        process_(process),
        faults_(faults),
        rng_(rng),
        trace_(trace),
        options_(options) {}

  Task<base::Result<target::Opened>> open(std::string run_id, std::int64_t owner, target::Layout layout,
                                          target::Mode mode, bool resuming) override;
  Task<base::Result<target::Outcomes>> apply(item::Batch batch, target::Checkpoints checkpoints) override;
  Task<base::Result<target::Opened>> open_reader(target::Layout layout) override;
  Task<base::Result<std::vector<std::optional<target::Stored>>>> read(std::vector<item::Key> keys) override;
  Task<base::Result<std::vector<std::optional<item::Version>>>> versions(std::vector<item::Key> keys) override;
  Task<base::Result<target::StoredPage>> scan(std::string cursor, std::size_t limit) override;
  Task<base::Result<std::optional<std::uint64_t>>> live_rows() override;
  Task<base::Result<>> seal() override;
  Task<base::Result<>> finish() override;
  std::optional<std::string> refusal(const item::Write& write) const override;
  target::Guard guard() const override { return target::Guard::PerWrite; }
  bool commits_checkpoints() const override { return database_.keeps_checkpoints; }

 protected:
  enum class Way { Answered, NoAnswer };
  Micros latency();
  // To the database and back; NoAnswer after a time-out when it is down.
  Task<Way> travel();

  MemoryDatabase& database_;
  Scheduler& scheduler_;
  Process& process_;
  Faults& faults_;
  base::Rng rng_;
  Trace& trace_;
  NetworkOptions options_;

 private:
  target::Outcome apply_one(const item::Write& write);
  base::Result<target::Outcomes> apply_all(const item::Batch& batch, const target::Checkpoints& checkpoints,
                                           bool in_part);
  void land_later(const item::Batch& batch, const target::Checkpoints& checkpoints);

  std::int64_t owner_ = 0;
};

}  // namespace moveout::sim
