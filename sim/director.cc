// World: one life after the other, and what each of them ended with.
#include <fmt/format.h>

#include <algorithm>

#include "sim/world.h"

namespace moveout::sim {

using base::ErrorKind;
using base::Result;

namespace {
constexpr int kLivesMax = 60;
// After so long (and what the long rests take) the faults end, however far the move has come.
constexpr Micros kRestlessMax = std::chrono::minutes(50);
// In sync for so long after the last write: it must be right. Children may be hidden for three minutes.
constexpr Micros kProvenAfter = std::chrono::minutes(5);
constexpr Micros kEndMax = std::chrono::hours(3);  // from rest to the final in sync
}  // namespace

Program* World::alive(int number) {
  for (auto& program : programs_) {
    if (program->options().number == number && !program->over() && !program->process().dead()) return program.get();
  }
  return nullptr;
}

Program& World::start_program() {
  ProgramOptions options;
  options.number = static_cast<int>(programs_.size()) + 1;
  options.new_backfill = new_backfill_next_;
  options.accept_quarantine = accept_quarantine_;
  options.until_in_sync = plan_.until_in_sync;
  options.wall_offset = wall_offset();
  faults_.enter(Phase::Start);
  Outside outside{scheduler_, faults_, trace_, plan_, server_, machine_, memory_, *this};
  programs_.push_back(std::make_unique<Program>(outside, options, rng_.fork()));
  Program& program = *programs_.back();
  program.started = lives_changed_ = scheduler_.now();
  for (auto& other : programs_) {
    if (other.get() == &program || other->over()) continue;
    other->overlapped = program.overlapped = true;
  }
  if (plan_.wall_offset != Micros(0)) faults_.count(Fault::ClockOff);
  trace_.note("p{} starts{}{}", options.number, options.new_backfill ? " --new-backfill" : "",
              options.until_in_sync ? " --until in-sync" : "");
  group_.start(live(program));
  arm_blows(program, Phase::Start);
  return program;
}

Task<Result<>> World::live(Program& program) {
  co_await program.live();
  lives_changed_ = scheduler_.now();
  if (program.process().dead()) {
    ++kills_;
    faults_.count(death_);
    if (death_ == Fault::PowerLoss) {
      for (auto& other : programs_) {
        if (!other->over()) other->process().kill();
      }
      kill_verification();
      trace_.note("power is lost");
      machine_.lose_power();
      death_ = Fault::Kill;
    }
  } else if (&program != current_ && !ended_ && !*program.outcome()) {
    const base::Error& error = program.outcome()->error();
    trace_.note("p{}, nobody's, ends: {} {}", program.options().number, base::name_of(error.kind), error.what);
    judge_error(program, error);
  }
  news_.notify_all();
  co_return Result<>();
}

Task<> World::wait_for(Program& program) {
  while (!program.over() && !abandoned_ && !ended_) {
    if (at_rest() && final_claim_made()) co_return;
    co_await news_.wait();
  }
}

bool World::final_claim_made() const {
  if (!workload_->stopped()) return false;
  for (auto& program : programs_) {
    if (program->over() || program->options().number != in_sync_process_) continue;
    if (program->phase() != move::Phase::InSync) return false;
    // It still says in sync, long enough after the last write that it would have taken it back.
    return scheduler_.now() >= workload_->stopped_at() + Micros(plan_.tip_wait) + kProvenAfter;
  }
  return false;
}

void World::come_to_rest() {
  if (at_rest()) return;
  trace_.note("the world comes to rest");
  faults_.calm();
  machine_.set_full(false);
  memory_.down_until = Micros(0);
  keys_back_at_ = Micros(0);
  for (auto& program : programs_) program->process().kill_at(0);
  for (auto& [name, identity] : server_.identities()) identity.denied.clear();
  workload_->stop();
  scheduler_.call_after(Micros(plan_.tip_wait) + kProvenAfter, [this] { news_.notify_all(); });
  scheduler_.call_after(kEndMax, [this] {
    if (!ended_ && !settling_) fail("not in sync within three hours after the world came to rest");
  });
}

// Once it is in sync, the operator may look for more trouble: another life for the blows that are left, another era.
void World::after_claim(Program& program) {
  if (at_rest() || plan_.until_in_sync) return;
  const int number = program.options().number;
  arm_blows(program, Phase::Replay);
  if (plan_.second_era) {
    plan_.second_era = false;
    new_backfill_next_ = true;
    scheduler_.call_after(Micros(rng_.below(5'000'000)), [this, number] { stop_for_another_life(number); });
    return;
  }
  const bool more = std::any_of(plan_.blows.begin(), plan_.blows.end(), [](const Blow& blow) {
    return !blow.done && (blow.phase == Phase::Start || blow.phase == Phase::Replay);
  });
  if ((more && restarts_ < 2) || restarts_ < plan_.restarts) {
    ++restarts_;
    scheduler_.call_after(Micros(rng_.below(5'000'000)), [this, number] { stop_for_another_life(number); });
    return;
  }
  scheduler_.call_after(plan_.in_sync_least + Micros(rng_.below(15'000'000)), [this] { come_to_rest(); });
}

void World::stop_for_another_life(int number) {
  if (Program* program = alive(number)) program->stop();
}

// Down for a moment, or for as long as the fault that is going on takes.
Task<> World::rest_between_lives() {
  Micros rest(rng_.below(20'000'000));
  if (rng_.chance(3)) rest = Micros(rng_.below(200'000));
  if (rng_.chance(8)) rest = Micros(rng_.below(900'000'000));
  // Who sees the same command fail again and again waits longer.
  if (in_a_row_ > 2) rest += std::min(in_a_row_, 20) * Micros(60'000'000);
  // The last life of a move that ends by itself begins when nothing is hidden any more.
  if (at_rest() && plan_.until_in_sync) rest += kProvenAfter;
  // A write of an older era that lands after the new era's sweep, on a key without a row, would stand: targets that
  // fence nothing but versions need a wait of L before a new era. The targets built so far fence by their transactions.
  if (new_backfill_next_ && plan_.target == TargetKind::Memory) rest += plan_.network.late_max;
  const bool was_in_sync = current_ != nullptr && last_claim_ >= current_->started;
  if (rest < plan_.rest_least && was_in_sync && !at_rest()) {
    restless_until_ += plan_.rest_least - rest;
    rest = plan_.rest_least;
  }
  if (long_rest_ && !at_rest()) {
    rest = std::chrono::hours(25) + Micros(rng_.below(3'600'000'000));
    long_rest_ = false;
    gap_at_ = scheduler_.now();
    gap_ever_ = true;
    restless_until_ += rest;
    faults_.count(Fault::Trim);
  }
  if (flip_next_) flip_bit();
  workload_->slow(rest);
  trace_.note("nobody runs for {} ms", rest.count() / 1000);
  const Micros until = scheduler_.now() + rest;
  co_await scheduler_.sleep_until(until);
  workload_->slow(Micros(0));
}

void World::watch_the_time() {
  if (scheduler_.now() >= restless_until_) return come_to_rest();
  scheduler_.call_at(restless_until_, [this] { watch_the_time(); });
}

Task<Result<>> World::direct() {
  workload_->start();
  if (plan_.verifications > 0) group_.start(verify_beside());
  restless_until_ = kRestlessMax;
  watch_the_time();
  for (;;) {
    Program& program = start_program();
    current_ = &program;
    co_await wait_for(program);
    if (ended_) break;
    if (abandoned_) {
      // The operator sees nothing of it any more and starts another one. The first wakes up again some time.
      abandoned_ = false;
      continue;
    }
    if (!program.over()) {
      compare(true, "at the end");
      break;
    }
    if (!judge(program) || ended_) break;
    if (programs_.size() >= kLivesMax) {
      fail("more than 60 lives");
      break;
    }
    co_await rest_between_lives();
  }
  co_await settle_end();
  co_return Result<>();
}

Task<> World::settle_end() {
  settling_ = true;
  workload_->stop();
  for (auto& program : programs_) {
    program->process().resume();
    if (!program->over()) program->stop();
  }
  for (bool waiting = true; waiting;) {
    waiting = false;
    for (auto& program : programs_) waiting |= !program->over();
    if (waiting) co_await news_.wait();
  }
  co_await end_verification();
  if (failure_.empty() && !person_must_decide_ && plan_.finish_at_end) co_await finish_move();
  if (failure_.empty() && !person_must_decide_ && plan_.verifications > 0) co_await verify_alone();
  ended_ = true;
}

// `finish` takes away what moveout added, and nothing else.
Task<> World::finish_move() {
  ProgramOptions options;
  options.number = static_cast<int>(programs_.size()) + 1;
  options.job = move::Job::Finish;
  Outside outside{scheduler_, faults_, trace_, plan_, server_, machine_, memory_, *this};
  programs_.push_back(std::make_unique<Program>(outside, options, rng_.fork()));
  Program& program = *programs_.back();
  co_await program.live();
  if (!program.outcome() || !*program.outcome()) {
    fail(fmt::format("finish failed: {}", program.outcome() ? program.outcome()->error().what : "?"),
         Finding::NamedStop);
    co_return;
  }
  compare(true, "after finish");
}

bool World::judge(Program& program) {
  if (program.process().dead()) {
    return true;
  }
  const Result<>& outcome = *program.outcome();
  in_a_row_ = outcome ? 0 : in_a_row_ + 1;
  if (!outcome) {
    trace_.note("p{} ends: {} {}", program.options().number, base::name_of(outcome.error().kind), outcome.error().what);
    return judge_error(program, outcome.error());
  }
  trace_.note("p{} ends well", program.options().number);
  if (!plan_.until_in_sync) {
    fail("a move that follows ended by itself");
    return false;
  }
  if (at_rest() && program.started > workload_->stopped_at() + kProvenAfter) {
    compare(true, "at the end");
    return false;
  }
  // In sync once, under writers: then again when they have stopped.
  if (plan_.second_era) {
    plan_.second_era = false;
    new_backfill_next_ = true;
  } else {
    come_to_rest();
  }
  return true;
}

// What may end a process, given what was done to it. Everything else is a failure.
bool World::judge_error(Program& program, const base::Error& error) {
  const auto unexpected = [&] {
    fail(fmt::format("p{} ended with {}: {}", program.options().number, base::name_of(error.kind), error.what),
         Finding::NamedStop);
    return false;
  };
  // After damage to the state any named error is a right end; nothing wrong may be said to be in sync.
  if (flips_ != 0 && error.kind != ErrorKind::Stopped && error.kind != ErrorKind::DiskFull &&
      error.kind != ErrorKind::EndpointDown && error.kind != ErrorKind::StreamGap) {
    person_must_decide_ = true;
    return false;
  }
  // Under a table with another key anything may fail; the next start must say so.
  if (schema_changed_ && error.kind != ErrorKind::SchemaChanged) return true;
  // The run lock keeps two processes off one state folder. The world leaves it out, to show that versions, owner epochs
  // and transactions protect the data without it; verify's working files it does not protect, so there a process may
  // end.
  if (program.overlapped && (error.kind == ErrorKind::Corrupt || error.kind == ErrorKind::NotFound)) return true;
  switch (error.kind) {
    case ErrorKind::Stopped:
      return true;
    case ErrorKind::RunLocked:
      return program.overlapped ? true : unexpected();
    case ErrorKind::EndpointDown:
    case ErrorKind::Unavailable:
      return plan_.network_is_bad() || plan_.disk_is_bad() ? true : unexpected();
    case ErrorKind::Throttled:
      return plan_.live(Fault::Throttle) ? true : unexpected();
    case ErrorKind::DiskFull:
      return plan_.disk_is_bad() ? true : unexpected();
    case ErrorKind::CredentialsExpired:
      return keys_were_taken_ ? true : unexpected();
    case ErrorKind::Denied:
      if (!rights_were_taken_) return unexpected();
      for (auto& [name, identity] : server_.identities()) identity.denied.clear();
      return true;
    case ErrorKind::StreamGap:
      // A process that overslept may find a gap that its successor has answered already.
      if (&program != current_ && gap_ever_) return true;
      if (gap_at_ < Micros(0) && flips_ == 0) return unexpected();
      new_backfill_next_ = true;
      return true;
    case ErrorKind::SchemaChanged:
      person_must_decide_ = schema_changed_;
      return schema_changed_ ? false : unexpected();
    case ErrorKind::Corrupt:
      // Answers that cannot be read, several in a row: the same command goes on.
      return plan_.live(Fault::Malformed) || plan_.live(Fault::BadRecord) ? true : unexpected();
    case ErrorKind::TargetChanged:
    case ErrorKind::Quarantine:
      if (!plan_.refuses_nul || program.options().accept_quarantine) return unexpected();
      accept_quarantine_ = true;
      return true;
    case ErrorKind::Differences:
      person_must_decide_ = tampered_;
      return tampered_ ? false : unexpected();
    case ErrorKind::NotFound:
    case ErrorKind::Usage:
    case ErrorKind::Conflict:
    case ErrorKind::TooLarge:
    case ErrorKind::Expired:
    case ErrorKind::Trimmed:
      return unexpected();
  }
  return unexpected();
}

}  // namespace moveout::sim
