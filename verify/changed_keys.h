// ChangedKeys: the keys that replay touched since they were compared. What "again if changed since" rests on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/error.h"
#include "base/task.h"
#include "base/worker.h"
#include "item/key.h"

namespace moveout::verify {

// Single executor; its calls may overlap. Memory is bounded: the oldest keys are held, the rest lies on the disk.
class ChangedKeys {
 public:
  ChangedKeys(base::Disk& disk, base::Worker& worker, std::string name);
  ~ChangedKeys();
  // What was added and not settled before the process ended is there again, taken ones too. A torn tail is cut off (its
  // add() never returned). Corrupt when keys were lost otherwise: clear(), and compare every key again.
  base::Task<base::Result<>> load();
  // Durable when it returns. Call it before the keys' changes are applied: a crash in between costs a comparison, the
  // other order could miss one.
  base::Task<base::Result<>> add(std::vector<item::Key> keys);
  // Up to `limit` keys, distinct, oldest first. They stay on the disk until settled(). Empty when none is left, or when
  // those taken have to be settled first.
  std::vector<item::Key> take(std::size_t limit);
  // All taken ones were compared; those in `again` (hot) go back to the end. A key added after it was taken still
  // waits. Compacts the file when it is mostly settled.
  base::Task<base::Result<>> settled(std::vector<item::Key> again);
  // Keys waiting, taken ones included; a key that came again may count twice.
  std::uint64_t size() const;
  base::Task<base::Result<>> clear();

 private:
  struct State;
  class Turn;
  std::shared_ptr<State> state_;
};

}  // namespace moveout::verify
