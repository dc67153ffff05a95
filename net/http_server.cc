#include "net/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>

#include "base/signal.h"
#include "base/task_group.h"
#include "net/connection.h"
#include "net/wire.h"

namespace moveout::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

// What a refused peer may still be sending is read and dropped, so that our answer is not lost with a reset.
constexpr std::size_t linger_bytes_max = std::size_t{1} << 20;
constexpr std::chrono::seconds linger_time{1};

http::Response plain(int status, std::string text) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  *response.body = std::move(text);
  return response;
}

}  // namespace

struct HttpServer::State {
  State(base::Executor e, HttpServerOptions o, Handler h)
      : executor(e),
        options(std::move(o)),
        handler(std::move(h)),
        acceptor(e),
        changed(e),
        group(e),
        deadlines(e, [](Deadlines::Watched& late) { static_cast<Connection&>(late).expire(); }) {}

  base::Executor executor;
  HttpServerOptions options;
  Handler handler;
  tcp::acceptor acceptor;
  base::Signal changed;  // a connection has ended, or the grace
  base::TaskGroup group;
  Deadlines deadlines;
  std::shared_ptr<TlsContext> tls;
  std::set<Connection*> connections;
  bool stopping = false;

  void set_deadline(Connection& connection, base::Millis from_now) {
    deadlines.set(connection, std::chrono::steady_clock::now() + from_now);
  }

  static Task<Result<>> accept_loop(std::shared_ptr<State> self);
  static Task<Result<>> serve(std::shared_ptr<State> self, std::unique_ptr<Connection> connection);
  Task<Result<>> exchanges(Connection& connection);
  // The next request, or the status to refuse it with; an empty reason when there is none to answer.
  struct Refusal {
    int status;
    std::string reason;
  };
  Task<std::expected<http::Request, Refusal>> read_request(Connection& connection, bool& keep_alive);
  Task<bool> respond(Connection& connection, http::Response response, bool keep_alive, bool head_only);
  Task<> linger(Connection& connection);
};

Result<std::unique_ptr<HttpServer>> HttpServer::listen(base::Executor executor, HttpServerOptions options,
                                                       Handler handler) {
  const std::string where = options.address + ":" + std::to_string(options.port);
  auto state = std::make_shared<State>(executor, std::move(options), std::move(handler));
  if (!state->options.certificate.empty()) {
    auto tls = TlsContext::server(state->options.certificate, state->options.key);
    if (!tls) return fail(tls.error());
    state->tls = std::move(*tls);
  }
  ErrorCode ec;
  const tcp::endpoint at(asio::ip::make_address(state->options.address, ec), state->options.port);
  if (!ec) state->acceptor.open(at.protocol(), ec);
  if (!ec) state->acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) state->acceptor.bind(at, ec);
  if (!ec) state->acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return fail(ErrorKind::Usage, "cannot listen on " + where + ": " + ec.message());
  state->options.port = state->acceptor.local_endpoint().port();
  state->group.start(State::accept_loop(state));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() = default;

http::Endpoint HttpServer::endpoint() const {
  return {state_->tls != nullptr, state_->options.address, state_->options.port};
}

std::size_t HttpServer::connections() const { return state_->connections.size(); }

Task<Result<>> HttpServer::State::accept_loop(std::shared_ptr<State> self) {
  while (!self->stopping) {
    if (self->connections.size() >= self->options.connections_max) {
      co_await self->changed.wait();
      continue;
    }
    tcp::socket socket(self->executor);
    const auto [ec] = co_await self->acceptor.async_accept(socket, as_result);
    if (self->stopping) break;
    if (ec == asio::error::operation_aborted) throw boost::system::system_error(ec);
    if (ec) {
      // Out of descriptors, or the peer is gone already: what helps is that others end.
      asio::steady_timer pause(self->executor, std::chrono::milliseconds(50));
      co_await pause.async_wait(asio::use_awaitable);
      continue;
    }
    auto connection = std::make_unique<Connection>(std::move(socket));
    if (connection->stream.prepare()) continue;
    self->connections.insert(connection.get());
    self->group.start(serve(self, std::move(connection)));
  }
  co_return Result<>();
}

Task<Result<>> HttpServer::State::serve(std::shared_ptr<State> self, std::unique_ptr<Connection> connection) {
  // However the frame ends: what counts connections forgets this one.
  struct Leave {
    State& state;
    Connection& connection;
    ~Leave() {
      state.deadlines.remove(connection);
      state.connections.erase(&connection);
      state.changed.notify_all();
    }
  } leave{*self, *connection};
  self->deadlines.add(*connection);
  if (self->tls) {
    self->set_deadline(*connection, self->options.read_timeout);
    const ErrorCode ec = co_await connection->stream.handshake(self->tls->open_server());
    throw_if_cancelled(ec, *connection);
    if (ec) co_return Result<>();
  }
  co_return co_await self->exchanges(*connection);
}

