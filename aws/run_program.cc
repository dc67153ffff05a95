#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "aws/environment.h"

extern char** environ;

namespace moveout::aws {
namespace {

constexpr std::size_t kOutputBytesMax = 64 * 1024;

struct Descriptor {
  int fd = -1;
  ~Descriptor() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

struct SpawnSettings {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  SpawnSettings() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

// Starts it in a process group of its own, so that its children can be ended with it. 0 on success, else errno.
int spawn(const std::vector<std::string>& argv, int output, pid_t* pid) {
  SpawnSettings settings;
  posix_spawn_file_actions_addopen(&settings.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&settings.files, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&settings.files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // Signals as a fresh process has them: the mover blocks and ignores some of its own.
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&settings.attributes, &none);
  posix_spawnattr_setsigdefault(&settings.attributes, &all);
  posix_spawnattr_setpgroup(&settings.attributes, 0);
  posix_spawnattr_setflags(&settings.attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  return posix_spawnp(pid, words[0], &settings.files, &settings.attributes, words.data(), environ);
}

// Reads to the end of the output. False past the deadline, or when there is too much.
bool read_output(int fd, base::Steady deadline, const base::Clock& clock, std::string* out) {
  std::array<char, 4096> piece;
  for (;;) {
    const auto left = std::chrono::ceil<base::Millis>(deadline - clock.steady());
    if (left.count() <= 0) return false;
    pollfd wait{fd, POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) return true;
    out->append(piece.data(), static_cast<std::size_t>(got));
    if (out->size() > kOutputBytesMax) return false;
  }
}

// Waits for its end, until the deadline; then it is killed with its children. False when it had to be.
bool wait_for_end(pid_t pid, base::Steady deadline, const base::Clock& clock, int* status) {
  for (;;) {
    const pid_t ended = ::waitpid(pid, status, WNOHANG);
    if (ended == pid) return true;
    if (ended < 0 && errno != EINTR) return true;
    if (clock.steady() >= deadline) break;
    ::poll(nullptr, 0, 10);
  }
  ::kill(-pid, SIGKILL);
  while (::waitpid(pid, status, 0) < 0 && errno == EINTR) {
  }
  return false;
}

}  // namespace

base::Result<std::string> run_program(const std::vector<std::string>& argv, base::Millis time_limit,
                                      const base::Clock& clock) {
  MOVEOUT_ASSERT(!argv.empty());
  const auto refuse = [&](const std::string& why) {
    return base::fail(base::ErrorKind::Usage, "the program " + argv[0] + " " + why);
  };
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return refuse(std::string("got no pipe: ") + std::strerror(errno));
  Descriptor read_end{ends[0]};
  Descriptor write_end{ends[1]};
  pid_t pid = 0;
  if (const int error = spawn(argv, write_end.fd, &pid)) {
    return refuse(std::string("cannot be started: ") + std::strerror(error));
  }
  write_end.close();
  std::string output;
  const base::Steady deadline = clock.steady() + time_limit;
  const bool whole = read_output(read_end.fd, deadline, clock, &output);
  if (!whole) ::kill(-pid, SIGKILL);
  int status = 0;
  const bool ended = wait_for_end(pid, deadline, clock, &status);
  if (!whole || !ended) {
    return refuse(output.size() > kOutputBytesMax
                      ? "wrote more than 64 KB"
                      : "did not end within " + std::to_string(time_limit.count() / 1000) + " s");
  }
  if (WIFSIGNALED(status)) return refuse("was ended by signal " + std::to_string(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) {
    return refuse("ended with status " + std::to_string(WEXITSTATUS(status)) +
                  " (what it wrote is not shown, it may hold secrets; run it by hand)");
  }
  return output;
}

}  // namespace moveout::aws
