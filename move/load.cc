#include "move/load.h"

#include <fmt/format.h>

#include "move/adapters.h"
#include "move/names.h"
#include "move/table_state.h"

namespace moveout::move {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

class Load::Impl {
 public:
  Impl(std::string urls, std::string fresh_run_id, LoadSpec spec, LoadSeams seams, backfill::FileSource* files,
       backfill::FilesKnown known, std::unique_ptr<target::Target> target, base::Rng rng)
      : urls_(std::move(urls)),
        fresh_run_id_(std::move(fresh_run_id)),
        spec_(std::move(spec)),
        seams_(seams),
        files_(files),
        known_(std::move(known)),
        target_(std::move(target)),
        rng_(rng) {}

  Task<Result<>> run(LoadJob job);
  const std::string& table() const { return spec_.table; }
  Snapshot snapshot() const;
  TableResult result() const;
  void pause(bool on) {
    paused_ = on;
    if (backfill_) backfill_->pause(on);
  }
  bool begun() const { return table_.has_value(); }

 private:
  // What belongs to the table, once its name is known.
  struct Table {
    Table(const std::string& name, Owner owner, LoadSeams& seams, std::unique_ptr<target::Target> to, base::Rng rng)
        : state(seams.store, std::move(owner), name),
          poison(seams.store, name),
          quarantine(poison,
                     state::QuarantineFile(seams.quarantine, seams.worker, "quarantine-" + file_name(name) + ".jsonl"),
                     name, seams.log),
          sink(state),
          target(std::move(to)),
          writer(*target, quarantine, sink, seams.clock, rng, seams.log) {}
    TableState state;
    state::PoisonStore poison;
    StateQuarantine quarantine;
    StateCheckpoints sink;
    std::unique_ptr<target::Target> target;
    target::Writer writer;
  };

  Task<Result<>> begin(Owner owner);
  Task<Result<>> load();
  Task<Result<item::KeySchema>> key();
  Task<Result<>> open_era();
  Task<Result<>> open_target();
  Task<Result<>> copy();
  Task<Result<>> tell_twins();
  Task<Result<>> finish();

