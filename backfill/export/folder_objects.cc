#include "backfill/export/folder_objects.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;
namespace fs = std::filesystem;

// An open file that closes itself.
struct File {
  int fd = -1;
  struct stat status{};
  explicit File(int descriptor) : fd(descriptor) {}
  File(File&& other) noexcept : fd(std::exchange(other.fd, -1)), status(other.status) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

Result<File> open_file(const std::string& path) {
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd < 0 || ::fstat(file.fd, &file.status) != 0) {
    const bool absent = errno == ENOENT || errno == ENOTDIR;
    return base::fail(absent ? ErrorKind::NotFound : ErrorKind::Usage, path + ": " + std::strerror(errno));
  }
  if (!S_ISREG(file.status.st_mode)) return base::fail(ErrorKind::Usage, path + " is no plain file");
  return file;
}

StoredObject object_of(std::string name, const struct stat& status) {
  return {std::move(name), static_cast<std::uint64_t>(status.st_size),
          fmt::format("{}.{}-{}-{}", status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino, status.st_size)};
}

Result<std::string> read_file(const std::string& path, const StoredObject& object, std::uint64_t offset,
                              std::uint64_t size) {
  Result<File> file = open_file(path);
  if (!file) return base::fail(file.error());
  if (object_of(object.name, file->status).tag != object.tag) {
    return base::fail(ErrorKind::Conflict, path + " changed while it was read");
  }
  std::string bytes(static_cast<std::size_t>(std::min(size, object.size - std::min(offset, object.size))), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(file->fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail(ErrorKind::Corrupt, path + " cannot be read: " + std::strerror(errno));
    if (got == 0) return base::fail(ErrorKind::Conflict, path + " became shorter while it was read");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

// Of the names under the folder that the prefix ends in.
Result<std::vector<StoredObject>> list_files(const std::string& folder, const std::string& prefix) {
  std::vector<StoredObject> found;
  const std::string below = prefix.substr(0, prefix.rfind('/') + 1);
  std::error_code error;
  fs::recursive_directory_iterator at(folder + "/" + below, fs::directory_options::skip_permission_denied, error);
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) return found;
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    struct stat status{};
    if (::stat(at->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    std::string name = below + at->path().lexically_relative(folder + "/" + below).string();
    if (name.starts_with(prefix)) found.push_back(object_of(std::move(name), status));
  }
  if (error) return base::fail(ErrorKind::Usage, folder + "/" + below + ": " + error.message());
  std::ranges::sort(found, {}, &StoredObject::name);
  return found;
}

}  // namespace

Task<Result<StoredObject>> FolderObjects::look(std::string name) {
  co_return co_await worker_.call([this, &name]() -> Result<StoredObject> {
    Result<File> file = open_file(where(name));
    if (!file) return base::fail(file.error());
    return object_of(name, file->status);
  });
}

Task<Result<std::vector<StoredObject>>> FolderObjects::list(std::string prefix) {
  co_return co_await worker_.call([this, &prefix] { return list_files(folder_, prefix); });
}

Task<Result<std::string>> FolderObjects::read(StoredObject object, std::uint64_t offset, std::uint64_t size) {
  co_return co_await worker_.call([&, this] { return read_file(where(object.name), object, offset, size); });
}

std::string FolderObjects::where(const std::string& name) const { return folder_ + "/" + name; }

}  // namespace moveout::backfill
