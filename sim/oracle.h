// Oracle: what the target holds, read by its own SQL or straight from memory, held against what the source held when.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sim/dynamodb/table.h"
#include "sim/machine.h"
#include "sim/memory_target.h"
#include "sim/plan.h"

namespace moveout::sim {

// Encoded key → canonical DynamoDB JSON.
using Contents = std::map<std::string, std::string>;

// The live rows of the SQLite target as another reader would see them now: a copy of its files is opened and read by
// SQL of this file's own. An error names what could not be read. Nothing of it is moveout's read path.
// `versions`: what the guard's table says of each key, deleted ones too; nothing where there is no such table.
base::Result<Contents> read_sqlite(Machine& machine, Scheduler& scheduler, const item::KeySchema& schema,
                                   std::map<std::string, std::int64_t>* versions = nullptr);
// A stranger's hand: deletes, changes or adds a row. False when there was nothing to do it to.
bool tamper_with_sqlite(Machine& machine, Scheduler& scheduler, const item::KeySchema& schema, std::uint64_t way);
Contents read_memory(const MemoryDatabase& database);

// Keys whose changes nobody could know of: they lie in a shard that was not described, or only a moment ago. No tip can
// prove them (docs/consistency.md §2); their state may be as old as the shard.
struct Blind {
  std::uint64_t low, high;  // hashes, inclusive
  Micros since;
};

struct Expectation {
  // Every key of the target must stand as the source's key stood at some time in [since, now].
  Micros since{0};
  Micros now{0};
  // Images the target cannot hold: it has nothing of their keys. Null: none.
  bool (*refused)(const std::string& json) = nullptr;
  std::vector<Blind> blind;
  // The claim itself said that so many keys were too hot to compare.
  std::uint64_t hot = 0;
};

// Nothing when all is well, else what is wrong with the first keys.
std::optional<std::string> find_difference(const Table& table, const Contents& target, const Expectation& expectation);

}  // namespace moveout::sim
