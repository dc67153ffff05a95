#include "move/table_move.h"

#include <algorithm>

#include "backfill/sweep.h"
#include "base/mutant.h"
#include "move/sample.h"
#include "move/table_impl.h"

namespace moveout::move {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

constexpr const char* kWaysOn =
    "to go on: run the same command with --new-backfill (it copies the table again as a new era; nothing stale can "
    "win)";

}  // namespace

void TableMove::Impl::enter(Phase phase) {
  phase_ = phase;
  result_.phase = std::max(result_.phase, phase);
  seams_.events.phase(spec_.source, phase);
}

namespace {

// Why it is another table than the one before; empty: it is the same. Its id tells, where the server has one; its
// creation time only where it has none.
std::string difference_of(const SourceIdentity& then, const SourceIdentity& now) {
  if (then.arn != now.arn) return "has another ARN than when this run began (" + then.arn + ", now " + now.arn + ")";
  if (!then.id.empty() && !now.id.empty()) {
    return then.id == now.id ? "" : "was dropped and made again since this run began (its id is another one)";
  }
  if (then.created_us == now.created_us) return "";
  return "shows another creation time than when this run began, and the server gives tables no id: it was made again, "
         "or "
         "its server restarted and does not keep that time";
}

}  // namespace

// The source is the table this run began with, or the run stops.
Task<Result<>> TableMove::Impl::open_source() {
  if (Result<> loaded = co_await state_.load(); !loaded) co_return loaded;
  if (Result<> loaded = co_await poison_.load(); !loaded) co_return loaded;
  Result<aws::TableDescription> described = co_await seams_.source.describe_table(spec_.source);
  if (!described) co_return fail(described.error());
  table_ = std::move(*described);
  result_.table = spec_.source;
  quarantine_.set_schema(table_.key);
  if (Result<> shown = co_await quarantine_.tidy(); !shown) co_return shown;
  const SourceIdentity now{table_.arn, table_.id, base::micros_of(table_.created), table_.key};
  if (state_.era() && state_.era()->stage == Stage::Finished) {
    co_return fail(ErrorKind::Usage,
                   "table " + spec_.source + ": this move is finished; start another one with a new --state");
  }
  // Without the versions that are gone by now nothing would hold an older change back.
  if (state_.checkpoints().contains(target::kFinishName)) {
    co_return fail(ErrorKind::Usage, "table " + spec_.source +
                                         ": `finish` was begun and takes away what this move went on from; give "
                                         "`finish` again to end it");
  }
  if (state_.source()) {
    const SourceIdentity& then = *state_.source();
    if (then.key != now.key) {
      co_return fail(ErrorKind::SchemaChanged,
                     "table " + spec_.source +
                         ": its key schema is no longer the one this run began with; the target's "
                         "key cannot follow: start a new move with a new --state and target");
    }
    const std::string why = difference_of(then, now);
    if (!why.empty() && !options_.new_backfill) {
      co_return fail(ErrorKind::StreamGap, "table " + spec_.source + " " + why + ": changes may be lost; " + kWaysOn);
    }
    if (then == now) co_return Result<>();
  }
  co_return co_await state_.set_source(now);
}

Task<Result<>> TableMove::Impl::open_target(target::Mode mode) {
  if (state_.columns().empty()) {
    schema::Columns columns = schema::keys_only(table_.key);
    if (spec_.infer_columns && files_ != nullptr) {
      schema::Sampler sampler(table_.key);
      if (Result<> seen = co_await files_->sample(sampler); !seen) co_return seen;
      columns = sampler.columns(schema::Dialect::Sqlite);
    } else if (spec_.infer_columns) {
      Result<schema::Columns> sampled =
          co_await sample_columns(seams_.source, spec_.source, table_.key, rng_.fork(), &sample_rcu_);
      if (!sampled) co_return fail(sampled.error());
      columns = std::move(*sampled);
    }
    if (Result<> kept = co_await state_.set_columns(schema::to_text(columns)); !kept) co_return kept;
  }
  target::Layout layout{spec_.target, table_.key, state_.columns(), table_.shape, state_.target_identity()};
  if (target_->makes_like_source() && !state_.target_opened()) layout.shape = co_await shape_with_tags();
  Result<target::Opened> opened = co_await target_->open(state_.owner().run_id, state_.owner().epoch, std::move(layout),
                                                         mode, state_.target_opened());
  if (!opened) co_return fail(opened.error());
  if (!state_.target_opened()) {
    if (Result<> kept = co_await state_.set_target_opened(opened->identity); !kept) co_return kept;
  }
  checkpoints_.clear();
  if (target_->commits_checkpoints()) {
    for (target::Checkpoint& checkpoint : opened->checkpoints) {
      checkpoints_.emplace(std::move(checkpoint.name), std::move(checkpoint.value));
    }
  } else {
    checkpoints_ = state_.checkpoints();
  }
  co_return Result<>();
}

