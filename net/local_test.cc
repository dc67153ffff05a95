#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <fstream>

#include "base/task_group.h"
#include "net/runtime.h"
#include "net/signals.h"
#include "net/unix_socket.h"

using namespace moveout;
using namespace moveout::net;
namespace asio = boost::asio;
using base::ErrorKind;

namespace {

using Reply = base::Result<std::string>;

base::Task<> sleep(int ms) {
  asio::steady_timer timer(co_await base::this_executor, std::chrono::milliseconds(ms));
  co_await timer.async_wait(asio::use_awaitable);
}

base::Task<std::string> shout(std::string line) {
  if (line == "hang") co_await sleep(3600'000);
  for (char& c : line) c = static_cast<char>(std::toupper(c));
  co_return line;
}

// A folder of the test's own, gone at the end.
struct Folder {
  Folder() : path("/tmp/moveout-test-XXXXXX") { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

// Runs `ask` beside a server, which is cancelled after it.
template <class Ask>
void beside(Runtime& runtime, UnixServer& server, Ask ask) {
  REQUIRE(runtime.run([](UnixServer& s, Ask a) -> base::Task<base::Result<>> {
    base::TaskGroup group(co_await base::this_executor);
    group.start(s.run());
    co_await a();
    co_await group.stop();
    co_return base::Result<>();
  }(server, ask)));
}

std::unique_ptr<UnixServer> serve(Runtime& runtime, const std::string& path) {
  auto server = UnixServer::listen(runtime.executor(), path, shout);
  REQUIRE(server);
  return std::move(*server);
}

}  // namespace

TEST_CASE("a line asked is a line answered, by several at once and long ones too") {
  const Folder folder;
  const std::string path = folder.path + "/s.sock";
  Runtime runtime;
  const auto server = serve(runtime, path);
  struct stat status = {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  beside(runtime, *server, [path]() -> base::Task<> {
    const Reply reply = co_await ask_unix(path, "hello", base::Millis(5000));
    REQUIRE(reply);
    CHECK(*reply == "HELLO");
    const Reply long_reply = co_await ask_unix(path, std::string(500'000, 'x'), base::Millis(5000));
    REQUIRE(long_reply);
    CHECK(*long_reply == std::string(500'000, 'X'));
    const Reply empty = co_await ask_unix(path, "", base::Millis(5000));
    REQUIRE(empty);
    CHECK(empty->empty());
  });
}

TEST_CASE("a request longer than its bound ends the connection, and an answer that takes too long the wait") {
  const Folder folder;
  const std::string path = folder.path + "/s.sock";
  Runtime runtime;
  const auto server = serve(runtime, path);
  beside(runtime, *server, [path]() -> base::Task<> {
    const Reply endless = co_await ask_unix(path, std::string(line_bytes_max + 1, 'x'), base::Millis(5000));
    REQUIRE_FALSE(endless);
    CHECK(endless.error().kind == ErrorKind::Unavailable);
    const auto begun = std::chrono::steady_clock::now();
    const Reply late = co_await ask_unix(path, "hang", base::Millis(50));
    REQUIRE_FALSE(late);
    CHECK(late.error().kind == ErrorKind::Unavailable);
    CHECK(late.error().what.find("in time") != std::string::npos);
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(2));
  });
}

TEST_CASE("where nobody listens it is said, and a socket left behind by a killed process is replaced") {
  const Folder folder;
  const std::string path = folder.path + "/s.sock";
  const auto ask = [&path](ErrorKind kind) {
    Runtime runtime;
    REQUIRE(runtime.run([](std::string p, ErrorKind k) -> base::Task<base::Result<>> {
      const Reply reply = co_await ask_unix(p, "hello", base::Millis(1000));
      REQUIRE_FALSE(reply);
      CHECK(reply.error().kind == k);
      co_return base::Result<>();
    }(path, kind)));
  };
  ask(ErrorKind::NotFound);
  {
    // What a kill -9 leaves: the file, and nobody behind it.
    asio::io_context io;
    asio::local::stream_protocol::acceptor left(io, asio::local::stream_protocol::endpoint(path));
  }
  REQUIRE(std::filesystem::exists(path));
  ask(ErrorKind::NotFound);
  Runtime runtime;
  auto server = serve(runtime, path);
  const auto second = UnixServer::listen(runtime.executor(), path, shout);
  REQUIRE_FALSE(second);
  CHECK(second.error().kind == ErrorKind::Conflict);
  server.reset();
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the control socket's path is short and in a folder of this user alone") {
  const Folder folder;
  ::setenv("XDG_RUNTIME_DIR", folder.path.c_str(), 1);
  const auto path = control_socket_path("0123456789abcdef");
  REQUIRE(path);
  CHECK(*path == folder.path + "/moveout/0123456789abcdef.sock");
  struct stat status = {};
  REQUIRE(::stat((folder.path + "/moveout").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);

  // Too long, or a link that someone else may steer: the other folder.
  const std::string other = "/tmp/moveout-" + std::to_string(::geteuid()) + "/0123456789abcdef.sock";
  const std::string deep = folder.path + "/" + std::string(90, 'd');
  std::filesystem::create_directory(deep);
  ::setenv("XDG_RUNTIME_DIR", deep.c_str(), 1);
  CHECK(control_socket_path("0123456789abcdef") == base::Result<std::string>(other));
  std::filesystem::create_directory(folder.path + "/linked");
  std::filesystem::create_directory_symlink(folder.path, folder.path + "/linked/moveout");
  ::setenv("XDG_RUNTIME_DIR", (folder.path + "/linked").c_str(), 1);
  CHECK(control_socket_path("0123456789abcdef") == base::Result<std::string>(other));
  ::unsetenv("XDG_RUNTIME_DIR");
  CHECK(control_socket_path("0123456789abcdef") == base::Result<std::string>(other));
  CHECK_FALSE(control_socket_path(std::string(100, 'n')));
}

TEST_CASE("a signal reaches the coroutine that waits for it, and the next one ends the process at once") {
  const auto child = [](bool twice) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::signal(SIGABRT, SIG_DFL);
    Runtime runtime;
    int number = 0;
    const auto ran = runtime.run([](int& n) -> base::Task<base::Result<>> {
      base::TaskGroup group(co_await base::this_executor);
      group.start([]() -> base::Task<base::Result<>> {
        co_await sleep(10);
        ::raise(SIGTERM);
        co_return base::Result<>();
      }());
      n = co_await wait_for_stop_signal();
      co_return co_await group.wait();
    }(number));
    if (twice) ::raise(SIGINT);
    ::_exit(ran && number == SIGTERM ? 77 : 78);
  };
  for (const bool twice : {false, true}) {
    CAPTURE(twice);
    int status = 0;
    const pid_t pid = child(twice);
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == (twice ? exit_at_once : 77));
  }
}

TEST_CASE("a wait for signals that is cancelled leaves the process as it was") {
  struct sigaction before = {}, during = {}, after = {};
  ::sigaction(SIGTERM, nullptr, &before);
  Runtime runtime;
  REQUIRE(runtime.run([](struct sigaction& seen) -> base::Task<base::Result<>> {
    base::TaskGroup group(co_await base::this_executor);
    group.start([]() -> base::Task<base::Result<>> {
      co_await wait_for_stop_signal();
      co_return base::Result<>();
    }());
    co_await sleep(5);
    ::sigaction(SIGTERM, nullptr, &seen);
    co_await group.stop();
    co_return base::Result<>();
  }(during)));
  ::sigaction(SIGTERM, nullptr, &after);
  CHECK((during.sa_handler != before.sa_handler));
  CHECK((after.sa_handler == before.sa_handler));
}
