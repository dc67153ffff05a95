// Workload: the live writers of one table: puts, updates, deletes, TTL deletes, hot keys, ties, hostile items.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "item/gen.h"
#include "sim/plan.h"
#include "sim/trace.h"

namespace moveout::sim {

class Workload {
 public:
  Workload(Scheduler& scheduler, Faults& faults, base::Rng rng, Server& server, std::string table, const Plan& plan,
           Trace& trace);
  void preload();
  // Writes from now on, quickly at first in each phase, then in bursts with pauses in which the stream has a tip.
  void start();
  void stop();
  bool stopped() const { return stopped_; }
  Micros stopped_at() const { return stopped_at_; }
  // Nobody moves the table for so long: writers are slow. Zero: as usual.
  void slow(Micros rest) { slow_for_ = rest; }
  // By phase.
  const std::array<std::uint64_t, kPhases>& writes() const { return writes_; }
  std::uint64_t total() const;
  // Some writes at once, whatever the pace.
  void burst(int writes);

 private:
  void tick();
  void write_one();
  void write_to(Table& table, const item::Item& key_attributes);
  item::Item make_key(std::size_t number);
  item::Value make_key_value(item::KeyType type, std::size_t number, bool sort);
  item::Item make_item(const item::Item& key_attributes);
  item::Value usual_value(std::size_t attribute);

  Scheduler& scheduler_;
  Faults& faults_;
  base::Rng rng_;
  Server& server_;
  std::string table_;
  const Plan& plan_;
  Trace& trace_;
  std::vector<item::Item> keys_;
  std::vector<item::NamedItem> hostile_;
  std::array<std::uint64_t, kPhases> writes_{};
  bool stopped_ = true;
  Micros stopped_at_{0};
  Micros slow_for_{0};
  int burst_left_ = 0;
  int rolls_left_ = 24;
};

}  // namespace moveout::sim
