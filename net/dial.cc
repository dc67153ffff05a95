// Pool::dial: from a name to a connection that is ready for a request.
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

#include "net/connection_pool.h"
#include "net/wire.h"

namespace moveout::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

std::string host_text(const http::Endpoint& endpoint) {
  return (endpoint.host.find(':') == std::string::npos ? endpoint.host : "[" + endpoint.host + "]") + ":" +
         std::to_string(endpoint.port);
}

struct Lookup {
  explicit Lookup(const base::Executor& executor) : resolver(executor), done(executor) {}
  tcp::resolver resolver;
  asio::steady_timer done;
  std::optional<ErrorCode> ec;
  std::vector<tcp::endpoint> found;
};

// getaddrinfo cannot be interrupted: the caller waits beside it, and leaves it behind when time or the caller's
// patience is over.
Task<Result<std::vector<tcp::endpoint>>> resolve(base::Executor executor, http::Endpoint endpoint, TimePoint deadline) {
  ErrorCode not_address;
  const asio::ip::address address = asio::ip::make_address(endpoint.host, not_address);
  if (!not_address) co_return std::vector<tcp::endpoint>{tcp::endpoint(address, endpoint.port)};

  const auto lookup = std::make_shared<Lookup>(executor);
  lookup->done.expires_at(deadline);
  lookup->resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), tcp::resolver::numeric_service,
                                 [lookup](const ErrorCode& ec, const tcp::resolver::results_type& results) {
                                   lookup->ec = ec;
                                   for (const auto& entry : results) lookup->found.push_back(entry.endpoint());
                                   lookup->done.cancel();
                                 });
  co_await lookup->done.async_wait(asio::as_tuple(asio::use_awaitable));
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  if (!lookup->ec) co_return fail(ErrorKind::EndpointDown, host_text(endpoint) + ": name not resolved in time");
  if (*lookup->ec) {
    co_return fail(ErrorKind::EndpointDown, host_text(endpoint) + ": name not resolved: " + lookup->ec->message());
  }
  co_return std::move(lookup->found);
}

// Through the proxy: CONNECT, and its answer, byte for byte up to the end of its head, since what follows is TLS.
Task<Result<>> tunnel(Connection& connection, const Proxy& proxy, http::Endpoint endpoint) {
  const std::string target = host_text(endpoint);
  std::string head = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
  if (!proxy.authorization.empty()) head += "Proxy-Authorization: " + proxy.authorization + "\r\n";
  head += "\r\n";
  const std::string at = "proxy " + host_text(proxy.endpoint);
  Io io = co_await connection.stream.write_all(head, {});
  throw_if_cancelled(io.ec, connection);
  std::string answer;
  std::optional<std::size_t> end;
  while (!io.ec && !end && answer.size() < head_bytes_max) {
    char bytes[1024];
    io = co_await connection.stream.read_some(bytes, sizeof(bytes), false);
    throw_if_cancelled(io.ec, connection);
    const std::size_t before = answer.size();
    answer.append(bytes, io.bytes);
    end = find_head_end(answer, before);
  }
  if (!end) co_return fail(ErrorKind::EndpointDown, at + ": no answer to CONNECT: " + reason_of(io.ec, connection));
  const auto parsed = parse_response_head(std::string_view(answer).substr(0, *end), "HEAD");
  if (!parsed) co_return fail(ErrorKind::EndpointDown, at + ": " + parsed.error().what);
  if (parsed->status / 100 == 2) {
    // The server speaks second in TLS; bytes before our hello are someone else's.
    if (answer.size() != *end) co_return fail(ErrorKind::EndpointDown, at + ": bytes after the answer to CONNECT");
    co_return Result<>();
  }
  const std::string said = at + " refused a tunnel to " + target + " with status " + std::to_string(parsed->status);
  // 4xx is about us (407: credentials, 403: policy), except for those about the moment.
  const bool ours =
      parsed->status / 100 == 4 && parsed->status != 404 && parsed->status != 408 && parsed->status != 429;
  co_return fail(ours ? ErrorKind::Usage : ErrorKind::EndpointDown, said);
}

}  // namespace

Task<Result<>> Pool::dial(Lease& lease, http::Endpoint endpoint, TimePoint deadline) {
  const Proxy* proxy = options_.proxies.pick(endpoint);
  const http::Endpoint peer = proxy != nullptr ? proxy->endpoint : endpoint;
  std::shared_ptr<TlsContext> context;
  if (endpoint.tls) {
    auto opened = tls();
    if (!opened) co_return fail(opened.error());
    context = std::move(*opened);
  }
  const auto found = co_await resolve(executor_, peer, deadline);
  if (!found) co_return fail(found.error());

  Connection& connection = lease.open_connection();
  connection.proxied = proxy != nullptr && !endpoint.tls;
  const auto soon = [&] { return std::min(deadline, std::chrono::steady_clock::now() + options_.connect_timeout); };
  ErrorCode ec = asio::error::host_not_found;
  for (const tcp::endpoint& address : *found) {
    connection.stream.close();
    connection.expired = false;
    watch(connection, soon());
    ec = co_await connection.stream.connect(address);
    throw_if_cancelled(ec, connection);
    if (!ec || std::chrono::steady_clock::now() >= deadline) break;
  }
  if (ec) {
    co_return fail(ErrorKind::EndpointDown, host_text(peer) + ": cannot connect: " + reason_of(ec, connection));
  }
  watch(connection, soon());
  if (proxy != nullptr && endpoint.tls) {
    const auto through = co_await tunnel(connection, *proxy, endpoint);
    if (!through) co_return fail(through.error());
  }
  if (context) {
    ec = co_await connection.stream.handshake(context->open_client(endpoint.host, lease.host().session));
    throw_if_cancelled(ec, connection);
    if (ec) {
      const std::string why = verification_failure(connection.stream.ssl());
      if (!why.empty()) {
        co_return fail(ErrorKind::Usage, host_text(endpoint) + ": the server's certificate is not accepted: " + why);
      }
      const std::string& said = connection.stream.tls_error();
      co_return fail(ErrorKind::EndpointDown, host_text(endpoint) + ": TLS handshake failed: " +
                                                  (said.empty() ? reason_of(ec, connection) : said));
    }
  }
  co_return Result<>();
}

}  // namespace moveout::net
