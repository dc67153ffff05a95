#include "state/run_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

namespace moveout::state {
namespace {

using base::ErrorKind;

std::string path_of(const std::string& folder) { return folder + "/lock"; }

// Open file description locks: a second open in the same process conflicts too, and closing another descriptor of the
// file does not let go of the lock.
struct flock whole_file(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

int pid_in(int fd) {
  char text[32];
  const ssize_t size = pread(fd, text, sizeof text, 0);
  int pid = 0;
  if (size > 0) std::from_chars(text, text + size, pid);
  return pid;
}

base::Error error_of(int number, const std::string& what) {
  const ErrorKind kind = number == ENOSPC || number == EDQUOT ? ErrorKind::DiskFull : ErrorKind::Usage;
  return {kind, what + ": " + std::strerror(number)};
}

}  // namespace

base::Result<std::unique_ptr<RunLock>> RunLock::take(const std::string& folder) {
  std::error_code ec;
  const bool made = std::filesystem::create_directories(folder, ec);
  if (ec) return base::fail(error_of(ec.value(), "cannot make the state folder " + folder));
  // It holds item data: nobody else may look into it. A folder that was there with other things keeps its mode; what is
  // made in it is closed to others all the same.
  const bool empty = !made && std::filesystem::is_empty(folder, ec) && !ec;
  if ((made || empty) && chmod(folder.c_str(), 0700) != 0) {
    return base::fail(error_of(errno, "cannot protect the state folder " + folder));
  }
  const int fd = ::open(path_of(folder).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return base::fail(error_of(errno, "cannot open " + path_of(folder)));
  std::unique_ptr<RunLock> lock(new RunLock(fd));
  struct flock request = whole_file(F_WRLCK);
  if (fcntl(fd, F_OFD_SETLK, &request) != 0) {
    if (errno != EAGAIN && errno != EACCES) return base::fail(error_of(errno, "cannot lock " + path_of(folder)));
    return base::fail(ErrorKind::RunLocked, "the run in " + folder + " belongs to process " +
                                                std::to_string(pid_in(fd)) +
                                                ": wait for its end, or stop it, then give the same command again");
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return base::fail(error_of(errno, "cannot write " + path_of(folder)));
  }
  return lock;
}

base::Result<int> RunLock::holder(const std::string& folder) {
  const int fd = ::open(path_of(folder).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return 0;
    return base::fail(error_of(errno, "cannot open " + path_of(folder)));
  }
  // Only asks: a lock taken for a look would make a run that starts now believe it is locked out.
  struct flock request = whole_file(F_WRLCK);
  base::Result<int> pid = 0;
  if (fcntl(fd, F_OFD_GETLK, &request) != 0) {
    pid = base::fail(error_of(errno, "cannot ask for the lock on " + path_of(folder)));
  } else if (request.l_type != F_UNLCK) {
    pid = pid_in(fd);
  }
  close(fd);
  return pid;
}

RunLock::~RunLock() { close(fd_); }

}  // namespace moveout::state
