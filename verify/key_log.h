// KeyLog: a queue of keys in a file: keys come in at the end, numbers of keys are dropped from the front.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/frames.h"
#include "item/key.h"

namespace moveout::verify {

// Blocking, one call at a time. Two files in turn ("<name>.0", "<name>.1"): compaction writes the other one.
//   file  = frame…          a frame is one write: whole, or (at the very end) torn and cut off
//   frame = base/frames.h, with the magic "MKF1"
//   payload = G generation (8), C (what was copied is complete), A size (2) key, D count (8): drop that many
class KeyLog {
 public:
  KeyLog(base::Disk& disk, std::string name);

  // Reads the file: up to `limit` keys (whole frames, so a few more) from the front of the queue into `front`; answers
  // how many lie behind them. Cuts off what was not durably written. Corrupt: frames are damaged in the middle.
  base::Result<std::uint64_t> load(std::size_t limit, std::vector<item::Key>* front);
  // Adds keys at the end, then drops from the front; durable when it returns. After an error: load() again.
  base::Result<> write(const std::vector<item::Key>& keys, std::uint64_t dropped);
  // The keys behind those read so far, up to `limit` (whole frames).
  base::Result<std::vector<item::Key>> read_on(std::size_t limit);
  // Everything written so far counts as read: the caller holds it.
  void read_all() { read_to_ = size_; }
  // Writes `front` and what lies behind it into the other file, and goes on there.
  base::Result<> compact(const std::vector<item::Key>& front);
  base::Result<> clear();

  std::uint64_t size() const { return size_; }

 private:
  struct Found;
  std::string file(std::uint64_t generation) const { return name_ + "." + std::to_string(generation % 2); }
  base::Result<Found> look(const std::string& file);
  base::Result<> append(const std::string& file, const std::vector<std::string>& payloads);

  base::Disk& disk_;
  base::Frames frames_;
  std::string name_;
  std::uint64_t generation_ = 0;  // 0: no file yet
  std::uint64_t size_ = 0;        // durable bytes of the file
  std::uint64_t read_to_ = 0;     // keys before are with the caller or dropped
  bool failed_ = false;           // the end of the file is not what size_ says
};

}  // namespace moveout::verify
