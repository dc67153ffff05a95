// FileBackfill: everything a FileSource holds into the target, part by part, resumable page by page.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "backfill/file_source.h"
#include "base/log.h"
#include "base/task.h"
#include "target/writer.h"

namespace moveout::backfill {

struct FileConfig {
  int workers = 1;  // parts under way at once
  std::string
      checkpoint_prefix;  // put before the names it commits ("e0/"); the names it is constructed with come without
};

struct FileProgress {
  std::uint64_t items = 0;  // acknowledged by the target (or set aside), over all resumes
  std::uint64_t bytes = 0;  // of DynamoDB JSON
  std::size_t parts_done = 0;
  std::size_t parts = 0;
};

// Single executor. Checkpoint names: "file/<part>"; the value holds the place behind the last acknowledged page, items,
// bytes, done. A page's checkpoint moves in the same write as the page (or after it): I4.
class FileBackfill {
 public:
  FileBackfill(FileConfig config, FileSource& source, target::Writer& writer, base::Log& log,
               std::map<std::string, std::string> checkpoints);
  ~FileBackfill();
  // Returns when every part is acknowledged. On a part's error the pages before it are written first.
  base::Task<base::Result<>> run();
  // After run(), or when every part was done before: whether each part still ends where it did. Usage when one has
  // changed.
  base::Task<base::Result<>> check_ends();
  FileProgress progress() const;
  // Paused: pages under way are finished, no new one is asked for.
  void pause(bool on);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moveout::backfill
