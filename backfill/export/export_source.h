// ExportSource: the data files of an export, or of a chain of them, as parts of a back-fill.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backfill/export/gunzip_stream.h"
#include "backfill/export/objects.h"
#include "backfill/export/tree.h"
#include "backfill/file_source.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/worker.h"

namespace moveout::backfill {

struct ExportConfig {
  FindExports find = {};
  GunzipLimits limits = {};
};

// A part is a data file. Before a write of it is given out, the whole file has been read and its MD5 is the manifest's:
// a file of a bucket is kept in the spool meanwhile. `at` is a place in what the file holds unpacked. Versions
// (docs/consistency.md §2): a full export's items have the version of set(), whose t begin() gives; an incremental
// one's (era, Incremental, WriteTimestampMicros).
class ExportSource final : public FileSource {
 public:
  // Everything lives as long. Files are unpacked on the workers, at least one; more of them, more at a time. The spool
  // is used through the first one's like; it may be null where objects.is_near().
  ExportSource(ExportConfig config, Objects& objects, base::Disk* spool, std::vector<base::Worker*> workers,
               base::Log& log);
  ~ExportSource() override;
  base::Task<base::Result<FilesKnown>> begin() override;
  void set(item::KeySchema key, item::Version version) override;
  std::size_t parts() const override;
  std::string part_name(std::size_t part) const override;
  std::unique_ptr<PartReader> open(std::size_t part, std::string at) override;
  base::Task<base::Result<>> sample(schema::Sampler& sampler) override;

  // After begin().
  const std::vector<ExportTree>& trees() const;
  bool incremental() const;  // one of them is

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace moveout::backfill