// Tags need a right of their own, and not every DynamoDB API has them: without them the table is made all the same.
Task<std::shared_ptr<const aws::TableShape>> TableMove::Impl::shape_with_tags() {
  if (!table_.shape || table_.arn.empty()) co_return table_.shape;
  Result<aws::DynamoDb::Tags> tags = co_await seams_.source.tags(table_.arn);
  if (!tags) {
    seams_.log.info("move.without_tags", {{"table", spec_.source}, {"because", tags.error().what}});
    co_return table_.shape;
  }
  auto shape = std::make_shared<aws::TableShape>(*table_.shape);
  shape->tags = std::move(*tags);
  co_return shape;
}

// Every start of capture without the checkpoint of its own lineage opens a new era (docs/consistency.md §2).
Task<Result<>> TableMove::Impl::open_capture() {
  const bool going_on = state_.era() && !options_.new_backfill;
  if (going_on && (table_.stream_arn != state_.era()->stream_arn || !table_.stream_enabled)) {
    co_return fail(ErrorKind::StreamGap,
                   "table " + spec_.source + ": its stream was switched off or replaced since this run began (was " +
                       state_.era()->stream_arn + ", now " + (table_.stream_enabled ? table_.stream_arn : "none") +
                       "): changes may be lost; " + kWaysOn);
  }
  if (!table_.stream_enabled && options_.enable_stream) {
    seams_.events.notice(spec_.source,
                         "table " + spec_.source +
                             " has no stream: one is switched on now (NEW_AND_OLD_IMAGES); nothing else of "
                             "the table is changed");
  }
  Result<capture::OpenedStream> stream = co_await capture::open_stream(
      seams_.source, seams_.streams, seams_.clock, seams_.log, spec_.source, options_.enable_stream);
  if (!stream) co_return fail(stream.error());
  if (spec_.files != nullptr && (!going_on || state_.era()->stage == Stage::Backfill)) {
    if (Result<> opened = co_await open_files(stream->arn); !opened) co_return opened;
  }
  if (going_on) co_return Result<>();
  const bool level_triggered = stream->view_type == "KEYS_ONLY" || stream->view_type == "OLD_IMAGE";
  co_return co_await open_era(stream->arn, level_triggered);
}

Task<Result<>> TableMove::Impl::open_era(std::string stream_arn, bool level_triggered) {
  Era era;
  era.number = state_.era() ? state_.era()->number + 1 : 0;
  // Never below what an earlier era used, whatever the wall clock did.
  era.t0_us = base::micros_of(seams_.clock.now());
  era.stream_arn = std::move(stream_arn);
  era.level_triggered = level_triggered;
  if (files_ != nullptr) era.t0_us = *files_known_.t_us;
  era.segments = files_ != nullptr    ? static_cast<int>(files_->parts())
                 : spec_.segments > 0 ? spec_.segments
                                      : backfill::segments_for(table_.size_bytes, table_.item_count);
  era.stage = Stage::Backfill;
  if (era.number > 255) {
    co_return fail(ErrorKind::Usage, "table " + spec_.source + ": 256 eras are used up; start a new move");
  }
  seams_.log.info("move.era", {{"table", spec_.source}, {"era", era.number}, {"segments", era.segments}});
  if (Result<> kept = co_await changed_.clear(); !kept) co_return kept;
  co_return co_await state_.open_era(std::move(era));
}

void TableMove::Impl::build_backfill() {
  if (spec_.files != nullptr) {
    if (files_ == nullptr) return;
    files_->set(table_.key, backfill_version());
    files_backfill_.emplace(backfill::FileConfig{std::max(1, options_.workers / 4), era_prefix()}, *files_, writer_,
                            seams_.log, checkpoints_of(checkpoints_, era_prefix(), "file/"));
    files_backfill_->pause(paused_);
    return;
  }
  backfill::ScanConfig config;
  config.table = spec_.source;
  config.key = table_.key;
  config.version = backfill_version();
  config.segments = state_.era()->segments;
  config.workers = options_.workers;
  config.max_rcu = spec_.max_rcu;
  config.checkpoint_prefix = era_prefix();
  backfill_.emplace(std::move(config), seams_.source, writer_, seams_.clock, rng_.fork(), seams_.log,
                    checkpoints_of(checkpoints_, era_prefix(), "segment/"));
  backfill_->pause(paused_);
}

