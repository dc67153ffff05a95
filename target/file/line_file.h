// LineFile: the open file of a scan and its sidecar. Blocking: on the worker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "target/file/packing.h"
#include "target/target.h"

namespace moveout::target::file {

// Lines: {"Item":{…}} a line. Aws: {"Items": […], "Count": …}, laid out as Debian's awscli 2.9 does it.
enum class Shape { Lines, Aws };

// What the sidecar says: how much of the file counts, and what that stands for.
struct Sidecar {
  std::string run_id;
  std::int64_t owner = 0;
  std::uint64_t length = 0;
  bool sealed = false;
  Shape shape = Shape::Lines;
  std::uint64_t items = 0;
  std::map<std::string, std::string> checkpoints;
};

class LineFile {
 public:
  LineFile(std::string path, Shape shape);
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile();

  // As Target::open. `created` false: it goes on where the sidecar says.
  base::Result<bool> open(const std::string& run_id, std::int64_t owner, bool resuming);
  const Sidecar& sidecar() const { return sidecar_; }
  bool resumable() const { return resumable_; }

  // Appends an item; for lines `image` holds no line end.
  void add(std::string_view image);
  // Writes what is buffered when it is worth a write. DiskFull: the file is cut at the next open().
  base::Result<> write_if_large();
  void move_checkpoints(const Checkpoints& checkpoints);
  std::uint64_t unsynced_bytes() const { return unsynced_; }
  // Data durable, then the sidecar.
  base::Result<> sync(bool sealed);
  base::Result<> remove_sidecar();

 private:
  void end_document();
  base::Result<> write_all();
  base::Result<bool> read_sidecar();
  base::Result<> write_sidecar();
  base::Result<> sync_folder() const;
  base::Error error(const std::string& what) const;

  std::string path_;
  Shape shape_;
  std::string sidecar_path_;
  std::unique_ptr<Packing> packing_;
  std::string buffer_;
  std::string packed_;
  int fd_ = -1;
  bool resumable_ = false;
  std::uint64_t written_ = 0;   // bytes in the file
  std::uint64_t unsynced_ = 0;  // bytes of lines since the last sync
  Sidecar sidecar_;
};

}  // namespace moveout::target::file
