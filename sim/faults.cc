#include "sim/faults.h"

namespace moveout::sim {

std::string_view name_of(Fault fault) {
  switch (fault) {
    case Fault::Kill:
      return "kill";
    case Fault::PowerLoss:
      return "power_loss";
    case Fault::LostRequest:
      return "lost_request";
    case Fault::LostAnswer:
      return "lost_answer";
    case Fault::LateRequest:
      return "late_request";
    case Fault::Duplicate:
      return "duplicate";
    case Fault::Refused:
      return "refused";
    case Fault::SlowAnswer:
      return "slow_answer";
    case Fault::Garbled:
      return "garbled";
    case Fault::Malformed:
      return "malformed";
    case Fault::Throttle:
      return "throttle";
    case Fault::ServerError:
      return "server_error";
    case Fault::PartialBatch:
      return "partial_batch";
    case Fault::TargetDown:
      return "target_down";
    case Fault::TargetLate:
      return "target_late";
    case Fault::DiskFull:
      return "disk_full";
    case Fault::TornWrite:
      return "torn_write";
    case Fault::BitFlip:
      return "bit_flip";
    case Fault::FailedSync:
      return "failed_sync";
    case Fault::Zombie:
      return "zombie";
    case Fault::TwoCoordinators:
      return "two_coordinators";
    case Fault::ClockOff:
      return "clock_off";
    case Fault::ClockStep:
      return "clock_step";
    case Fault::ServerClocks:
      return "server_clocks";
    case Fault::ShardRoll:
      return "shard_roll";
    case Fault::ShardSplit:
      return "shard_split";
    case Fault::ChildHidden:
      return "child_hidden";
    case Fault::ChildrenOneByOne:
      return "children_one_by_one";
    case Fault::OpenParent:
      return "open_parent";
    case Fault::MissingShard:
      return "missing_shard";
    case Fault::ShortListing:
      return "short_listing";
    case Fault::Trim:
      return "trim";
    case Fault::ExpiredIterator:
      return "expired_iterator";
    case Fault::EmptyPage:
      return "empty_page";
    case Fault::ShortPage:
      return "short_page";
    case Fault::StaleRead:
      return "stale_read";
    case Fault::StreamOff:
      return "stream_off";
    case Fault::TableRemade:
      return "table_remade";
    case Fault::TtlDelete:
      return "ttl_delete";
    case Fault::Hostile:
      return "hostile";
    case Fault::CredentialsExpire:
      return "credentials_expire";
    case Fault::Denied:
      return "denied";
    case Fault::Tamper:
      return "tamper";
    case Fault::BadRecord:
      return "bad_record";
    case Fault::VerifyKill:
      return "verify_kill";
    case Fault::Count_:
      break;
  }
  return "?";
}

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::Start:
      return "start";
    case Phase::Backfill:
      return "backfill";
    case Phase::Replay:
      return "replay";
    case Phase::Verify:
      return "verify";
    case Phase::Count_:
      break;
  }
  return "?";
}

Tally& Tally::operator+=(const Tally& other) {
  for (std::size_t f = 0; f < kFaults; ++f) {
    for (std::size_t p = 0; p < kPhases; ++p) struck[f][p] += other.struck[f][p];
  }
  return *this;
}

Faults::Faults(base::Rng rng) {
  rngs_.reserve(kFaults);
  for (std::size_t i = 0; i < kFaults; ++i) rngs_.push_back(rng.fork());
}

bool Faults::strikes(Fault fault) {
  if (!live(fault) || !rngs_[index(fault)].chance(one_in_[index(fault)])) return false;
  count(fault);
  return true;
}

}  // namespace moveout::sim
