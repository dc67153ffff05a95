// What joins the rooms, which never include each other: capture to replay, targets to the state, verify to capture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "capture/stream_capture.h"
#include "move/table_state.h"
#include "replay/replayer.h"
#include "state/poison_store.h"
#include "state/quarantine_file.h"
#include "target/writer.h"
#include "verify/changed_keys.h"
#include "verify/set_aside.h"
#include "verify/verifier.h"

namespace moveout::move {

class OrderedFlow;

// Captured pages go straight into replay. Checkpoint names get the era in front, so that eras never mix.
class ReplaySink final : public capture::Sink {
 public:
  ReplaySink(replay::Replayer& replayer, state::PoisonStore& poison, std::string era_prefix)
      : replayer_(replayer), poison_(poison), era_prefix_(std::move(era_prefix)) {}
  base::Task<base::Result<>> deliver(capture::CapturedPage page) override;

 private:
  replay::Replayer& replayer_;
  state::PoisonStore& poison_;
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

// Items that the target can never hold are set aside: in the state, and in a file for people.
class StateQuarantine final : public target::Quarantine {
 public:
  StateQuarantine(state::PoisonStore& poison, state::QuarantineFile file, std::string table, base::Log& log)
      : poison_(poison), file_(std::move(file)), table_(std::move(table)), log_(log) {}
  void set_schema(item::KeySchema schema) { schema_ = std::move(schema); }
  base::Task<base::Result<>> put(std::vector<target::Poison> items) override;
  // The file shows what the state holds, each key once. Costs nothing while nothing was set aside.
  base::Task<base::Result<>> tidy();
  const std::string& file_name() const { return file_.name(); }

 private:
  state::PoisonStore& poison_;
  state::QuarantineFile file_;
  std::string table_;
  item::KeySchema schema_;
  base::Log& log_;
  bool written_ = false;     // by this process, in whole
  std::uint64_t shown_ = 0;  // poison_.replaced() as the file shows it
};

// What is in quarantine, for verify. `Beside` another process that owns the state: it is read anew each time.
class PoisonKeys final : public verify::SetAside {
 public:
  enum class Of { ThisProcess, Beside };
  PoisonKeys(state::PoisonStore& poison, Of of) : poison_(poison), of_(of) {}
  base::Task<base::Result<>> learn() override;
  bool holds(std::string_view key) const override { return poison_.holds(key); }

 private:
  state::PoisonStore& poison_;
  Of of_;
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

// What is applied has passed an instant when every shard delivered records past it, or was at its tip for it.
class CaptureWatermark final : public verify::Watermark {
 public:
  // flow: where captured changes lie in a journal first.
  CaptureWatermark(capture::StreamCapture& capture, OrderedFlow* flow) : capture_(capture), flow_(flow) {}
  base::Task<bool> passed(base::Steady instant, base::Millis patience) override;
  // Every change made before it stands in the target; the epoch when nothing is known. By the clock's wall time.
  base::Instant applied_until(const base::Clock& clock) const;
  std::uint64_t records_of(const item::Key& key) const override;

 private:
  capture::StreamCapture& capture_;
  OrderedFlow* flow_;
};

}  // namespace moveout::move
