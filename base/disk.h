// Disk: append-only files of one folder. The real one is in state/; the simulator's loses what was not synced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace moveout::base {

// Blocking: call through a Worker where a wait would hurt. Names are relative, without "..". Errors: DiskFull,
// NotFound.
class Disk {
 public:
  virtual ~Disk() = default;
  // contract: creates the file when absent. Durable only after sync(name).
  virtual Result<> append(const std::string& name, std::string_view bytes) = 0;
  // contract: up to `size` bytes from `offset`; shorter only at the end of the file.
  virtual Result<std::string> read(const std::string& name, std::uint64_t offset, std::size_t size) = 0;
  // contract: 0 when absent.
  virtual Result<std::uint64_t> size(const std::string& name) = 0;
  virtual Result<> truncate(const std::string& name, std::uint64_t size) = 0;
  // contract: data and directory entry survive a crash afterwards. After a failed sync the file's tail is unknown.
  virtual Result<> sync(const std::string& name) = 0;
  // contract: absent is success.
  virtual Result<> remove(const std::string& name) = 0;
  virtual Result<std::vector<std::string>> list() = 0;
};

}  // namespace moveout::base
