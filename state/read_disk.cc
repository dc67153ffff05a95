#include "state/read_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>

namespace moveout::state {
namespace {

using base::ErrorKind;
using base::Result;

// What a disk that is only read refuses.
class ReadOnly : public base::Disk {
 public:
  Result<> append(const std::string& name, std::string_view) override { return refuse(name); }
  Result<> truncate(const std::string& name, std::uint64_t) override { return refuse(name); }
  Result<> sync(const std::string& name) override { return refuse(name); }
  Result<> remove(const std::string& name) override { return refuse(name); }
  Result<std::vector<std::string>> list() override { return base::fail(ErrorKind::Usage, "this folder is not listed"); }

 private:
  static Result<> refuse(const std::string& name) {
    return base::fail(ErrorKind::Usage, "file " + name + " is only read");
  }
};

// Called from several workers.
class FolderDisk final : public ReadOnly {
 public:
  explicit FolderDisk(std::string folder) : folder_(std::move(folder)) {}
  ~FolderDisk() override {
    for (const auto& [name, fd] : open_) ::close(fd);
  }

  Result<std::string> read(const std::string& name, std::uint64_t offset, std::size_t size) override {
    const Result<int> fd = file(name);
    if (!fd) return base::fail(fd.error());
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = ::pread(*fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return base::fail(ErrorKind::Corrupt, "cannot read " + path(name) + ": " + std::strerror(errno));
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }
  Result<std::uint64_t> size(const std::string& name) override {
    const Result<int> fd = file(name);
    if (!fd && fd.error().kind == ErrorKind::NotFound) return std::uint64_t{0};
    if (!fd) return base::fail(fd.error());
    struct stat status{};
    if (::fstat(*fd, &status) != 0) return base::fail(ErrorKind::Usage, path(name) + ": " + std::strerror(errno));
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  std::string path(const std::string& name) const { return (std::filesystem::path(folder_) / name).string(); }

  Result<int> file(const std::string& name) {
    const std::lock_guard guard(mutex_);
    if (const auto it = open_.find(name); it != open_.end()) return it->second;
    for (const std::filesystem::path& part : std::filesystem::path(name)) MOVEOUT_ASSERT(part != "..");
    const int fd = ::open(path(name).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      return base::fail(errno == ENOENT ? ErrorKind::NotFound : ErrorKind::Usage,
                        "cannot open " + path(name) + ": " + std::strerror(errno));
    }
    struct stat status{};
    if (::fstat(fd, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
      ::close(fd);
      return base::fail(ErrorKind::Usage,
                        path(name) + (S_ISDIR(status.st_mode) ? " is a folder"
                                                              : " is no file that can be read again after a stop: give "
                                                                "it to standard input, and - as its name"));
    }
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return open_.emplace(name, fd).first->second;
  }

  std::string folder_;
  std::mutex mutex_;
  std::map<std::string, int> open_;
};

class StdinDisk final : public ReadOnly {
 public:
  Result<std::string> read(const std::string&, std::uint64_t offset, std::size_t size) override {
    constexpr std::size_t kSkip = std::size_t{1} << 20;
    if (offset < at_) return base::fail(ErrorKind::Usage, "standard input cannot be read again from an earlier byte");
    while (at_ < offset) {
      const Result<std::string> skipped = take(std::min<std::size_t>(kSkip, offset - at_));
      if (!skipped) return skipped;
      if (skipped->empty()) return std::string();
    }
    return take(size);
  }
  Result<std::uint64_t> size(const std::string&) override { return std::uint64_t{0}; }

 private:
  Result<std::string> take(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = ::read(STDIN_FILENO, bytes.data() + done, size - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        return base::fail(ErrorKind::Corrupt, std::string("cannot read standard input: ") + std::strerror(errno));
      }
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    at_ += done;
    bytes.resize(done);
    return bytes;
  }

  std::uint64_t at_ = 0;
};

}  // namespace

std::unique_ptr<base::Disk> make_read_disk(std::string folder) {
  return std::make_unique<FolderDisk>(std::move(folder));
}

std::unique_ptr<base::Disk> make_stdin_disk() { return std::make_unique<StdinDisk>(); }

}  // namespace moveout::state
