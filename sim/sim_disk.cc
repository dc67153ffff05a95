#include "sim/sim_disk.h"

namespace moveout::sim {

using base::ErrorKind;
using base::Result;

namespace {
// What a dead process hears, were there anyone to hear it.
auto gone() { return base::fail(ErrorKind::Unavailable, "the process is dead"); }
}  // namespace

Result<> SimDisk::append(const std::string& name, std::string_view bytes) {
  if (!process_.step()) return gone();
  std::shared_ptr<File> file = machine_.find_or_make(path(name));
  if (!machine_.takes()) {
    // As a real disk: the write that does not fit may have left its beginning.
    const std::size_t part = machine_.rng().below(bytes.size() + 1);
    if (part != 0 && machine_.rng().chance(2)) file->write(file->data().size(), bytes.substr(0, part));
    return base::fail(ErrorKind::DiskFull, "no space left: " + name);
  }
  file->write(file->data().size(), bytes);
  return {};
}

Result<std::string> SimDisk::read(const std::string& name, std::uint64_t offset, std::size_t size) {
  if (!process_.step()) return gone();
  std::shared_ptr<File> file = machine_.find(path(name));
  if (!file) return base::fail(ErrorKind::NotFound, "no file " + name);
  if (offset >= file->data().size()) return std::string();
  return file->data().substr(offset, size);
}

Result<std::uint64_t> SimDisk::size(const std::string& name) {
  if (!process_.step()) return gone();
  std::shared_ptr<File> file = machine_.find(path(name));
  return file ? file->data().size() : 0;
}

Result<> SimDisk::truncate(const std::string& name, std::uint64_t size) {
  if (!process_.step()) return gone();
  std::shared_ptr<File> file = machine_.find(path(name));
  if (!file) return base::fail(ErrorKind::NotFound, "no file " + name);
  file->truncate(size);
  return {};
}

Result<> SimDisk::sync(const std::string& name) {
  if (!process_.step()) return gone();
  std::shared_ptr<File> file = machine_.find(path(name));
  if (!file) return base::fail(ErrorKind::NotFound, "no file " + name);
  if (!machine_.syncs()) {
    file->sync_failed(machine_.rng());
    return base::fail(ErrorKind::DiskFull, "fsync failed: " + name);
  }
  file->sync();
  machine_.sync_folder(path(name));
  return {};
}

Result<> SimDisk::remove(const std::string& name) {
  if (!process_.step()) return gone();
  machine_.remove(path(name), true);
  return {};
}

Result<std::vector<std::string>> SimDisk::list() {
  if (!process_.step()) return gone();
  std::vector<std::string> names = machine_.names(folder_ + "/");
  for (std::string& name : names) name.erase(0, folder_.size() + 1);
  return names;
}

}  // namespace moveout::sim
