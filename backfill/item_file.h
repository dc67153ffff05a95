// ItemFile: one file of items as a FileSource: what the AWS CLI wrote, JSON lines, arrays (item/documents.h), plain,
// gzip or zstd by its first bytes (docs/files.md).
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "backfill/file_source.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/worker.h"

namespace moveout::backfill {

// A page's place: a DocumentPlace of the unpacked text, where the item before it begins, and a hash of that item. A
// reader that goes on from there reads that item first: a file whose beginning is another one is refused.
class ItemFile final : public FileSource {
 public:
  struct Options {
    std::string name;       // of the disk
    std::string shown;      // for people
    bool forwards = false;  // the disk gives its bytes once, in order (standard input)
  };
  // Blocking calls of the disk, unpacking and cutting happen on the worker. All of them outlive it.
  ItemFile(Options options, base::Disk& disk, base::Worker& worker, base::Log& log);
  ~ItemFile() override;

  base::Task<base::Result<FilesKnown>> begin() override;
  void set(item::KeySchema key, item::Version version) override;
  std::size_t parts() const override { return 1; }
  std::string part_name(std::size_t) const override { return options_.shown; }
  std::unique_ptr<PartReader> open(std::size_t part, std::string at) override;
  base::Task<base::Result<>> sample(schema::Sampler& sampler) override;

 private:
  class Reader;
  class Ahead;

  Options options_;
  base::Disk& disk_;
  base::Worker& worker_;
  base::Log& log_;
  item::KeySchema key_;
  item::Version version_;
  std::unique_ptr<Reader> begun_;  // by sample()
  std::deque<base::Result<FilePage>> ahead_;
};

}  // namespace moveout::backfill
