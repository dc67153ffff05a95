// Objects: where an export's files lie: a bucket, or a folder that one was copied to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/task.h"

namespace moveout::backfill {

struct StoredObject {
  std::string name;
  std::uint64_t size = 0;
  std::string tag;  // changes with the content: an ETag, or the file's times
};

// Names are paths with '/' between, without "." and "..", as keys of a bucket are. Single executor; what blocks is done
// on a Worker.
class Objects {
 public:
  virtual ~Objects() = default;
  // contract: NotFound when there is none.
  virtual base::Task<base::Result<StoredObject>> look(std::string name) = 0;
  // contract: all whose name begins with `prefix`, in the order of names.
  virtual base::Task<base::Result<std::vector<StoredObject>>> list(std::string prefix) = 0;
  // contract: up to `size` bytes from `offset`, fewer only at the end. Conflict when it is no longer that object.
  virtual base::Task<base::Result<std::string>> read(StoredObject object, std::uint64_t offset, std::uint64_t size) = 0;
  // contract: whether reading it twice costs little, so that it is verified in one pass and used in another.
  virtual bool is_near() const = 0;
  // contract: the name as a person knows it, for messages.
  virtual std::string where(const std::string& name) const = 0;
};

// The whole of a small one; TooLarge over bytes_max.
base::Task<base::Result<std::string>> read_small(Objects& objects, std::string name, std::uint64_t bytes_max);

}  // namespace moveout::backfill