Task<Result<>> TableMove::Impl::build_replay() {
  std::map<std::string, std::string> shards = checkpoints_of(checkpoints_, era_prefix(), "shard/");
  replay::Config replay_config{spec_.source, table_.key, options_.ttl_deletes};
  if (target_->guard() == target::Guard::OrderedOnly) {
    shards.merge(checkpoints_of(checkpoints_, era_prefix(), "journal/"));
    OrderedFlow::Parts parts{
        file_name(spec_.source), era_prefix(), std::move(replay_config),      state_, *target_, poison_, quarantine_,
        checkpoint_sink_,        observer_,    options_.journal_segment_bytes};
    flow_ = std::make_unique<OrderedFlow>(std::move(parts), seams_, co_await base::this_executor, rng_.fork());
    if (Result<> opened = co_await flow_->open(shards); !opened) co_return opened;
  } else {
    if (state_.era()->level_triggered) {
      allotter_.emplace(seams_.store, seams_.clock, state_.prefix(), state_.era()->number, state_.owner().still());
    }
    replayer_.emplace(std::move(replay_config), writer_, seams_.source, allotter_ ? &*allotter_ : nullptr, seams_.clock,
                      seams_.log, observer_);
    replay_sink_.emplace(*replayer_, poison_, era_prefix());
  }
  capture::Config config;
  config.table = spec_.source;
  config.stream_arn = state_.era()->stream_arn;
  config.key = table_.key;
  config.era = state_.era()->number;
  config.covered_until = base::instant_of_micros(state_.era()->t0_us);
  config.margin = options_.margin;
  config.level_triggered = state_.era()->level_triggered;
  config.tip_wait = options_.tip_wait;
  config.tip_pages = options_.tip_pages;
  config.short_pages_tell = options_.short_pages_tell;
  config.discover_every = options_.discover_every;
  config.history_parent_wait = options_.history_parent_wait;
  capture::Sink& sink = flow_ ? static_cast<capture::Sink&>(*flow_) : *replay_sink_;
  capture_.emplace(std::move(config), seams_.streams, seams_.clock, rng_.fork(), seams_.log, sink, std::move(shards),
                   &seams_.source);
  watermark_.emplace(*capture_, flow_.get());
  co_return Result<>();
}

void TableMove::Impl::build_verify() {
  verify::Config config;
  config.table = spec_.source;
  config.key = table_.key;
  config.workers = options_.workers;
  config.max_rcu = spec_.max_rcu;
  config.seed = rng_.next();
  config.patience = std::max<base::Millis>(kPassPatience, 3 * options_.tip_wait);
  config.set_aside = &set_aside_;
  config.name = fmt::format("verify-{}-e{}", file_name(spec_.source), state_.era()->number);
  verifier_.emplace(std::move(config), seams_.source, *target_, *watermark_, seams_.disk, seams_.worker, seams_.clock,
                    rng_.fork(), seams_.log);
}

Task<Result<>> TableMove::Impl::run() {
  if (Result<> opened = co_await open_source(); !opened) co_return opened;
  enter(Phase::Capture);
  // An export is asked for once changes are captured, and its items say what the columns are.
  if (spec_.files != nullptr) {
    if (Result<> opened = co_await open_capture(); !opened) co_return opened;
  }
  if (Result<> opened = co_await open_target(target::Mode::Run); !opened) co_return opened;
  if (spec_.files == nullptr) {
    if (Result<> opened = co_await open_capture(); !opened) co_return opened;
  }
  build_backfill();
  if (Result<> built = co_await build_replay(); !built) co_return built;
  build_verify();
  const Stage stage = state_.era()->stage;
  if (stage == Stage::Verify || stage == Stage::Verified) {
    if (Result<> ready = co_await load_changed(); !ready) co_return ready;
  }
  base::TaskGroup group(co_await base::this_executor);
  group.start(capture_->run());
  if (flow_) group.start(flow_->run());
  if (options_.note_applied_every.count() > 0) group.start(note_applied());
  co_return co_await group.run_beside(phases());
}

// For a `verify` beside this run, once the copy is complete. Whoever reads that the row does not change knows that
// nobody writes it: it is written although nothing may have changed but the time.
Task<Result<>> TableMove::Impl::note_applied() {
  Applied now{state_.era()->stream_arn, {}, {}, options_.note_applied_every};
  for (;;) {
    co_await seams_.clock.sleep_for(options_.note_applied_every);
    if (state_.era()->stage == Stage::Backfill || state_.era()->stage == Stage::Seal) continue;
    now.until = std::max(now.until, watermark_->applied_until(seams_.clock));
    now.at = seams_.clock.now();
    if (base::mutant("applied_row_says_now")) now.until = now.at;
    Result<target::Written> kept = co_await writer_.write({}, {{kAppliedRow, now.encode()}});
    if (!kept) co_return fail(kept.error());
  }
}

