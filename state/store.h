// Store: the durable memory of a move that is not kept in a target. Small rows, read at start, committed atomically.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/task.h"

namespace moveout::state {

using Rows = std::map<std::string, std::string>;

struct Put {
  std::string name;
  std::optional<std::string> value;  // nothing: remove
};
struct Expect {
  std::string name;
  std::optional<std::string> value;  // nothing: absent
};

// Names are paths: "run", "table/orders/era", "table/orders/checkpoint/segment/17".
class Store {
 public:
  virtual ~Store() = default;
  // contract: all rows whose name starts with `prefix`, as of the last commit. Corrupt when the file is damaged:
  // nothing is guessed.
  virtual base::Task<base::Result<Rows>> read(std::string prefix) = 0;
  // contract: durable when it returns success. All or nothing; Conflict when an expectation does not hold.
  // DiskFull: nothing was written. An Unavailable commit may or may not have happened: reopen and read.
  virtual base::Task<base::Result<>> commit(std::vector<Put> puts, std::vector<Expect> expects = {}) = 0;
};

}  // namespace moveout::state
