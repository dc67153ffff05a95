#include "state/posix_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

namespace moveout::state {
namespace {

using base::ErrorKind;

// Files open at once, where they are in sync: a journal has as many segments as there are changes that wait.
constexpr std::size_t kOpenMax = 64;

base::Error error_of(int number, const std::string& what) {
  // EIO too: a disk that does not keep what it is given, and no retry that helps.
  const bool full = number == ENOSPC || number == EDQUOT || number == EIO || number == EFBIG || number == EROFS;
  const ErrorKind kind = full ? ErrorKind::DiskFull : number == ENOENT ? ErrorKind::NotFound : ErrorKind::Usage;
  return {kind, what + ": " + std::strerror(number)};
}

}  // namespace

// Called from several workers: one lock for the table of open files and what it holds.
struct PosixDisk::Files {
  std::string folder;
  int folder_fd = -1;
  std::mutex mutex;
  struct Open {
    int fd = -1;
    bool unsynced = false;  // a sync by another descriptor might not hear of a write that failed
    std::uint64_t used = 0;
  };
  std::map<std::string, Open> open;
  std::uint64_t uses = 0;
  std::set<std::string> unsynced_entries;  // made, their directory entry not yet durable

  ~Files() {
    for (const auto& [name, file] : open) close(file.fd);
    if (folder_fd >= 0) close(folder_fd);
  }

  // What was not used for the longest time is closed, where it is in sync.
  void make_room() {
    while (open.size() >= kOpenMax) {
      auto oldest = open.end();
      for (auto it = open.begin(); it != open.end(); ++it) {
        if (!it->second.unsynced && (oldest == open.end() || it->second.used < oldest->second.used)) oldest = it;
      }
      if (oldest == open.end()) return;
      close(oldest->second.fd);
      open.erase(oldest);
    }
  }

