// LocalJournal: a journal in files of this machine (docs/journal.md).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/worker.h"
#include "journal/journal.h"
#include "journal/local/segments.h"

namespace moveout::journal::local {

// generation: an era's journal; opening one removes those of earlier generations. Appends that come while one is under
// way become durable together. Memory: the pages being appended and those being read.
class LocalJournal final : public Journal {
 public:
  LocalJournal(base::Disk& disk, base::Worker& worker, std::string name, std::uint32_t generation,
               Options options = {});
  ~LocalJournal() override;
  base::Task<base::Result<Opened>> open(std::int64_t owner, Position replayed) override;
  base::Task<base::Result<Position>> append(Page page) override;
  base::Task<base::Result<std::vector<Entry>>> read(Position from, std::size_t bytes) override;
  base::Task<base::Result<>> trim(Position until) override;
  Position end() const override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moveout::journal::local
