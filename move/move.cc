#include "move/move.h"

#include "base/task_group.h"

namespace moveout::move {

using base::Result;
using base::Task;

namespace {

Task<Result<>> run_table(TableMove& table, Job job, Events& events) {
  Result<> result = co_await (job == Job::Run ? table.run() : job == Job::Copy ? table.copy() : table.finish());
  if (result) events.table_result(table.result());
  co_return result;
}

}  // namespace

Move::Move(std::string urls, std::string fresh_run_id, std::vector<TableSpec> tables, Options options, Seams seams,
           MakeTarget make_target, base::Rng rng)
    : urls_(std::move(urls)),
      fresh_run_id_(std::move(fresh_run_id)),
      specs_(std::move(tables)),
      options_(options),
      seams_(seams),
      make_target_(std::move(make_target)),
      rng_(rng) {}

Move::~Move() = default;

Task<Result<>> Move::run(Job job) {
  Result<Owner> owner = co_await take_ownership(seams_.store, urls_, fresh_run_id_);
  if (!owner) co_return base::fail(owner.error());
  seams_.log.info("move.owner", {{"run", owner->run_id}, {"epoch", owner->epoch}});
  base::TaskGroup group(co_await base::this_executor);
  for (const TableSpec& spec : specs_) {
    tables_.push_back(std::make_unique<TableMove>(spec, options_, seams_, *owner, make_target_(spec), rng_.fork()));
    tables_.back()->pause(paused_);
  }
  for (const std::unique_ptr<TableMove>& table : tables_) group.start(run_table(*table, job, seams_.events));
  co_return co_await group.wait_or_stop();
}

std::vector<std::pair<std::string, Snapshot>> Move::snapshots() const {
  std::vector<std::pair<std::string, Snapshot>> all;
  for (const std::unique_ptr<TableMove>& table : tables_) all.emplace_back(table->spec().source, table->snapshot());
  return all;
}

std::vector<TableResult> Move::results() const {
  std::vector<TableResult> all;
  for (const std::unique_ptr<TableMove>& table : tables_) all.push_back(table->result());
  return all;
}

void Move::pause(bool on) {
  paused_ = on;
  for (const std::unique_ptr<TableMove>& table : tables_) table->pause(on);
}

}  // namespace moveout::move
