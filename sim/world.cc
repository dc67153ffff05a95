#include "sim/world.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <fstream>

namespace moveout::sim {

namespace {

// Shards are listed every ten seconds; the rest is for listings that take long.
constexpr Micros kDiscoveredAfter = std::chrono::seconds(25);
constexpr Micros kRunMax = std::chrono::hours(24 * 16);

// How long before a claim of *in sync* a change may have been made and still not stand in the target. At the claim
// every shard was read less than lag_ends_sync (5 s) ago, and what that page did not show was written after it, was not
// visible yet, or was kept back by pages that are empty although there are records. The rest is margin for latencies.
Micros claim_margin(const Plan& plan) {
  return plan.stream.empty_max + plan.stream.visible_after_max + Micros(10'000'000);
}

Phase column_of(move::Phase phase) {
  switch (phase) {
    case move::Phase::Capture:
      return Phase::Start;
    case move::Phase::Backfill:
      return Phase::Backfill;
    case move::Phase::Replay:
      return Phase::Replay;
    case move::Phase::Verify:
      return Phase::Verify;
    // Following in sync is replay under comparison: it counts for the column whose work goes on, replay.
    case move::Phase::InSync:
      return Phase::Replay;
    case move::Phase::Finish:
      return Phase::Verify;
  }
  return Phase::Start;
}

bool has_nul(const std::string& json) { return json.find("\\u0000") != std::string::npos; }

ServerOptions server_options(const Plan& plan) { return plan.server; }

}  // namespace

World::World(std::uint64_t seed, WorldOptions options)
    : plan_(draw_plan(seed, options.mutant)),
      trace_(scheduler_, options.print),
      rng_(seed ^ 0x5eed5eed5eedULL),
      faults_(rng_.fork()),
      server_(scheduler_, faults_, rng_.fork(), server_options(plan_)),
      machine_(faults_, rng_.fork()),
      news_(scheduler_.executor()),
      group_(scheduler_.executor()) {
  // SQLite's own random numbers (salts of its log) must come from the seed too.
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(seed % 1'000'000'007) + 1, nullptr);
  for (std::size_t f = 0; f < kFaults; ++f) faults_.set(static_cast<Fault>(f), plan_.one_in[f]);
  memory_.keeps_checkpoints = plan_.target == TargetKind::MemoryWithCheckpoints;
  memory_.refuses_nul = plan_.refuses_nul;
  memory_.reads_while_down = plan_.outage > Micros(0);
  TableSpec spec{"orders", plan_.key, plan_.ttl ? "expires" : "", plan_.stream};
  Table& table = server_.make_table(spec);
  if (plan_.stream_at_start && plan_.seed % 2 == 0) table.enable_stream(plan_.view, scheduler_.now());
  workload_ = std::make_unique<Workload>(scheduler_, faults_, rng_.fork(), server_, "orders", plan_, trace_);
  workload_->preload();
  if (plan_.stream_at_start && plan_.seed % 2 != 0) table.enable_stream(plan_.view, scheduler_.now());
}

World::~World() = default;

Verdict World::run() {
  trace_.note("seed {} target {} key {}{} preload {} view {} stream {} tip_wait {} ms", plan_.seed,
              static_cast<int>(plan_.target), static_cast<char>(plan_.key.partition.type),
              plan_.key.sort ? static_cast<char>(plan_.key.sort->type) : '-', plan_.preload, name_of(plan_.view),
              plan_.stream_at_start, plan_.tip_wait.count());
  group_.start(direct());
  const Scheduler::End end = scheduler_.run_until([&] { return ended_ && group_.size() == 0; }, kRunMax);
  if (end == Scheduler::End::TimeUp) fail("the run did not end within sixteen days");
  if (end == Scheduler::End::Idle) fail("nothing is left to happen, and the run has not ended");
  if (end == Scheduler::End::Livelock) fail("time stands still");
  if (end != Scheduler::End::Done) {
    for (auto& program : programs_) {
      if (!program->over()) fail("still alive: " + program->process().name());
    }
  }
  Verdict verdict;
  verdict.seed = plan_.seed;
  verdict.failure = failure_;
  verdict.finding = finding_;
  verdict.named_stop = person_must_decide_;
  verdict.trace_hash = trace_.hash();
  verdict.trace_lines = trace_.lines();
  verdict.tally = faults_.tally();
  verdict.writes = workload_->writes();
  verdict.lives = static_cast<int>(programs_.size());
  verdict.kills = kills_;
  verdict.claims = claims_;
  verdict.verdicts = verdicts_;
  verdict.accusations = accusations_;
  verdict.eras = eras_;
  verdict.virtual_s = static_cast<double>(scheduler_.now().count()) / 1e6;
  for (std::size_t f = 0; f < kFaults; ++f) {
    bool struck = false;
    for (std::size_t p = 0; p < kPhases; ++p) struck |= verdict.tally.struck[f][p] != 0;
    verdict.fault_kinds += struck ? 1 : 0;
  }
  return verdict;
}

void World::dump(const std::string& folder) {
  for (const std::string& name : machine_.names("")) {
    std::string flat = name;
    std::replace(flat.begin(), flat.end(), '/', '_');
    std::ofstream(folder + "/" + flat, std::ios::binary) << machine_.find(name)->data();
  }
}

std::string_view name_of(Finding finding) {
  switch (finding) {
    case Finding::None:
      return "none";
    case Finding::Difference:
      return "the oracle's comparison";
    case Finding::NamedStop:
      return "a named stop";
    case Finding::Other:
      return "neither a comparison nor a named stop";
  }
  return "?";
}

void World::fail(std::string what, Finding finding) {
  trace_.note("FAILURE {}", what);
  if (failure_.empty()) {
    failure_ = std::move(what);
    finding_ = finding;
  }
  ended_ = true;
  news_.notify_all();
}

void World::on_phase(int process, move::Phase phase) {
  const Phase column = column_of(phase);
  faults_.enter(column);
  if (phase == move::Phase::Backfill) ++eras_;
  Program* program = alive(process);
  if (phase == move::Phase::Backfill) {
    new_backfill_next_ = false;
    // What was lost before this era began is no matter any more.
    if (program != nullptr && program->options().new_backfill && gap_at_ < program->started) gap_at_ = Micros(-1);
  }
  const bool in_sync_only = plan_.blows_in_sync && column == Phase::Replay;
  if (program != nullptr && phase != move::Phase::InSync && phase != move::Phase::Capture && !in_sync_only) {
    arm_blows(*program, column);
  }
  news_.notify_all();
}

void World::on_in_sync(int process, const move::TableResult& result) {
  ++claims_;
  in_sync_seen_ = true;
  in_sync_process_ = process;
  last_claim_ = scheduler_.now();
  if (result.missing + result.extra + result.different != 0) fail("in sync was said with differences");
  compare(false, fmt::format("when p{} said in sync", process), result.hot);
  if (Program* program = alive(process)) after_claim(*program);
  news_.notify_all();
}

void World::on_error_log(int process, const std::string& line) {
  // A bit that flips in the state's log hides the commits behind it: the state is an older one, and verify finds out.
  if ((tampered_ || flips_ != 0) && line.starts_with("verify.difference")) return;
  // Is the target really wrong? Then that is what to report.
  compare(false, fmt::format("when p{} logged {}", process, line));
  // The product's own comparison, and what it is about to stop with.
  const bool differs = line.starts_with("verify.difference");
  fail(fmt::format("p{} logged an error nobody expects: {}", process, line),
       differs ? Finding::NamedStop : Finding::Other);
}

std::optional<std::string> World::issue_key() {
  if (scheduler_.now() < keys_back_at_) return std::nullopt;
  const std::string name = fmt::format("AKSIM{}", key_number_);
  server_.identities()[name];
  return name;
}

std::vector<Blind> World::blind_spots() {
  std::vector<Blind> spots;
  Stream* stream = server_.find("orders")->stream();
  if (stream == nullptr) return spots;
  for (auto& shard : stream->shards()) {
    const Micros lately = scheduler_.now() - kDiscoveredAfter;
    if (shard->described > std::max(lately, shard->opened) || shard->missing_to > lately) {
      spots.push_back({shard->low, shard->high, shard->opened});
    }
  }
  return spots;
}

void World::compare(bool exact, const std::string& when, std::uint64_t hot) {
  Table* table = server_.find("orders");
  if (table == nullptr) return;
  Contents contents;
  if (plan_.target == TargetKind::Sqlite) {
    base::Result<Contents> read = read_sqlite(machine_, scheduler_, plan_.key);
    if (!read) {
      return fail(fmt::format("{}: the target cannot be read: {}", when, read.error().what), Finding::Difference);
    }
    contents = std::move(*read);
  } else {
    contents = read_memory(memory_);
  }
  Expectation expectation;
  expectation.now = scheduler_.now();
  expectation.since = exact ? scheduler_.now() : scheduler_.now() - claim_margin(plan_);
  if (!exact) expectation.blind = blind_spots();
  if (!exact) expectation.hot = hot;
  if (plan_.refuses_nul) expectation.refused = has_nul;
  // What stands in the target may still be the table that was dropped a moment ago.
  if (table->created() > expectation.since && table->created() > Micros(0) && !exact) return;
  if (auto difference = find_difference(*table, contents, expectation)) {
    return fail(fmt::format("{}: {}", when, *difference), Finding::Difference);
  }
  trace_.note("oracle: {} rows compared, {}", contents.size(), when);
}

}  // namespace moveout::sim
