#include "net/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "base/signal.h"
#include "base/task_group.h"
#include "net/deadlines.h"

namespace moveout::net {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;
using ErrorCode = boost::system::error_code;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

// sun_path has 108 bytes on Linux and 104 elsewhere.
constexpr std::size_t path_bytes_max = 99;
constexpr std::size_t connections_max = 32;
constexpr std::chrono::minutes idle_time{1};

std::string errno_text() { return std::generic_category().message(errno); }

// A folder of ours alone: made if absent.
Result<> private_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(ErrorKind::Usage, "cannot make the folder " + path + ": " + errno_text());
  }
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return fail(ErrorKind::Usage, path + ": " + errno_text());
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid()) {
    return fail(ErrorKind::Usage, path + " is not a folder of this user: someone else may have put it there");
  }
  if ((status.st_mode & 077) != 0 && ::chmod(path.c_str(), 0700) != 0) {
    return fail(ErrorKind::Usage, path + " is open to others: " + errno_text());
  }
  return {};
}

// Us or root, at the other end.
bool is_ours(stream_protocol::socket& socket) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

Result<stream_protocol::endpoint> endpoint_of(const std::string& path) {
  if (path.empty() || path.size() > path_bytes_max) {
    return fail(ErrorKind::Usage, "a socket's path is at most " + std::to_string(path_bytes_max) + " bytes: " + path);
  }
  return stream_protocol::endpoint(path);
}

// Closes its socket when it is late, so that what is pending ends.
struct Line : Deadlines::Watched {
  explicit Line(stream_protocol::socket s) : socket(std::move(s)) {}
  void expire() {
    expired = true;
    ErrorCode ignored;  // the descriptor is gone either way
    socket.close(ignored);
  }
  stream_protocol::socket socket;
  bool expired = false;
  std::string in;
};

void throw_if_cancelled(const ErrorCode& ec, const Line& line) {
  if (ec == asio::error::operation_aborted && !line.expired) throw boost::system::system_error(ec);
}

// The next line without its end; false when there is none.
Task<bool> read_line(Line& line, std::string& out) {
  const auto [ec, size] =
      co_await asio::async_read_until(line.socket, asio::dynamic_buffer(line.in, line_bytes_max), '\n', as_result);
  throw_if_cancelled(ec, line);
  if (ec) co_return false;
  out = line.in.substr(0, size - 1);
  line.in.erase(0, size);
  co_return true;
}

Task<bool> write_line(Line& line, std::string text) {
  MOVEOUT_ASSERT(text.find('\n') == std::string::npos);
  text += '\n';
  const auto [ec, size] = co_await asio::async_write(line.socket, asio::buffer(text), as_result);
  throw_if_cancelled(ec, line);
  co_return !ec;
}

}  // namespace

Result<std::string> control_socket_path(std::string name) {
  const std::string file = "/" + name + ".sock";
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/') {
    const std::string folder = std::string(runtime) + "/moveout";
    if (folder.size() + file.size() <= path_bytes_max && private_folder(folder)) return folder + file;
  }
  const std::string folder = "/tmp/moveout-" + std::to_string(::geteuid());
  if (auto made = private_folder(folder); !made) return fail(made.error());
  if (folder.size() + file.size() > path_bytes_max)
    return fail(ErrorKind::Usage, "too long a name for a socket: " + name);
  return folder + file;
}

struct UnixServer::State {
  State(base::Executor e, std::string p, Handler h)
      : executor(e),
        path(std::move(p)),
        handler(std::move(h)),
        acceptor(e),
        ended(e),
        group(e),
        deadlines(e, [](Deadlines::Watched& late) { static_cast<Line&>(late).expire(); }) {}

  base::Executor executor;
  std::string path;
  Handler handler;
  stream_protocol::acceptor acceptor;
  ino_t inode = 0;
  base::Signal ended;
  base::TaskGroup group;
  std::size_t open = 0;
  Deadlines deadlines;

  Result<> listen();
  static Task<Result<>> accept_loop(std::shared_ptr<State> self);
  static Task<Result<>> serve(std::shared_ptr<State> self, std::unique_ptr<Line> line);
};