// The keys that changed since they were compared. Where their file is damaged, everything is compared anew.
Task<Result<>> TableMove::Impl::load_changed() {
  Result<> loaded = co_await changed_.load();
  if (!loaded && loaded.error().kind == ErrorKind::Corrupt) {
    seams_.log.warn("verify.anew", {{"table", spec_.source}, {"because", loaded.error().what}});
    co_return co_await state_.set_stage(Stage::Replay);
  }
  if (base::mutant("reverify_by_the_hour")) {
    if (Result<> forgotten = co_await changed_.clear(); !forgotten) co_return forgotten;
  }
  observer_.record(true);
  co_return loaded;
}

Task<Result<>> TableMove::Impl::phases() {
  if (state_.era()->stage == Stage::Backfill || state_.era()->stage == Stage::Seal) {
    if (Result<> done = co_await back_fill(); !done) co_return done;
  }
  if (flow_) flow_->replay_now();
  enter(Phase::Replay);
  if (state_.era()->stage != Stage::Verified) {
    if (Result<> done = co_await catch_up(); !done) co_return done;
    if (Result<> done = co_await verify_all(); !done) co_return done;
  }
  for (;;) {
    if (Result<> done = co_await reach_sync(); !done) co_return done;
    if (options_.until_in_sync) co_return Result<>();
    if (Result<> done = co_await follow(); !done) co_return done;
  }
}

Task<Result<>> TableMove::Impl::back_fill() {
  enter(Phase::Backfill);
  if (state_.era()->stage == Stage::Backfill) {
    if (flow_) {
      if (Result<> ready = co_await flow_->before_backfill(); !ready) co_return ready;
    }
    if (Result<> done = co_await copy_items(); !done) co_return done;
    if (Result<> kept = co_await state_.set_stage(Stage::Seal); !kept) co_return kept;
  }
  if (flow_) {
    if (Result<> waited = co_await flow_->quiet(); !waited) co_return waited;
  }
  if (state_.era()->number > 0 && !base::mutant("no_sweep")) {
    Result<std::uint64_t> removed = co_await sweep();
    if (!removed) co_return fail(removed.error());
    seams_.log.info("move.swept", {{"table", spec_.source}, {"removed", *removed}});
  }
  if (Result<> sealed = co_await target_->seal(); !sealed) co_return sealed;
  co_return co_await state_.set_stage(Stage::Replay);
}

Task<Result<std::uint64_t>> TableMove::Impl::sweep() {
  if (flow_) return flow_->sweep();
  return backfill::sweep(seams_.source, spec_.source, table_.key, writer_, backfill_version(), seams_.log);
}

Task<Result<>> TableMove::Impl::copy() {
  if (Result<> opened = co_await open_source(); !opened) co_return opened;
  if (Result<> opened = co_await open_target(target::Mode::Copy); !opened) co_return opened;
  if (!state_.era() || options_.new_backfill) {
    if (state_.era()) {
      co_return fail(ErrorKind::Usage,
                     "copy appends into an empty target and cannot begin again; use a new target or `run`");
    }
    if (Result<> opened = co_await open_era("", false); !opened) co_return opened;
  }
  if (!state_.era()->stream_arn.empty()) {
    co_return fail(ErrorKind::Usage,
                   "this state belongs to a `run`; `copy` captures nothing and must not write beside it");
  }
  build_backfill();
  if (state_.era()->stage != Stage::Copied) {
    enter(Phase::Backfill);
    if (Result<> done = co_await backfill_->run(); !done) co_return done;
    if (Result<> sealed = co_await target_->seal(); !sealed) co_return sealed;
    if (Result<> kept = co_await state_.set_stage(Stage::Copied); !kept) co_return kept;
  }
  const backfill::ScanProgress progress = backfill_->progress();
  result_.phase = Phase::Backfill;
  result_.items = progress.items;
  result_.bytes = progress.bytes;
  result_.consumed_rcu = progress.consumed_rcu + sample_rcu_;
  result_.quarantined = poison_.count();
  if (Result<> shown = co_await quarantine_.tidy(); !shown) co_return shown;
  if (result_.quarantined > 0 && !options_.accept_quarantine) co_return fail(quarantine_error());
  if (options_.finish_when_copied) {
    if (Result<> finished = co_await target_->finish(); !finished) co_return finished;
    if (Result<> kept = co_await state_.set_stage(Stage::Finished); !kept) co_return kept;
  }
  co_return Result<>();
}

