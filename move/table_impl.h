// TableMove's inside: one table's parts and the phases over them. table_move.cc opens and copies, table_sync.cc gets in
// sync.
#pragma once

#include <fmt/format.h>

#include "backfill/file_backfill.h"
#include "backfill/scan_backfill.h"
#include "move/adapters.h"
#include "move/names.h"
#include "move/ordered_flow.h"
#include "move/positions.h"
#include "move/table_move.h"

namespace moveout::move {

// A busy shard is past an instant by its first record from after it: creation times are floored to a second (DynamoDB
// Local: a minute) and clocks may differ.
inline constexpr base::Millis kPassPatience{75000};

class TableMove::Impl {
 public:
  Impl(TableSpec spec, Options options, Seams seams, Owner owner, std::unique_ptr<target::Target> target, base::Rng rng)
      : spec_(std::move(spec)),
        options_(options),
        seams_(seams),
        rng_(rng),
        target_(std::move(target)),
        state_(seams.store, owner, spec_.source),
        poison_(seams.store, spec_.source),
        quarantine_(
            poison_,
            state::QuarantineFile(seams.quarantine, seams.worker, "quarantine-" + file_name(spec_.source) + ".jsonl"),
            spec_.source, seams.log),
        checkpoint_sink_(state_),
        writer_(*target_, quarantine_, checkpoint_sink_, seams.clock, rng_.fork(), seams.log),
        changed_(seams.disk, seams.worker, "changed-" + file_name(spec_.source)),
        observer_(changed_) {}

  base::Task<base::Result<>> run();
  base::Task<base::Result<>> copy();
  base::Task<base::Result<>> finish();
  Snapshot snapshot() const;
  TableResult result() const;
  const TableSpec& spec() const { return spec_; }
  void pause(bool on) {
    paused_ = on;
    if (backfill_) backfill_->pause(on);
    if (files_backfill_) files_backfill_->pause(on);
  }

 private:
  void enter(Phase phase);

  base::Task<base::Result<>> open_source();
  base::Task<base::Result<>> open_target(target::Mode mode);
  base::Task<std::shared_ptr<const aws::TableShape>> shape_with_tags();
  base::Task<base::Result<>> open_capture();
  base::Task<base::Result<>> open_era(std::string stream_arn, bool level_triggered);
  // table_files.cc: the back-fill from files.
  base::Task<base::Result<>> open_files(std::string stream_arn);
  base::Result<> check_files(base::Instant captured_from) const;
  void build_backfill();
  base::Task<base::Result<>> copy_items();
  base::Task<base::Result<>> build_replay();
  void build_verify();

  base::Task<base::Result<>> note_applied();
  base::Task<base::Result<>> load_changed();
  base::Task<base::Result<>> phases();
  base::Task<base::Result<>> back_fill();
  base::Task<base::Result<std::uint64_t>> sweep();
  base::Task<base::Result<>> catch_up();
  base::Task<base::Result<>> verify_all();
  base::Task<base::Result<>> reach_sync();
  base::Task<base::Result<>> compare_changed();
  base::Task<base::Result<>> glance_at_changed();
  base::Result<> judge(const std::vector<verify::Difference>& differences);
  base::Task<base::Result<>> follow();
  base::Task<base::Result<>> watch();
  base::Task<base::Result<>> keep_comparing();
  void stop_following();
  base::Task<base::Result<>> claim();
  base::Task<base::Result<>> look_at_quarantine();
  base::Error quarantine_error() const;

  // What is applied, where captured changes lie in a journal first.
  base::Task<> wait_for_replay(base::Steady instant);
  bool replayed_since(base::Steady instant) const;
  base::Millis behind() const;

  item::Version backfill_version() const { return {state_.era()->number, item::Band::Backfill, state_.era()->t0_us}; }
  std::string era_prefix() const { return fmt::format("e{}/", state_.era()->number); }

  TableSpec spec_;
  Options options_;
  Seams seams_;
  base::Rng rng_;
  std::unique_ptr<target::Target> target_;
  TableState state_;
  state::PoisonStore poison_;
  StateQuarantine quarantine_;
  PoisonKeys set_aside_{poison_, PoisonKeys::Of::ThisProcess};
  StateCheckpoints checkpoint_sink_;
  target::Writer writer_;
  verify::ChangedKeys changed_;
  ChangedObserver observer_;

  aws::TableDescription table_;
  std::map<std::string, std::string> checkpoints_;
  std::optional<backfill::ScanBackfill> backfill_;
  backfill::FileSource* files_ = nullptr;  // begun; null: none, or no longer needed
  backfill::FilesKnown files_known_;
  std::optional<backfill::FileBackfill> files_backfill_;
  std::optional<state::VersionAllotter> allotter_;
  std::optional<replay::Replayer> replayer_;
  std::optional<ReplaySink> replay_sink_;
  std::unique_ptr<OrderedFlow> flow_;  // for a target without a guard, in the replayer's place
  std::optional<capture::StreamCapture> capture_;
  std::optional<CaptureWatermark> watermark_;
  std::optional<verify::Verifier> verifier_;

  Phase phase_ = Phase::Capture;
  bool paused_ = false;
  double sample_rcu_ = 0;
  double compare_rcu_ = 0;
  std::map<item::Key, base::Steady> off_;  // keys that differed when last compared, and since when
  bool following_ = false;                 // in sync, and nothing has ended that yet
  bool comparing_ = false;                 // keep_comparing() has not ended
  TableResult result_;
};

}  // namespace moveout::move
