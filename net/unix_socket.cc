#include "net/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
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

#include "base/task_group.h"

namespace moveout::net {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

constexpr std::size_t kLineMax = 64 * 1024;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

bool same_user(stream_protocol::socket& socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::getuid();
}

// A peer that sends nothing is not waited for for ever.
void cut_off_after(stream_protocol::socket& socket, asio::steady_timer& timer, base::Millis wait) {
  timer.expires_after(wait);
  timer.async_wait([&socket](boost::system::error_code ec) {
    if (!ec) socket.close(ec);
  });
}

}  // namespace

Result<std::string> control_socket_path(const std::string& name) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  std::string folder = runtime != nullptr && *runtime == '/' && std::strlen(runtime) < 60
                           ? std::string(runtime) + "/moveout"
                           : "/tmp/moveout-" + std::to_string(::getuid());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(ErrorKind::Usage, folder + ": cannot be made: " + std::strerror(errno));
  }
  struct stat about{};
  if (::lstat(folder.c_str(), &about) != 0 || !S_ISDIR(about.st_mode) || about.st_uid != ::getuid() ||
      (about.st_mode & 077) != 0) {
    return fail(ErrorKind::Usage,
                folder + " is not a folder of this user alone (0700): the control socket would not be safe there");
  }
  return folder + "/" + name + ".sock";
}

struct UnixServer::State {
  State(base::Executor e, std::string p, Handler h)
      : executor(e), acceptor(e), path(std::move(p)), handler(std::move(h)), group(e) {}
  base::Executor executor;
  stream_protocol::acceptor acceptor;
  std::string path;
  Handler handler;
  base::TaskGroup group;

  Task<Result<>> accept();
  Task<Result<>> serve(stream_protocol::socket socket);
};

UnixServer::UnixServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
UnixServer::~UnixServer() { ::unlink(state_->path.c_str()); }

Result<std::unique_ptr<UnixServer>> UnixServer::listen(base::Executor executor, std::string path, Handler handler) {
  auto state = std::make_shared<State>(std::move(executor), path, std::move(handler));
  ::unlink(path.c_str());
  boost::system::error_code ec;
  state->acceptor.open(stream_protocol(), ec);
  if (!ec) state->acceptor.bind(stream_protocol::endpoint(path), ec);
  if (!ec) state->acceptor.listen(8, ec);
  if (ec) return fail(ErrorKind::Usage, "control socket " + path + ": " + ec.message());
  return std::unique_ptr<UnixServer>(new UnixServer(std::move(state)));
}

Task<Result<>> UnixServer::run() {
  std::shared_ptr<State> state = state_;
  state->group.start(state->accept());
  co_return co_await state->group.wait_or_stop();
}

Task<Result<>> UnixServer::State::accept() {
  for (;;) {
    auto [ec, socket] = co_await acceptor.async_accept(kNoThrow);
    if (ec == asio::error::operation_aborted) throw boost::system::system_error(ec);
    // Out of descriptors or the like: the control socket is a convenience, the move goes on.
    if (ec) continue;
    group.start(serve(std::move(socket)));
  }
}

Task<Result<>> UnixServer::State::serve(stream_protocol::socket socket) {
  if (!same_user(socket)) co_return Result<>();
  asio::steady_timer timer(executor);
  cut_off_after(socket, timer, base::Millis(10000));
  std::string line;
  auto [ec, size] = co_await asio::async_read_until(socket, asio::dynamic_buffer(line, kLineMax), '\n', kNoThrow);
  timer.cancel();
  if (ec) co_return Result<>();
  line.resize(size - 1);
  const std::string answer = co_await handler(std::move(line)) + "\n";
  cut_off_after(socket, timer, base::Millis(10000));
  // Whether the asker still listens is its own affair.
  co_await asio::async_write(socket, asio::buffer(answer), kNoThrow);
  timer.cancel();
  co_return Result<>();
}

Task<Result<std::string>> ask_unix(std::string path, std::string line, base::Millis timeout) {
  stream_protocol::socket socket(co_await base::this_executor);
  auto [refused] = co_await socket.async_connect(stream_protocol::endpoint(path), kNoThrow);
  if (refused) co_return fail(ErrorKind::NotFound, "nobody listens on " + path + ": " + refused.message());
  asio::steady_timer timer(co_await base::this_executor);
  cut_off_after(socket, timer, timeout);
  line += '\n';
  auto [write_error, written] = co_await asio::async_write(socket, asio::buffer(line), kNoThrow);
  std::string answer;
  boost::system::error_code read_error = write_error;
  if (!write_error) {
    auto [ec, size] =
        co_await asio::async_read_until(socket, asio::dynamic_buffer(answer, 16 * kLineMax), '\n', kNoThrow);
    read_error = ec;
    if (!ec) answer.resize(size - 1);
  }
  timer.cancel();
  if (read_error) co_return fail(ErrorKind::Unavailable, path + ": no answer: " + read_error.message());
  co_return answer;
}

}  // namespace moveout::net