Task<Result<>> HttpServer::State::exchanges(Connection& connection) {
  for (bool keep_alive = true; keep_alive && !stopping;) {
    auto request = co_await read_request(connection, keep_alive);
    if (!request) {
      if (request.error().status == 0) co_return Result<>();
      http::Response refusal = plain(request.error().status, request.error().reason + "\n");
      if (co_await respond(connection, std::move(refusal), false, false)) co_await linger(connection);
      co_return Result<>();
    }
    const bool head_only = request->method == "HEAD";
    deadlines.set(connection, TimePoint::max());
    http::Response response = co_await handler(std::move(*request));
    keep_alive = keep_alive && !stopping;
    if (!co_await respond(connection, std::move(response), keep_alive, head_only)) co_return Result<>();
  }
  co_return Result<>();
}

Task<std::expected<http::Request, HttpServer::State::Refusal>> HttpServer::State::read_request(Connection& connection,
                                                                                               bool& keep_alive) {
  using Refused = std::unexpected<Refusal>;
  set_deadline(connection, connection.in.empty() ? options.idle_timeout : options.read_timeout);
  if (connection.in.empty()) {
    connection.idle = true;
    const ErrorCode ec = co_await receive(connection, false);
    connection.idle = false;
    throw_if_cancelled(ec, connection);
    if (ec) co_return Refused({0, {}});
    set_deadline(connection, options.read_timeout);
  }
  const auto end = co_await receive_head(connection);
  if (!end && end.error().kind == ErrorKind::TooLarge) co_return Refused({431, end.error().what});
  if (!end || *end == 0) co_return Refused({0, {}});
  auto head = parse_request_head(std::string_view(connection.in).substr(0, *end));
  if (!head) co_return Refused({400, head.error().what});
  connection.in.erase(0, *end);
  if (head->headers.get("Host").empty()) co_return Refused({400, "no Host"});
  if (head->target.front() != '/') co_return Refused({400, "the target is not a path"});
  if (head->framing == Framing::Length && head->length > options.body_bytes_max) {
    co_return Refused({413, "the body is over its bound"});
  }
  if (head->expects_continue) {
    const Io io = co_await connection.stream.write_all("HTTP/1.1 100 Continue\r\n\r\n", {});
    throw_if_cancelled(io.ec, connection);
    if (io.ec) co_return Refused({0, {}});
  } else if (head->headers.has("Expect")) {
    co_return Refused({417, "unknown expectation"});
  }
  http::Request request;
  Result<> read;
  if (head->framing == Framing::Length) {
    read = co_await read_sized(connection, static_cast<std::size_t>(head->length), request.body);
  } else if (head->framing == Framing::Chunked) {
    read = co_await read_chunked(connection, options.body_bytes_max, request.body);
  }
  if (!read && read.error().kind == ErrorKind::TooLarge) co_return Refused({413, read.error().what});
  // Cut off, late or malformed: a peer that still listens is told.
  if (!read) co_return Refused({connection.stream.open() ? 400 : 0, read.error().what});
  keep_alive = head->keep_alive;
  request.method = std::move(head->method);
  request.target = std::move(head->target);
  request.headers = std::move(head->headers);
  request.endpoint = {tls != nullptr, options.address, options.port};
  co_return request;
}

Task<bool> HttpServer::State::respond(Connection& connection, http::Response response, bool keep_alive,
                                      bool head_only) {
  connection.out.clear();
  append_response_head(connection.out, response, response.body->size(), keep_alive);
  set_deadline(connection, options.write_timeout);
  const Io io = co_await connection.stream.write_all(connection.out,
                                                     head_only ? std::string_view() : std::string_view(*response.body));
  throw_if_cancelled(io.ec, connection);
  co_return !io.ec;
}

Task<> HttpServer::State::linger(Connection& connection) {
  ErrorCode ec;
  connection.stream.socket().shutdown(tcp::socket::shutdown_send, ec);
  set_deadline(connection, linger_time);
  std::size_t bytes = 0;
  while (!ec && bytes < linger_bytes_max) {
    connection.in.clear();
    ec = co_await receive(connection, false);
    throw_if_cancelled(ec, connection);
    bytes += connection.in.size();
  }
}

Task<> HttpServer::stop(base::Millis grace) {
  const std::shared_ptr<State> state = state_;
  state->stopping = true;
  ErrorCode ignored;  // a closed acceptor is what we want
  state->acceptor.close(ignored);
  for (Connection* connection : state->connections) {
    if (connection->idle) connection->expire();
  }
  state->changed.notify_all();
  const auto over = std::make_shared<bool>(grace.count() <= 0);
  asio::steady_timer timer(state->executor, grace);
  timer.async_wait([state, over](const ErrorCode& ec) {
    if (ec) return;
    *over = true;
    state->changed.notify_all();
  });
  while (!*over && !state->connections.empty()) co_await state->changed.wait();
  co_await state->group.stop();
}

}  // namespace moveout::net
