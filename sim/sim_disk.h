// SimDisk: base::Disk of one process on a simulated machine.
#pragma once

#include "base/disk.h"
#include "sim/machine.h"
#include "sim/process.h"

namespace moveout::sim {

class SimDisk final : public base::Disk {
 public:
  SimDisk(Machine& machine, Process& process, std::string folder)
      : machine_(machine), process_(process), folder_(std::move(folder)) {}
  base::Result<> append(const std::string& name, std::string_view bytes) override;
  base::Result<std::string> read(const std::string& name, std::uint64_t offset, std::size_t size) override;
  base::Result<std::uint64_t> size(const std::string& name) override;
  base::Result<> truncate(const std::string& name, std::uint64_t size) override;
  base::Result<> sync(const std::string& name) override;
  base::Result<> remove(const std::string& name) override;
  base::Result<std::vector<std::string>> list() override;

 private:
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  Machine& machine_;
  Process& process_;
  std::string folder_;
};

}  // namespace moveout::sim
