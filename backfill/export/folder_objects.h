// FolderObjects: an export that was copied to a folder of this machine.
#pragma once

#include <string>

#include "backfill/export/objects.h"
#include "base/worker.h"

namespace moveout::backfill {

// Plain files only: what a name leads to is never a pipe or a device.
class FolderObjects final : public Objects {
 public:
  // The worker lives as long.
  FolderObjects(std::string folder, base::Worker& worker) : folder_(std::move(folder)), worker_(worker) {}
  base::Task<base::Result<StoredObject>> look(std::string name) override;
  base::Task<base::Result<std::vector<StoredObject>>> list(std::string prefix) override;
  base::Task<base::Result<std::string>> read(StoredObject object, std::uint64_t offset, std::uint64_t size) override;
  bool is_near() const override { return true; }
  std::string where(const std::string& name) const override;

 private:
  std::string folder_;
  base::Worker& worker_;
};

}  // namespace moveout::backfill
