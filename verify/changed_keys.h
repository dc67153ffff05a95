// ChangedKeys: the keys that replay touched since they were compared. What "again if changed since" rests on.
#pragma once

#include <cstdint>
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

// Single executor. add() is durable before it returns, so that a crash between it and the apply costs a comparison,
// never one missed. A crash loses nothing: load() reads what was added and not yet taken and settled.
class ChangedKeys {
 public:
  ChangedKeys(base::Disk& disk, base::Worker& worker, std::string name);
  base::Task<base::Result<>> load();
  base::Task<base::Result<>> add(std::vector<item::Key> keys);
  // Up to `limit` keys, distinct, oldest first. They stay on the disk until settled().
  std::vector<item::Key> take(std::size_t limit);
  // The taken ones were compared; those in `again` go back (hot). Compacts the file when it is mostly settled.
  base::Task<base::Result<>> settled(std::vector<item::Key> again);
  std::uint64_t size() const;  // distinct keys waiting, taken ones included
  base::Task<base::Result<>> clear();

 private:
  base::Disk& disk_;
  base::Worker& worker_;
  std::string name_;
  std::set<item::Key> waiting_;
  std::set<item::Key> taken_;
};

}  // namespace moveout::verify
