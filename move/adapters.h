// What joins the rooms, which never include each other: capture to replay, targets to the state, verify to capture.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "capture/stream_capture.h"
#include "move/table_state.h"
#include "replay/replayer.h"
#include "target/writer.h"
#include "verify/changed_keys.h"
#include "verify/verifier.h"

namespace moveout::move {

// Captured pages go straight into replay. Checkpoint names get the era in front, so that eras never mix.
class ReplaySink final : public capture::Sink {
 public:
  ReplaySink(replay::Replayer& replayer, std::string era_prefix)
      : replayer_(replayer), era_prefix_(std::move(era_prefix)) {}
  base::Task<base::Result<>> deliver(capture::CapturedPage page) override;

 private:
  replay::Replayer& replayer_;
  std::string era_prefix_;
};

// Checkpoints of a target that does not keep them itself.
class StateCheckpoints final : public target::CheckpointSink {
 public:
  explicit StateCheckpoints(TableState& state) : state_(state) {}
  base::Task<base::Result<>> commit(target::Checkpoints checkpoints) override;

 private:
  TableState& state_;
};

// Items that the target can never hold: rows "table/<T>/quarantine/<key hash>" of the state, counted by key.
class StateQuarantine final : public target::Quarantine {
 public:
  StateQuarantine(state::Store& store, std::string prefix, Owner owner, base::Log& log)
      : store_(store), prefix_(std::move(prefix)), owner_(std::move(owner)), log_(log) {}
  base::Task<base::Result<>> load();
  base::Task<base::Result<>> put(std::vector<target::Poison> items) override;
  std::uint64_t size() const { return versions_.size(); }
  bool holds(const item::Key& key) const { return versions_.contains(key.encoded()); }

 private:
  std::string row(const std::string& key) const;

  state::Store& store_;
  std::string prefix_;
  Owner owner_;
  base::Log& log_;
  std::map<std::string, std::int64_t> versions_;  // by Key::encoded(): Version::packed()
};

// Remembers the keys that changes touch, from the moment verify begins.
class ChangedObserver final : public replay::KeyObserver {
 public:
  explicit ChangedObserver(verify::ChangedKeys& changed) : changed_(changed) {}
  void record(bool on) { recording_ = on; }
  base::Task<base::Result<>> changing(std::vector<item::Key> keys) override;

 private:
  verify::ChangedKeys& changed_;
  bool recording_ = false;
};

// What is applied has passed an instant when every shard was at its tip for it.
class TipWatermark final : public verify::Watermark {
 public:
  TipWatermark(const capture::StreamCapture& capture, base::Clock& clock) : capture_(capture), clock_(clock) {}
  base::Task<bool> passed(base::Steady instant, base::Millis patience) override;

 private:
  const capture::StreamCapture& capture_;
  base::Clock& clock_;
};

}  // namespace moveout::move