base::Error TableMove::Impl::quarantine_error() const {
  return {
      ErrorKind::Quarantine,
      fmt::format("table {}: {} items cannot stand in the target and were set aside, with the reason each, in {} of "
                  "the state folder; mend them in the source, or give the same command again with "
                  "--accept-quarantine to go on without them",
                  spec_.source, poison_.count(), quarantine_.file_name())};
}

Task<Result<>> TableMove::Impl::finish() {
  if (Result<> loaded = co_await state_.load(); !loaded) co_return loaded;
  result_.table = spec_.source;
  if (!state_.era() || !state_.source()) {
    co_return fail(ErrorKind::Usage,
                   "table " + spec_.source + ": nothing was begun in this state; there is nothing to finish");
  }
  enter(Phase::Finish);
  if (state_.era()->stage == Stage::Finished) co_return Result<>();
  target::Layout layout{spec_.target, state_.source()->key, state_.columns(), {}, state_.target_identity()};
  Result<target::Opened> opened =
      co_await target_->open(state_.owner().run_id, state_.owner().epoch, std::move(layout), target::Mode::Run, true);
  if (!opened && opened.error().kind != ErrorKind::TargetChanged) co_return fail(opened.error());
  // TargetChanged here: an earlier finish removed the marks and died before it could say so in the state.
  if (opened) {
    const auto known = state_.checkpoints().find(target::kFinishName);
    target_->finish_from(known == state_.checkpoints().end() ? "" : known->second, checkpoint_sink_);
    if (Result<> done = co_await target_->finish(); !done) co_return done;
  }
  co_return co_await state_.set_stage(Stage::Finished);
}

Snapshot TableMove::Impl::snapshot() const {
  Snapshot now;
  now.phase = phase_;
  now.paused = paused_;
  now.total_items = static_cast<std::uint64_t>(table_.item_count);
  now.quarantined = poison_.count();
  now.changed_keys = changed_.size();
  now.consumed_rcu = sample_rcu_ + compare_rcu_;
  if (backfill_) {
    const backfill::ScanProgress progress = backfill_->progress();
    now.items = progress.items;
    now.bytes = progress.bytes;
    now.consumed_rcu += progress.consumed_rcu;
    now.segments = progress.segments;
    now.segments_done = progress.segments_done;
  }
  if (files_backfill_) {
    const backfill::FileProgress progress = files_backfill_->progress();
    now.total_items = files_known_.items;
    now.items = progress.items;
    now.bytes = progress.bytes;
    now.segments = static_cast<int>(progress.parts);
    now.segments_done = static_cast<int>(progress.parts_done);
  }
  if (replayer_) {
    now.changes_applied = replayer_->counters().applied;
    now.changes_stale = replayer_->counters().stale;
  }
  if (flow_) now.changes_applied = flow_->counters().applied;
  if (capture_) {
    const capture::Progress progress = capture_->progress();
    now.lag_ms = std::max(progress.lag, flow_ ? flow_->behind() : base::Millis(0)).count();
    now.shards_open = progress.shards_open;
  }
  if (verifier_) {
    const verify::VerifyProgress progress = verifier_->progress();
    now.consumed_rcu += progress.consumed_rcu;
    if (phase_ == Phase::Verify) now.items = progress.source_items;
  }
  if (phase_ == Phase::InSync) now.items = result_.items;
  return now;
}

TableResult TableMove::Impl::result() const {
  TableResult now = result_;
  now.table = spec_.source;
  now.phase = result_.phase;
  return now;
}

TableMove::TableMove(TableSpec spec, Options options, Seams seams, Owner owner, std::unique_ptr<target::Target> target,
                     base::Rng rng)
    : impl_(std::make_unique<Impl>(std::move(spec), options, seams, std::move(owner), std::move(target), rng)) {}
TableMove::~TableMove() = default;
Task<Result<>> TableMove::run() { return impl_->run(); }
Task<Result<>> TableMove::copy() { return impl_->copy(); }
Task<Result<>> TableMove::finish() { return impl_->finish(); }
Snapshot TableMove::snapshot() const { return impl_->snapshot(); }
TableResult TableMove::result() const { return impl_->result(); }
const TableSpec& TableMove::spec() const { return impl_->spec(); }
void TableMove::pause(bool on) { impl_->pause(on); }

}  // namespace moveout::move
