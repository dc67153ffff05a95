// PosixDisk: base::Disk on a real folder (made 0700 when absent, files 0600).
#pragma once

#include <memory>
#include <string>

#include "base/disk.h"

namespace moveout::state {

class PosixDisk final : public base::Disk {
 public:
  static base::Result<std::unique_ptr<PosixDisk>> open(std::string folder);
  ~PosixDisk() override;
  base::Result<> append(const std::string& name, std::string_view bytes) override;
  base::Result<std::string> read(const std::string& name, std::uint64_t offset, std::size_t size) override;
  base::Result<std::uint64_t> size(const std::string& name) override;
  base::Result<> truncate(const std::string& name, std::uint64_t size) override;
  base::Result<> sync(const std::string& name) override;
  base::Result<> remove(const std::string& name) override;
  base::Result<std::vector<std::string>> list() override;

 private:
  struct Files;
  explicit PosixDisk(std::unique_ptr<Files> files);
  std::unique_ptr<Files> files_;
};

}  // namespace moveout::state
