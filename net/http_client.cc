#include "net/http_client.h"

#include <algorithm>
#include <boost/asio/error.hpp>

#include "net/connection_pool.h"
#include "net/wire.h"

namespace moveout::net {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// "For ever" as a time-out must not overflow the clock's nanoseconds.
constexpr base::Millis timeout_max = std::chrono::days(365);
// Interim answers (100, 103) before the final one.
constexpr int interim_max = 8;

std::unexpected<base::Error> no_answer(const http::Endpoint& endpoint, std::string_view why) {
  return fail(ErrorKind::Unavailable,
              endpoint.to_string() + ": no whole answer: " + std::string(why) + "; the server may have acted");
}

Task<Result<ResponseHead>> read_head(Connection& connection, const http::Request& request) {
  for (int interim = 0;;) {
    const auto end = co_await receive_head(connection);
    if (!end) co_return no_answer(request.endpoint, end.error().what);
    if (*end == 0) co_return no_answer(request.endpoint, "the connection was closed");
    auto head = parse_response_head(std::string_view(connection.in).substr(0, *end), request.method);
    if (!head) co_return no_answer(request.endpoint, head.error().what);
    connection.in.erase(0, *end);
    if (head->status >= 200) co_return std::move(*head);
    // 101 would change the protocol, which nobody asked for.
    if (head->status == 101 || ++interim > interim_max) {
      co_return no_answer(request.endpoint, "unexpected interim answers");
    }
  }
}

Task<Result<>> read_body(Connection& connection, const ResponseHead& head, std::size_t bytes_max, std::string& body) {
  switch (head.framing) {
    case Framing::None:
      break;
    case Framing::Length:
      if (head.length > bytes_max) co_return fail(ErrorKind::TooLarge, "the body is over its bound");
      co_return co_await read_sized(connection, static_cast<std::size_t>(head.length), body);
    case Framing::Chunked:
      co_return co_await read_chunked(connection, bytes_max, body);
    case Framing::UntilClose:
      co_return co_await read_until_close(connection, bytes_max, body);
  }
  co_return Result<>();
}

Task<Result<http::Response>> exchange(std::shared_ptr<Pool> pool, http::Request request) {
  const TimePoint deadline = std::chrono::steady_clock::now() + std::min(request.timeout, timeout_max);
  auto acquired = co_await pool->acquire(request.endpoint, deadline);
  if (!acquired) co_return fail(acquired.error());
  Pool::Lease lease = std::move(*acquired);
  if (lease.connection() == nullptr) {
    const auto dialled = co_await pool->dial(lease, request.endpoint, deadline);
    if (!dialled) co_return fail(dialled.error());
  }
  Connection& connection = *lease.connection();
  connection.out.clear();
  connection.in.clear();
  if (connection.proxied) {
    const Proxy* proxy = pool->options().proxies.pick(request.endpoint);
    if (proxy != nullptr && !proxy->authorization.empty()) {
      request.headers.set("Proxy-Authorization", proxy->authorization);
    }
  }
  if (auto written = append_request_head(connection.out, request, connection.proxied); !written) {
    co_return fail(written.error());
  }
  pool->watch(connection, deadline);
  ++pool->counts.exchanges;
  const Io sent = co_await connection.stream.write_all(connection.out, request.body);
  // A server that refuses a long body may answer and close before it has read everything: the answer still counts.
  const bool cut = sent.ec == boost::asio::error::broken_pipe || sent.ec == boost::asio::error::connection_reset;
  throw_if_cancelled(sent.ec, connection);
  if (sent.ec && !cut) co_return no_answer(request.endpoint, reason_of(sent.ec, connection));

  auto head = co_await read_head(connection, request);
  if (!head) co_return fail(head.error());
  http::Response response;
  response.status = head->status;
  response.headers = std::move(head->headers);
  const auto read = co_await read_body(connection, *head, pool->options().body_bytes_max, *response.body);
  if (!read) co_return no_answer(request.endpoint, read.error().what);
  // Bytes beyond the answer belong to nobody: such a connection is not used again.
  if (head->keep_alive && !sent.ec && !connection.expired && connection.in.empty()) lease.keep();
  co_return response;
}

}  // namespace

HttpClient::HttpClient(base::Executor executor, HttpClientOptions options)
    : pool_(std::make_shared<Pool>(std::move(executor), std::move(options))) {}

HttpClient::~HttpClient() { pool_->close(); }

Task<Result<http::Response>> HttpClient::send(http::Request request) { return exchange(pool_, std::move(request)); }

void HttpClient::close_idle() { pool_->close_idle(); }

HttpClient::Counts HttpClient::counts() const { return pool_->counts; }

}  // namespace moveout::net