  // -1 when the file is absent and `create` is not asked for.
  base::Result<int> file(const std::string& name, bool create) {
    MOVEOUT_ASSERT(!name.empty() && name.find('/') == std::string::npos && name != "." && name != "..");
    if (auto it = open.find(name); it != open.end()) {
      it->second.used = ++uses;
      return it->second.fd;
    }
    make_room();
    int fd = openat(folder_fd, name.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
      if (!create) return -1;
      fd = openat(folder_fd, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (fd >= 0) unsynced_entries.insert(name);
    }
    if (fd < 0) return base::fail(error_of(errno, "cannot open " + folder + "/" + name));
    open.emplace(name, Open{fd, false, ++uses});
    return fd;
  }

  base::Result<std::uint64_t> size_of(int fd, const std::string& name) const {
    struct stat status{};
    if (fstat(fd, &status) != 0) return base::fail(error_of(errno, "cannot look at " + folder + "/" + name));
    return static_cast<std::uint64_t>(status.st_size);
  }
};

base::Result<std::unique_ptr<PosixDisk>> PosixDisk::open(std::string folder) {
  std::error_code ec;
  const bool made = std::filesystem::create_directories(folder, ec);
  if (ec) return base::fail(error_of(ec.value(), "cannot make " + folder));
  if (made && chmod(folder.c_str(), 0700) != 0) return base::fail(error_of(errno, "cannot protect " + folder));
  auto files = std::make_unique<Files>();
  files->folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (files->folder_fd < 0) return base::fail(error_of(errno, "cannot open " + folder));
  files->folder = std::move(folder);
  return std::unique_ptr<PosixDisk>(new PosixDisk(std::move(files)));
}

PosixDisk::PosixDisk(std::unique_ptr<Files> files) : files_(std::move(files)) {}
PosixDisk::~PosixDisk() = default;

base::Result<> PosixDisk::append(const std::string& name, std::string_view bytes) {
  const std::lock_guard guard(files_->mutex);
  auto fd = files_->file(name, /*create=*/true);
  if (!fd) return base::fail(fd.error());
  auto start = files_->size_of(*fd, name);
  if (!start) return base::fail(start.error());
  files_->open.at(name).unsynced = true;
  std::uint64_t at = *start;
  while (!bytes.empty()) {
    const ssize_t written = pwrite(*fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      base::Error error = error_of(written < 0 ? errno : ENOSPC, "cannot append to " + files_->folder + "/" + name);
      // Half an append would stand before the next one.
      if (ftruncate(*fd, static_cast<off_t>(*start)) != 0) error.what += "; nor cut it back to what it was";
      return base::fail(std::move(error));
    }
    at += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

base::Result<std::string> PosixDisk::read(const std::string& name, std::uint64_t offset, std::size_t size) {
  const std::lock_guard guard(files_->mutex);
  auto fd = files_->file(name, /*create=*/false);
  if (!fd) return base::fail(fd.error());
  if (*fd < 0) return base::fail(ErrorKind::NotFound, "no file " + files_->folder + "/" + name);
  auto end = files_->size_of(*fd, name);
  if (!end) return base::fail(end.error());
  std::string bytes(std::min<std::uint64_t>(size, *end > offset ? *end - offset : 0), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = pread(*fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return base::fail(ErrorKind::Corrupt, "cannot read " + files_->folder + "/" + name + ": " + std::strerror(errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

base::Result<std::uint64_t> PosixDisk::size(const std::string& name) {
  const std::lock_guard guard(files_->mutex);
  auto fd = files_->file(name, /*create=*/false);
  if (!fd) return base::fail(fd.error());
  if (*fd < 0) return std::uint64_t{0};
  return files_->size_of(*fd, name);
}

base::Result<> PosixDisk::truncate(const std::string& name, std::uint64_t size) {
  const std::lock_guard guard(files_->mutex);
  auto fd = files_->file(name, /*create=*/false);
  if (!fd) return base::fail(fd.error());
  if (*fd < 0) return base::fail(ErrorKind::NotFound, "no file " + files_->folder + "/" + name);
  files_->open.at(name).unsynced = true;
  if (ftruncate(*fd, static_cast<off_t>(size)) != 0) {
    return base::fail(error_of(errno, "cannot cut " + files_->folder + "/" + name));
  }
  return {};
}

base::Result<> PosixDisk::sync(const std::string& name) {
  const std::lock_guard guard(files_->mutex);
  auto fd = files_->file(name, /*create=*/false);
  if (!fd) return base::fail(fd.error());
  if (*fd < 0) return base::fail(ErrorKind::NotFound, "no file " + files_->folder + "/" + name);
  if (fsync(*fd) != 0)
    return base::fail(ErrorKind::DiskFull, "cannot sync " + files_->folder + "/" + name + ": " + std::strerror(errno));
  files_->open.at(name).unsynced = false;
  if (files_->unsynced_entries.contains(name)) {
    if (fsync(files_->folder_fd) != 0)
      return base::fail(ErrorKind::DiskFull, "cannot sync " + files_->folder + ": " + std::strerror(errno));
    files_->unsynced_entries.erase(name);
  }
  return {};
}

base::Result<> PosixDisk::remove(const std::string& name) {
  const std::lock_guard guard(files_->mutex);
  if (auto it = files_->open.find(name); it != files_->open.end()) {
    close(it->second.fd);
    files_->open.erase(it);
  }
  files_->unsynced_entries.erase(name);
  if (unlinkat(files_->folder_fd, name.c_str(), 0) != 0 && errno != ENOENT) {
    return base::fail(error_of(errno, "cannot remove " + files_->folder + "/" + name));
  }
  if (fsync(files_->folder_fd) != 0) return base::fail(error_of(errno, "cannot sync " + files_->folder));
  return {};
}

base::Result<std::vector<std::string>> PosixDisk::list() {
  std::error_code ec;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator it(files_->folder, ec), end; !ec && it != end; it.increment(ec)) {
    if (it->is_regular_file(ec)) names.push_back(it->path().filename().string());
  }
  if (ec) return base::fail(error_of(ec.value(), "cannot list " + files_->folder));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace moveout::state
