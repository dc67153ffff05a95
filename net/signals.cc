#include "net/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "base/error.h"

namespace moveout::net {

namespace asio = boost::asio;

namespace {

// A handler has no other way to reach anything: what it touches is lock-free and stands for the process's life.
std::atomic<int> pipe_end = -1;
std::atomic<bool> seen = false;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

extern "C" void on_stop_signal(int number) {
  const int saved = errno;
  if (seen.exchange(true)) ::_exit(exit_at_once);
  const char byte = static_cast<char>(number);
  // The pipe holds more than the one byte that is ever written to it.
  [[maybe_unused]] const ssize_t written = ::write(pipe_end.load(), &byte, 1);
  errno = saved;
}

// The handlers, from construction until the end of the process if a signal came, and else until destruction.
class Installed {
 public:
  Installed() {
    MOVEOUT_ASSERT(pipe_end.load() == -1);
    int ends[2];
    MOVEOUT_ASSERT(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    read_end = ends[0];
    pipe_end = ends[1];
    seen = false;
    struct sigaction action = {};
    action.sa_handler = on_stop_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    MOVEOUT_ASSERT(::sigaction(SIGINT, &action, &before_int_) == 0);
    MOVEOUT_ASSERT(::sigaction(SIGTERM, &action, &before_term_) == 0);
  }
  Installed(const Installed&) = delete;
  Installed& operator=(const Installed&) = delete;
  ~Installed() {
    if (!keep && !seen) {
      ::sigaction(SIGINT, &before_int_, nullptr);
      ::sigaction(SIGTERM, &before_term_, nullptr);
    }
    ::close(pipe_end.exchange(-1));
  }

  int read_end = -1;
  bool keep = false;

 private:
  struct sigaction before_int_ = {};
  struct sigaction before_term_ = {};
};

}  // namespace

base::Task<int> wait_for_stop_signal() {
  const base::Executor executor = co_await base::this_executor;
  Installed installed;
  asio::posix::stream_descriptor descriptor(executor, installed.read_end);
  unsigned char number = 0;
  co_await descriptor.async_read_some(asio::buffer(&number, 1), asio::use_awaitable);
  installed.keep = true;
  co_return number;
}

}  // namespace moveout::net
