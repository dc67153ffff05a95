// Plan: what one seed draws: the table, the target, the faults that are live, and the blows that fall in which phase.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "item/key.h"
#include "sim/dynamodb/server.h"
#include "sim/faults.h"
#include "sim/network.h"

namespace moveout::sim {

enum class TargetKind : std::uint8_t { Sqlite, Memory, MemoryWithCheckpoints, Ordered };

// One scripted blow: falls once, soon after a process enters the phase.
struct Blow {
  Fault fault;
  Phase phase;
  std::uint64_t after;  // boundaries (kills) or µs (the others)
  int life = 0;         // not before this many processes were started
  bool done = false;
};

struct Plan {
  std::uint64_t seed = 0;
  item::KeySchema key;
  std::size_t keys = 300;  // the universe writers draw from
  std::size_t preload = 200;
  View view = View::NewAndOldImages;
  bool stream_at_start = true;
  TargetKind target = TargetKind::Sqlite;
  bool refuses_nul = false;
  bool infer_columns = true;
  int segments = 0;
  int workers = 4;
  base::Millis tip_wait{1000};
  int tip_pages = 2;
  bool until_in_sync = false;
  bool finish_at_end = false;
  bool second_era = false;  // the operator asks for a new back-fill once it was in sync
  bool hostile = false;
  bool ttl = false;
  std::uint64_t writes_a_phase = 260;
  bool colliding_keys = false;    // pairs of keys whose parts, joined with ':', are one text
  bool tampers_changed = false;   // Tamper falls on keys that changed since they were compared; then the process dies
  int tamper_way = -1;            // 0 a row less, 1 a row changed, 2 a row more; −1: drawn
  bool blows_in_sync = false;     // blows of replay wait until it is in sync
  Micros in_sync_least{0};        // it follows for so long before the writers stop
  Micros outage{0};               // of the target, for writes alone; zero: drawn, for all
  int restarts = 0;               // so many times the operator stops it once it is in sync, and starts it again
  Micros rest_least{0};           // between two lives, once it was in sync
  Micros zombie_sleep{0};         // zero: drawn
  int verifications = 0;          // of `moveout verify`, beside the move and after it
  int verify_rounds = 3;          // when nobody moves the table any more: somebody else writes to the target in between
  base::Millis verify_saves{0};   // its progress, this often; 0: after every page
  std::uint64_t roll_one_in = 0;  // a shard rolls or splits once in so many writes; 0: never
  Micros wall_offset{0};
  StreamOptions stream;
  ServerOptions server;
  NetworkOptions network;
  std::array<std::uint64_t, kFaults> one_in{};
  std::vector<Blow> blows;

  // As long as verify waits before a difference beside a run is final: nothing where no shard is ever hidden.
  base::Millis difference_wait{600000};

  bool live(Fault fault) const { return one_in[static_cast<std::size_t>(fault)] != 0; }
  bool has_blow(Fault fault) const;
  // What may make a process give up that did nothing wrong.
  bool network_is_bad() const;
  bool disk_is_bad() const;
};

// `profile`: empty, or the name of a mutant whose plan must contain what exposes it (sim/mutants.h).
Plan draw_plan(std::uint64_t seed, const std::string& profile);

}  // namespace moveout::sim
