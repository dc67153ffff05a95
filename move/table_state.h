// TableState: what the state remembers of one table of a move, and how it changes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "item/key.h"
#include "state/store.h"

namespace moveout::move {

// Who owns the run now. Taken once a process start; every later commit is on the condition that it still holds.
struct Owner {
  std::string run_id;
  std::int64_t epoch = 0;
  state::Expect still() const;
};

// Takes the next owner epoch of the run, making the run when the state is empty. `urls`: what is moved where, in one
// line; Usage when the state belongs to other ones. RunLocked when another process takes it at the same moment.
base::Task<base::Result<Owner>> take_ownership(state::Store& store, std::string urls, std::string fresh_run_id);

// What the state says is moved where; nothing when no move has begun in it.
base::Task<base::Result<std::optional<std::string>>> urls_of(state::Store& store);

struct SourceIdentity {
  std::string arn;
  std::string id;
  std::int64_t created_us = 0;
  item::KeySchema key;
  friend bool operator==(const SourceIdentity&, const SourceIdentity&) = default;
};

// Verify: from here on every key that a change touches is remembered until it was compared again.
enum class Stage { New, Backfill, Seal, Replay, Verify, Verified, Copied, Finished };

// One era of a table (docs/consistency.md §2).
struct Era {
  std::uint32_t number = 0;
  std::int64_t t0_us = 0;  // opened; the version of the scan
  std::string stream_arn;
  bool level_triggered = false;
  int segments = 0;
  Stage stage = Stage::New;
};

class TableState {
 public:
  TableState(state::Store& store, Owner owner, std::string table);
  base::Task<base::Result<>> load();

  const std::optional<SourceIdentity>& source() const { return source_; }
  const std::optional<Era>& era() const { return era_; }
  const std::string& columns() const { return columns_; }
  bool target_opened() const { return target_opened_; }
  // target::Opened::identity of the first open; empty for targets that keep the run id themselves.
  const std::string& target_identity() const { return target_identity_; }
  const std::map<std::string, std::string>& checkpoints() const { return checkpoints_; }
  const Owner& owner() const { return owner_; }
  std::string prefix() const { return prefix_; }

  base::Task<base::Result<>> set_source(SourceIdentity source);
  base::Task<base::Result<>> set_columns(std::string columns);
  base::Task<base::Result<>> set_target_opened(std::string identity);
  // Opens a new era; the old one stays in the history.
  base::Task<base::Result<>> open_era(Era era);
  base::Task<base::Result<>> set_stage(Stage stage);
  // Checkpoints of targets that do not commit them with the data. An empty value forgets the name.
  base::Task<base::Result<>> set_checkpoints(std::vector<std::pair<std::string, std::string>> checkpoints);

 private:
  base::Task<base::Result<>> commit(std::vector<state::Put> puts);

  state::Store& store_;
  Owner owner_;
  std::string prefix_;
  std::optional<SourceIdentity> source_;
  std::optional<Era> era_;
  std::string columns_;
  bool target_opened_ = false;
  std::string target_identity_;
  std::map<std::string, std::string> checkpoints_;
};

}  // namespace moveout::move
