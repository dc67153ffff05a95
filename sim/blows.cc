// World: the scripted blows.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/world.h"

namespace moveout::sim {

void World::arm_blows(Program& program, Phase phase) {
  if (at_rest()) return;
  for (Blow& blow : plan_.blows) {
    if (blow.done || blow.phase != phase || static_cast<int>(programs_.size()) <= blow.life) continue;
    blow.done = true;
    const bool power = blow.fault == Fault::PowerLoss;
    if (power || blow.fault == Fault::Kill || blow.fault == Fault::Trim || blow.fault == Fault::BitFlip) {
      death_ = power ? Fault::PowerLoss : Fault::Kill;
      if (blow.fault == Fault::Trim) long_rest_ = true;
      if (blow.fault == Fault::BitFlip) flip_next_ = true;
      const std::uint64_t boundary = power || blow.fault == Fault::Kill ? blow.after : 1 + blow.after % 200;
      trace_.note("p{} is to die {} boundaries into {}", program.options().number, boundary, name_of(phase));
      program.process().kill_at(boundary);
      return;  // one death a time; the other blows of this phase wait for its next life
    }
    const int number = program.options().number;
    scheduler_.call_after(Micros(blow.after), [this, &blow, number] { strike(blow, number); });
  }
}

void World::strike(Blow& blow, int program_number) {
  Program* program = alive(program_number);
  if (at_rest() || ended_ || program == nullptr) return;
  if (blow.fault == Fault::Tamper && faults_.phase() != blow.phase) return;
  if (blow.fault != Fault::DiskFull && blow.fault != Fault::TargetDown) faults_.count(blow.fault);
  trace_.note("blow: {} in {}", name_of(blow.fault), name_of(faults_.phase()));
  switch (blow.fault) {
    case Fault::Zombie: {
      if (program->process().paused()) return;
      program->process().pause();
      Micros asleep(1'000'000 + rng_.below(rng_.chance(2) ? 20'000'000 : 1'200'000'000));
      if (plan_.zombie_sleep > Micros(0)) asleep = plan_.zombie_sleep;
      scheduler_.call_after(asleep, [this, program_number] {
        if (Program* zombie = alive(program_number)) {
          trace_.note("p{} wakes up", program_number);
          zombie->process().resume();
        }
      });
      scheduler_.call_after(Micros(rng_.below(3'000'000)), [this] {
        abandoned_ = true;
        news_.notify_all();
      });
      return;
    }
    case Fault::TwoCoordinators:
      abandoned_ = true;
      news_.notify_all();
      return;
    case Fault::ClockStep:
      return step_clocks(*program, Micros(static_cast<std::int64_t>(rng_.below(10'000'001)) - 5'000'000));
    case Fault::StreamOff:
      return switch_stream_off();
    case Fault::TableRemade:
      return remake_table();
    case Fault::TargetDown:
    case Fault::DiskFull: {
      Micros outage(rng_.below(rng_.chance(3) ? 3'600'000'000 : 60'000'000));
      if (plan_.outage > Micros(0)) outage = plan_.outage;
      if (blow.fault == Fault::TargetDown && plan_.target != TargetKind::Sqlite) {
        memory_.down_until = std::max(memory_.down_until, scheduler_.now() + outage);
        return;
      }
      machine_.set_full(true);
      scheduler_.call_after(outage, [this] { machine_.set_full(false); });
      return;
    }
    case Fault::CredentialsExpire:
      keys_were_taken_ = true;
      for (auto& [name, identity] : server_.identities()) identity.expires = scheduler_.now();
      ++key_number_;
      if (rng_.chance(3)) keys_back_at_ = scheduler_.now() + Micros(rng_.below(600'000'000));
      return;
    case Fault::Denied: {
      rights_were_taken_ = true;
      constexpr const char* kActions[] = {"Scan",          "GetRecords",  "DescribeStream", "GetShardIterator",
                                          "DescribeTable", "BatchGetItem"};
      for (auto& [name, identity] : server_.identities()) identity.denied.insert(kActions[rng_.below(6)]);
      return;
    }
    case Fault::Tamper:
      if (!plan_.tampers_changed) return tamper();
      tamper_with_changed();
      return program->process().kill();
    default:
      MOVEOUT_ASSERT(false);
  }
}

void World::switch_stream_off() {
  Table* table = server_.find("orders");
  Stream* stream = table->stream();
  if (stream == nullptr || !stream->on()) return;
  gap_at_ = scheduler_.now();
  gap_ever_ = true;
  table->disable_stream();
  const int lost = static_cast<int>(rng_.below(20));
  if (rng_.chance(4)) return;  // and nobody switches it on again
  scheduler_.call_after(Micros(rng_.below(5'000'000)), [this, lost] {
    workload_->burst(lost);
    Table* again = server_.find("orders");
    if (again == nullptr || (again->stream() != nullptr && again->stream()->on())) return;
    const View view = rng_.chance(3) ? View::KeysOnly : View::NewAndOldImages;
    trace_.note("somebody switches a stream on: {}", name_of(view));
    again->enable_stream(view, scheduler_.now());
  });
}

void World::remake_table() {
  gap_at_ = scheduler_.now();
  gap_ever_ = true;
  server_.drop_table("orders");
  TableSpec spec{"orders", plan_.key, plan_.ttl ? "expires" : "", plan_.stream};
  if (rng_.chance(5)) {
    spec.key.partition.name += "2";
    schema_changed_ = true;
  }
  Table& table = server_.make_table(spec);
  trace_.note("the table is another one now");
  if (rng_.chance(2)) table.enable_stream(View::NewAndOldImages, scheduler_.now());
  workload_->burst(40);
}

// Verify must find it, whichever way it is wrong: a row less, a row changed, a row more.
void World::tamper() {
  const std::uint64_t way = plan_.tamper_way < 0 ? rng_.below(3) : static_cast<std::uint64_t>(plan_.tamper_way);
  const bool before = std::exchange(tampered_, true);
  // An item less is no difference where it has expired.
  const bool less = way == 0 && !plan_.ttl;
  if (plan_.target == TargetKind::Sqlite) {
    const std::uint64_t how = less ? 0 : std::max<std::uint64_t>(way, 1);
    tampered_ = tamper_with_sqlite(machine_, scheduler_, plan_.key, how) || before;
    return;
  }
  for (auto& [key, row] : memory_.rows) {
    if (!row.image || !rng_.chance(5)) continue;
    if (less) row.image = nullptr;
    if (!less) {
      item::Item item = *item::parse_item(*row.image);
      item["tampered"] = item::Value(true);
      row.image = std::make_shared<const std::string>(item::to_json(item));
    }
    if (way != 2) return;
  }
}

// Keys that changed since they were compared: whoever remembers them finds it, whoever forgets them does not.
void World::tamper_with_changed() {
  for (auto& [place, row] : server_.find("orders")->rows()) {
    const auto at = memory_.rows.find(place.key);
    if (row.past.back().at <= last_claim_ || at == memory_.rows.end() || !at->second.image) continue;
    item::Item item = *item::parse_item(*at->second.image);
    item["tampered"] = item::Value(true);
    at->second.image = std::make_shared<const std::string>(item::to_json(item));
    tampered_ = true;
  }
}

void World::flip_bit() {
  flip_next_ = false;
  std::vector<std::string> names = machine_.names("state/");
  if (names.empty()) return;
  const std::string& name = names[rng_.below(names.size())];
  machine_.find(name)->flip_bit(machine_.rng());
  ++flips_;
  faults_.count(Fault::BitFlip);
  trace_.note("a bit flips in {}", name);
}

}  // namespace moveout::sim
