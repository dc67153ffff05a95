// World: `moveout verify`, again and again: beside a move, killed and started again, and when nobody moves anything.
#include <fmt/format.h>

#include <algorithm>

#include "move/verification.h"
#include "sim/world.h"

namespace moveout::sim {

using base::ErrorKind;
using base::Result;

namespace {
constexpr int kLivesMax = 12;  // of one verification
// When what was called different is looked at again: it may have been on its way.
constexpr std::int64_t kLookAgain_s[] = {2, 15, 60, 300};
}  // namespace

Micros World::wall_offset() const {
  return plan_.verifications == 0 || current_ == nullptr ? plan_.wall_offset : current_->clock().wall_offset();
}

// One machine has one clock.
void World::step_clocks(Program& program, Micros by) {
  program.clock().step(by);
  if (plan_.verifications == 0) return;
  for (auto* all : {&programs_, &verifications_}) {
    for (auto& other : *all) {
      if (other.get() != &program) other->clock().step(by);
    }
  }
}

bool World::target_there() {
  return plan_.target == TargetKind::Sqlite ? machine_.find("target.db") != nullptr : memory_.made;
}

Result<Standings> World::standings() {
  Standings standings;
  if (plan_.target != TargetKind::Sqlite) {
    for (auto& [key, json] : read_memory(memory_)) standings[key].json = json;
    for (auto& [key, row] : memory_.rows) standings[key].version = row.version.packed();
    return standings;
  }
  std::map<std::string, std::int64_t> versions;
  Result<Contents> contents = read_sqlite(machine_, scheduler_, plan_.key, &versions);
  if (!contents) return base::fail(contents.error());
  for (auto& [key, json] : *contents) standings[key].json = std::move(json);
  for (auto& [key, version] : versions) standings[key].version = version;
  return standings;
}

Program& World::start_verification() {
  ProgramOptions options;
  options.number = static_cast<int>(verifications_.size()) + 1;
  options.verify = true;
  options.target_place = fmt::format("target {}", targets_);
  options.wall_offset = wall_offset();
  Outside outside{scheduler_, faults_, trace_, plan_, server_, machine_, memory_, *this};
  verifications_.push_back(std::make_unique<Program>(outside, options, rng_.fork()));
  Program& program = *verifications_.back();
  program.started = scheduler_.now();
  trace_.note("v{} starts", options.number);
  return program;
}

void World::kill_verification() {
  if (!verifications_.empty() && !verifications_.back()->over()) verifications_.back()->process().kill();
}

// Ends early when no verification is wanted any more.
Task<> World::rest_of(Micros rest) {
  const Micros until = scheduler_.now() + rest;
  scheduler_.call_at(until, [this] { news_.notify_all(); });
  while (scheduler_.now() < until && !verify_no_more_ && !ended_) co_await news_.wait();
}

Task<Result<>> World::verify_beside() {
  verifying_ = true;
  // Often at first, so that each phase of a move sees some.
  for (int i = 0; i < plan_.verifications && !verify_no_more_ && !ended_; ++i) {
    co_await rest_of(Micros(rng_.below(std::uint64_t{1'000'000} << i)));
    if (!verify_no_more_ && !ended_) co_await verify_once();
  }
  verifying_ = false;
  news_.notify_all();
  co_return Result<>();
}

Task<> World::end_verification() {
  verify_no_more_ = true;
  if (!verifications_.empty() && !verifications_.back()->over()) verifications_.back()->stop();
  news_.notify_all();
  while (verifying_) co_await news_.wait();
  verify_no_more_ = false;
}

// One process. True: the verification is at its end, with a verdict or without one.
Task<bool> World::verify_life(Pass& pass) {
  Program& program = start_verification();
  if (rng_.chance(2) && !at_rest()) program.process().kill_at(1 + rng_.below(std::uint64_t{8} << rng_.below(7)));
  co_await program.live();
  const bool alive = std::ranges::any_of(programs_, [](auto& each) { return !each->over(); });
  pass.run_lived = pass.run_lived || alive || lives_changed_ >= pass.begin;
  if (program.process().dead()) {
    faults_.count(Fault::VerifyKill);
    co_return false;
  }
  if (const Result<>& outcome = *program.outcome(); !outcome) {
    trace_.note("v{} ends: {} {}", program.options().number, base::name_of(outcome.error().kind), outcome.error().what);
    if (verification_may_end(outcome.error(), pass)) co_return false;
    fail(fmt::format("v{} ended with {}: {}", program.options().number, base::name_of(outcome.error().kind),
                     outcome.error().what),
         Finding::NamedStop);
    co_return true;
  }
  judge_verdict(std::move(pass), program);
  co_return true;
}

// The same command until there is a verdict. What one that nobody started again has left is gone on with.
Task<> World::verify_once() {
  if (!target_there()) co_return;
  if (!pass_) {
    Result<Standings> before = standings();
    if (!before) co_return;
    pass_ = Pass{scheduler_.now(), {}, std::move(*before), {}, {}, {}, false};
  }
  for (int life = 0; life < kLivesMax && !verify_no_more_ && !ended_ && !schema_changed_; ++life) {
    if (life > 0) co_await rest_of(Micros(rng_.below(rng_.chance(4) ? 60'000'000 : 2'000'000)));
    if (verify_no_more_ || ended_) co_return;
    if (co_await verify_life(*pass_)) {
      pass_.reset();
      co_return;
    }
  }
}

bool World::verification_may_end(const base::Error& error, const Pass& pass) const {
  if (flips_ != 0 || schema_changed_) return true;
  switch (error.kind) {
    case ErrorKind::Stopped:
      return verify_no_more_ || ended_;
    case ErrorKind::EndpointDown:
    case ErrorKind::Unavailable:
      return plan_.network_is_bad() || plan_.disk_is_bad();
    case ErrorKind::Throttled:
      return plan_.live(Fault::Throttle);
    case ErrorKind::DiskFull:
      return plan_.disk_is_bad();
    case ErrorKind::CredentialsExpired:
      return keys_were_taken_;
    case ErrorKind::Denied:
      return rights_were_taken_;
    case ErrorKind::Corrupt:
      return plan_.live(Fault::Malformed);
    // A file that a run has begun, and no table in it yet; a table that is dropped and made again.
    case ErrorKind::NotFound:
    case ErrorKind::Usage:
      return !in_sync_seen_ || gap_at_ >= pass.begin;
    default:
      return false;
  }
}

void World::judge_verdict(Pass pass, Program& program) {
  pass.end = scheduler_.now();
  pass.report = *program.report();
  pass.told_by = program.told_by();
  const verify::Report& report = pass.report;
  trace_.note("v{} says: {} matched, {} missing, {} extra, {} different, {} hot, {} expired, told by {}",
              program.options().number, report.matched, report.missing, report.extra, report.different, report.hot,
              report.expired, pass.told_by);
  const Table* table = server_.find("orders");
  Result<Standings> after = standings();
  // Another table: what was compared of the one before says nothing any more, and this one is looked at anew.
  if (table == nullptr || !after || table->created() > program.started) return;
  pass.after = std::move(*after);
  if (table->created() > pass.begin) return;
  ++verdicts_;
  accusations_ += static_cast<int>(report.first.size());
  if (const auto wrong = find_wrong_verdict(*table, pass)) {
    return fail(fmt::format("v{}: {}", program.options().number, *wrong), Finding::Difference);
  }
  const Program* run = current_;
  const bool followed =
      pass.told_by == "run" && run != nullptr && lives_changed_ < pass.begin && !tampered_ && flips_ == 0 && !gap_ever_;
  if (!followed || report.first.empty()) return;
  std::vector<Accused> accused;
  for (const verify::Difference& difference : report.first) {
    const std::string key = difference.key.encoded();
    accused.push_back({key, pass.after[key], program.last_read(difference.key)});
  }
  look_again(std::move(accused), eras_, 0);
}

// What the run itself puts right was on its way.
void World::look_again(std::vector<Accused> accused, int eras, int times) {
  if (times == std::size(kLookAgain_s)) return;
  scheduler_.call_after(std::chrono::seconds(kLookAgain_s[times]), [this, accused = std::move(accused), eras, times] {
    const Table* table = server_.find("orders");
    if (ended_ || eras != eras_ || tampered_ || flips_ != 0 || gap_ever_ || table == nullptr) return;
    const Result<Standings> now = standings();
    if (!now) return;
    for (const Accused& one : accused) {
      if (!was_only_on_its_way(*table, one, *now)) continue;
      const auto key = item::Key::from_encoded(one.key);
      return fail(fmt::format("verify called different what was on its way: key {}",
                              key ? item::to_json(key->attributes(plan_.key)) : "?"),
                  Finding::Difference);
    }
    look_again(accused, eras, times + 1);
  });
}

// Nobody moves the table and nobody writes to it: what verify says is exact. Then a stranger writes to the target, or
// puts another one in its place, or a day goes by under it.
Task<> World::verify_alone() {
  if (schema_changed_ || !target_there()) co_return;
  co_await verify_once();
  for (int i = 0; i < plan_.verify_rounds && failure_.empty(); ++i) {
    if (rng_.chance(2)) tamper();
    // As far as it comes: what differs is waited for, so it often dies there.
    Program& first = start_verification();
    if (rng_.chance(2)) first.process().kill_at(1 + rng_.below(std::uint64_t{8} << rng_.below(7)));
    scheduler_.call_after(Micros(rng_.below(5'000'000)), [&first] {
      if (!first.over()) first.process().kill();
    });
    co_await first.live();
    const bool anew = rng_.chance(2);
    for (std::uint64_t n = rng_.below(4); n > 0; --n) tamper();
    if (anew) ++targets_;
    Micros rest(rng_.below(60'000'000));
    if (!anew) rest = std::chrono::hours(25);
    co_await scheduler_.sleep_for(rest);
    pass_.reset();
    co_await verify_once();
  }
}

}  // namespace moveout::sim