  std::string urls_;
  std::string fresh_run_id_;
  LoadSpec spec_;
  LoadSeams seams_;
  backfill::FileSource* files_;
  backfill::FilesKnown known_;
  std::unique_ptr<target::Target> target_;  // until it is the table's
  base::Rng rng_;
  std::optional<Table> table_;
  std::map<std::string, std::string> checkpoints_;
  std::optional<backfill::FileBackfill> backfill_;
  Phase phase_ = Phase::Backfill;
  bool paused_ = false;
};

Task<Result<>> Load::Impl::run(LoadJob job) {
  Result<Owner> owner = co_await take_ownership(seams_.store, urls_, fresh_run_id_);
  if (!owner) co_return fail(owner.error());
  seams_.log.info("move.owner", {{"run", owner->run_id}, {"epoch", owner->epoch}});
  if (Result<> begun = co_await begin(std::move(*owner)); !begun) co_return begun;
  Result<> done = co_await (job == LoadJob::Load ? load() : finish());
  if (done) seams_.events.table_result(result());
  co_return done;
}

Task<Result<>> Load::Impl::begin(Owner owner) {
  table_.emplace(spec_.table, std::move(owner), seams_, std::move(target_), rng_.fork());
  if (Result<> loaded = co_await table_->state.load(); !loaded) co_return loaded;
  co_return co_await table_->poison.load();
}

Task<Result<>> Load::Impl::load() {
  TableState& state = table_->state;
  if (state.era() && state.era()->stage == Stage::Finished) {
    co_return fail(ErrorKind::Usage,
                   "table " + spec_.table + ": this load is finished; start another one with a new --state");
  }
  Result<item::KeySchema> key = co_await this->key();
  if (!key) co_return fail(key.error());
  table_->quarantine.set_schema(*key);
  if (Result<> shown = co_await table_->quarantine.tidy(); !shown) co_return shown;
  if (!state.source()) {
    if (Result<> kept = co_await state.set_source({"", "", 0, *key}); !kept) co_return kept;
  }
  if (Result<> opened = co_await open_era(); !opened) co_return opened;
  if (Result<> opened = co_await open_target(); !opened) co_return opened;
  if (Result<> copied = co_await copy(); !copied) co_return copied;
  if (Result<> shown = co_await table_->quarantine.tidy(); !shown) co_return shown;
  if (table_->poison.count() > 0 && !spec_.accept_quarantine) {
    co_return fail(
        ErrorKind::Quarantine,
        fmt::format("table {}: {} items cannot stand in the target and were set aside, with the reason each, "
                    "in {} of the state folder; give the same command again with --accept-quarantine to go "
                    "on without them, or mend them in the file and load it into a new target",
                    spec_.table, table_->poison.count(), table_->quarantine.file_name()));
  }
  co_return Result<>();
}

// product.md: an existing target table, what the user says, what the files say.
Task<Result<item::KeySchema>> Load::Impl::key() {
  std::optional<item::KeySchema> key;
  if (table_->state.source()) {
    key = table_->state.source()->key;
  } else {
    Result<std::optional<item::KeySchema>> there = co_await table_->target->key_of_table(spec_.table);
    if (!there) co_return fail(there.error());
    key = std::move(*there);
  }
  if (key && spec_.key && *key != *spec_.key) {
    co_return fail(ErrorKind::Usage, "--key: table " + spec_.table + " of the target has another key");
  }
  if (!key) key = spec_.key ? spec_.key : known_.key;
  if (!key) {
    co_return fail(ErrorKind::Usage,
                   "load: what is the key of table " + spec_.table +
                       "? Nothing tells it: give --key NAME:S (S, N or B; NAME:S,NAME:N with a sort key), or make the "
                       "target table first");
  }
  co_return std::move(*key);
}

Task<Result<>> Load::Impl::open_era() {
  if (table_->state.era()) co_return Result<>();
  Era era;
  era.t0_us = known_.t_us.value_or(base::micros_of(seams_.clock.now()));
  era.segments = static_cast<int>(files_->parts());
  era.stage = Stage::Backfill;
  co_return co_await table_->state.open_era(std::move(era));
}

Task<Result<>> Load::Impl::open_target() {
  TableState& state = table_->state;
  const item::KeySchema key = state.source()->key;
  if (state.era()->segments != static_cast<int>(files_->parts())) {
    co_return fail(ErrorKind::Usage,
                   fmt::format("table {}: the source has {} files now and had {} when this load began", spec_.table,
                               files_->parts(), state.era()->segments));
  }
  files_->set(key, {state.era()->number, item::Band::Backfill, state.era()->t0_us});
  if (state.columns().empty()) {
    schema::Columns columns = schema::keys_only(key);
    if (spec_.infer_columns) {
      schema::Sampler sampler(key);
      if (Result<> sampled = co_await files_->sample(sampler); !sampled) co_return sampled;
      columns = sampler.columns(schema::Dialect::Sqlite);
    }
    if (Result<> kept = co_await state.set_columns(schema::to_text(columns)); !kept) co_return kept;
  }
  if (known_.versioned && table_->target->guard() == target::Guard::OrderedOnly) {
    co_return fail(
        ErrorKind::Usage,
        "load: windows hold several writes of a key, and this target keeps no versions to tell which is newest: "
        "give --set target.mode=m3, or load into SQLite");
  }
  target::Layout layout{spec_.table, key, state.columns(), {}, state.target_identity()};
  // Where a key comes more than once the newest wins, so it is enforced from the first row.
  Result<target::Opened> opened =
      co_await table_->target->open(state.owner().run_id, state.owner().epoch, std::move(layout),
                                    known_.versioned ? target::Mode::Run : target::Mode::Copy, state.target_opened());
  if (!opened) co_return fail(opened.error());
  if (!state.target_opened()) {
    if (Result<> kept = co_await state.set_target_opened(opened->identity); !kept) co_return kept;
  }
  checkpoints_ = state.checkpoints();
  if (table_->target->commits_checkpoints()) {
    checkpoints_.clear();
    for (target::Checkpoint& checkpoint : opened->checkpoints) {
      checkpoints_.emplace(std::move(checkpoint.name), std::move(checkpoint.value));
    }
  }
  co_return Result<>();
}

Task<Result<>> Load::Impl::copy() {
  const std::string era = fmt::format("e{}/", table_->state.era()->number);
  backfill_.emplace(backfill::FileConfig{spec_.workers, era}, *files_, table_->writer, seams_.log,
                    checkpoints_of(checkpoints_, era, "file/"));
  backfill_->pause(paused_);
  // Complete before: what is there now may be another file under the same name.
  if (table_->state.era()->stage == Stage::Copied) co_return co_await backfill_->check_ends();
  seams_.events.phase(spec_.table, Phase::Backfill);
  if (Result<> done = co_await backfill_->run(); !done) co_return done;
  if (Result<> sealed = co_await table_->target->seal(); !sealed) co_return sealed;
  if (Result<> kept = co_await table_->state.set_stage(Stage::Copied); !kept) co_return kept;
  co_return co_await tell_twins();
}

// Of two items of one key one stands: nobody should have to find that out.
Task<Result<>> Load::Impl::tell_twins() {
  if (known_.versioned) co_return Result<>();
  Result<std::optional<std::uint64_t>> rows = co_await table_->target->live_rows();
  if (!rows) co_return fail(rows.error());
  const std::uint64_t items = backfill_->progress().items;
  if (*rows && **rows + table_->poison.count() < items) {
    seams_.events.notice(spec_.table,
                         fmt::format("table {}: {} items had a key that an item before them had; one item a "
                                     "key stands, the first",
                                     spec_.table, items - **rows - table_->poison.count()));
  }
  co_return Result<>();
}

Task<Result<>> Load::Impl::finish() {
  TableState& state = table_->state;
  if (!state.era() || !state.source()) {
    co_return fail(ErrorKind::Usage,
                   "table " + spec_.table + ": nothing was begun in this state; there is nothing to finish");
  }
  phase_ = Phase::Finish;
  seams_.events.phase(spec_.table, Phase::Finish);
  if (state.era()->stage == Stage::Finished) co_return Result<>();
  target::Layout layout{spec_.table, state.source()->key, state.columns(), {}, state.target_identity()};
  Result<target::Opened> opened = co_await table_->target->open(state.owner().run_id, state.owner().epoch,
                                                                std::move(layout), target::Mode::Copy, true);
  // TargetChanged here: an earlier finish removed the marks and died before it could say so in the state.
  if (!opened && opened.error().kind != ErrorKind::TargetChanged) co_return fail(opened.error());
  if (opened) {
    if (Result<> done = co_await table_->target->finish(); !done) co_return done;
  }
  co_return co_await state.set_stage(Stage::Finished);
}

Snapshot Load::Impl::snapshot() const {
  Snapshot now;
  now.phase = phase_;
  now.paused = paused_;
  now.total_items = known_.items;
  if (table_) now.quarantined = table_->poison.count();
  if (backfill_) {
    const backfill::FileProgress progress = backfill_->progress();
    now.items = progress.items;
    now.bytes = progress.bytes;
    now.segments = static_cast<int>(progress.parts);
    now.segments_done = static_cast<int>(progress.parts_done);
  }
  return now;
}

TableResult Load::Impl::result() const {
  TableResult now;
  now.table = spec_.table;
  now.phase = phase_;
  if (backfill_) {
    now.items = backfill_->progress().items;
    now.bytes = backfill_->progress().bytes;
  }
  if (table_) now.quarantined = table_->poison.count();
  return now;
}

Load::Load(std::string urls, std::string fresh_run_id, LoadSpec spec, LoadSeams seams, backfill::FileSource* files,
           backfill::FilesKnown known, std::unique_ptr<target::Target> target, base::Rng rng)
    : impl_(std::make_unique<Impl>(std::move(urls), std::move(fresh_run_id), std::move(spec), seams, files,
                                   std::move(known), std::move(target), rng)) {}
Load::~Load() = default;
Task<Result<>> Load::run(LoadJob job) { return impl_->run(job); }
std::vector<std::pair<std::string, Snapshot>> Load::snapshots() const {
  if (!impl_->begun()) return {};
  return {{impl_->table(), impl_->snapshot()}};
}
std::vector<TableResult> Load::results() const {
  if (!impl_->begun()) return {};
  return {impl_->result()};
}
void Load::pause(bool on) { impl_->pause(on); }

}  // namespace moveout::move