Result<> UnixServer::State::listen() {
  const auto endpoint = endpoint_of(path);
  if (!endpoint) return fail(endpoint.error());
  ErrorCode ec;
  stream_protocol::socket probe(executor);
  probe.connect(*endpoint, ec);
  if (!ec) return fail(ErrorKind::Conflict, "another process listens on " + path);
  ::unlink(path.c_str());
  acceptor.open(stream_protocol(), ec);
  if (!ec) acceptor.bind(*endpoint, ec);
  if (!ec && ::chmod(path.c_str(), 0600) != 0) ec = ErrorCode(errno, boost::system::generic_category());
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return fail(ErrorKind::Usage, "cannot listen on " + path + ": " + ec.message());
  struct stat status = {};
  if (::stat(path.c_str(), &status) == 0) inode = status.st_ino;
  return {};
}

Result<std::unique_ptr<UnixServer>> UnixServer::listen(base::Executor executor, std::string path, Handler handler) {
  auto state = std::make_shared<State>(std::move(executor), std::move(path), std::move(handler));
  if (auto listening = state->listen(); !listening) return fail(listening.error());
  return std::unique_ptr<UnixServer>(new UnixServer(std::move(state)));
}

UnixServer::UnixServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

UnixServer::~UnixServer() {
  // Only our own file: a later server may have replaced it.
  struct stat status = {};
  if (::stat(state_->path.c_str(), &status) == 0 && status.st_ino == state_->inode) ::unlink(state_->path.c_str());
}

Task<Result<>> UnixServer::run() {
  const std::shared_ptr<State> state = state_;
  co_return co_await state->group.run_beside(State::accept_loop(state));
}

Task<Result<>> UnixServer::State::accept_loop(std::shared_ptr<State> self) {
  for (;;) {
    while (self->open >= connections_max) co_await self->ended.wait();
    stream_protocol::socket socket(self->executor);
    const auto [ec] = co_await self->acceptor.async_accept(socket, as_result);
    if (ec == asio::error::operation_aborted) throw boost::system::system_error(ec);
    if (ec) {
      // Out of descriptors: what helps is that others end.
      asio::steady_timer pause(self->executor, std::chrono::milliseconds(50));
      co_await pause.async_wait(asio::use_awaitable);
      continue;
    }
    if (!is_ours(socket)) continue;
    ++self->open;
    self->group.start(serve(self, std::make_unique<Line>(std::move(socket))));
  }
}

Task<Result<>> UnixServer::State::serve(std::shared_ptr<State> self, std::unique_ptr<Line> line) {
  struct Leave {
    State& state;
    Line& line;
    ~Leave() {
      state.deadlines.remove(line);
      --state.open;
      state.ended.notify_all();
    }
  } leave{*self, *line};
  self->deadlines.add(*line);
  for (std::string request;;) {
    self->deadlines.set(*line, std::chrono::steady_clock::now() + idle_time);
    if (!co_await read_line(*line, request)) co_return Result<>();
    self->deadlines.set(*line, TimePoint::max());
    std::string reply = co_await self->handler(std::move(request));
    self->deadlines.set(*line, std::chrono::steady_clock::now() + idle_time);
    if (!co_await write_line(*line, std::move(reply))) co_return Result<>();
  }
}

Task<Result<std::string>> ask_unix(std::string path, std::string line, base::Millis timeout) {
  const base::Executor executor = co_await base::this_executor;
  const auto endpoint = endpoint_of(path);
  if (!endpoint) co_return fail(endpoint.error());
  Line peer{stream_protocol::socket(executor)};
  const auto [ec] = co_await peer.socket.async_connect(*endpoint, as_result);
  throw_if_cancelled(ec, peer);
  if (ec == boost::system::errc::permission_denied) co_return fail(ErrorKind::Denied, path + " is another user's");
  if (ec) co_return fail(ErrorKind::NotFound, "nobody listens on " + path + ": " + ec.message());
  if (!is_ours(peer.socket)) co_return fail(ErrorKind::Denied, path + " is served by another user");
  Deadlines deadlines(executor, [](Deadlines::Watched& late) { static_cast<Line&>(late).expire(); });
  deadlines.add(peer);
  deadlines.set(peer, std::chrono::steady_clock::now() + timeout);
  std::string reply;
  const bool whole = co_await write_line(peer, std::move(line)) && co_await read_line(peer, reply);
  deadlines.remove(peer);
  if (!whole) {
    const std::string why = peer.expired ? "no answer in time" : "the connection was closed";
    co_return fail(ErrorKind::Unavailable, path + ": " + why);
  }
  co_return reply;
}

}  // namespace moveout::net
