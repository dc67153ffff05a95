#include "net/http_client.h"

#include <algorithm>
#include <cstring>

#include "net/connection_pool.h"
#include "net/wire.h"

namespace moveout::net {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// One read's room for a head and what comes with it.
constexpr std::size_t read_bytes = std::size_t{16} << 10;
// Interim answers (100, 103) before the final one.
constexpr int interim_max = 8;

std::unexpected<base::Error> no_answer(const http::Endpoint& endpoint, std::string_view why) {
  return fail(ErrorKind::Unavailable,
              endpoint.to_string() + ": no whole answer: " + std::string(why) + "; the server may have acted");
}

std::unexpected<base::Error> no_answer(const http::Endpoint& endpoint, const ErrorCode& ec,
                                       const Connection& connection) {
  throw_if_cancelled(ec, connection);
  return no_answer(endpoint, connection.expired ? "time-out" : ec.message());
}

// Memory for `size` bytes that are about to be received over; not zeroed first.
void make_room(std::string& text, std::size_t size) {
  text.resize_and_overwrite(size, [](char*, std::size_t n) { return n; });
}

// More bytes at the end of connection.in.
Task<ErrorCode> receive(Connection& connection, bool likely) {
  std::string& in = connection.in;
  const std::size_t before = in.size();
  make_room(in, before + read_bytes);
  const Io io = co_await connection.stream.read_some(in.data() + before, read_bytes, likely);
  in.resize(before + io.bytes);
  co_return io.ec;
}

Task<Result<ResponseHead>> read_head(Connection& connection, const http::Request& request) {
  std::size_t searched = 0;
  for (int interim = 0;;) {
    const auto end = find_head_end(connection.in, searched);
    if (!end) {
      if (connection.in.size() > head_bytes_max) co_return no_answer(request.endpoint, "the head is over 64 KB");
      searched = connection.in.size();
      const ErrorCode ec = co_await receive(connection, false);
      if (ec) co_return no_answer(request.endpoint, ec, connection);
      continue;
    }
    if (*end > head_bytes_max) co_return no_answer(request.endpoint, "the head is over 64 KB");
    auto head = parse_response_head(std::string_view(connection.in).substr(0, *end), request.method);
    if (!head) co_return no_answer(request.endpoint, head.error().what);
    connection.in.erase(0, *end);
    searched = 0;
    if (head->status >= 200) co_return std::move(*head);
    // 101 would change the protocol, which nobody asked for.
    if (head->status == 101 || ++interim > interim_max) {
      co_return no_answer(request.endpoint, "unexpected interim answers");
    }
  }
}

Task<Result<>> read_sized(Connection& connection, const http::Endpoint& endpoint, std::size_t size, std::string& body) {
  std::size_t done = std::min(size, connection.in.size());
  make_room(body, size);
  std::memcpy(body.data(), connection.in.data(), done);
  connection.in.erase(0, done);
  while (done < size) {
    const Io io = co_await connection.stream.read_some(body.data() + done, size - done, true);
    if (io.ec) co_return no_answer(endpoint, io.ec, connection);
    done += io.bytes;
  }
  co_return Result<>();
}

Task<Result<>> read_chunked(Connection& connection, const http::Endpoint& endpoint, std::size_t bytes_max,
                            std::string& body) {
  ChunkedDecoder decoder(bytes_max);
  for (;;) {
    const auto taken = decoder.feed(connection.in, body);
    if (!taken) co_return no_answer(endpoint, taken.error().what);
    connection.in.erase(0, *taken);
    if (decoder.done()) co_return Result<>();
    const ErrorCode ec = co_await receive(connection, true);
    if (ec) co_return no_answer(endpoint, ec, connection);
  }
}

Task<Result<>> read_until_close(Connection& connection, const http::Endpoint& endpoint, std::size_t bytes_max,
                                std::string& body) {
  for (;;) {
    body += connection.in;
    connection.in.clear();
    if (body.size() > bytes_max) co_return no_answer(endpoint, "the body is over its bound");
    const ErrorCode ec = co_await receive(connection, true);
    if (ec == boost::asio::error::eof) co_return Result<>();
    if (ec) co_return no_answer(endpoint, ec, connection);
  }
}

Task<Result<>> read_body(Connection& connection, const http::Endpoint& endpoint, const ResponseHead& head,
                         std::size_t bytes_max, std::string& body) {
  switch (head.framing) {
    case Framing::None:
      co_return Result<>();
    case Framing::Length:
      if (head.length > bytes_max) co_return no_answer(endpoint, "the body is over its bound");
      co_return co_await read_sized(connection, endpoint, static_cast<std::size_t>(head.length), body);
    case Framing::Chunked:
      co_return co_await read_chunked(connection, endpoint, bytes_max, body);
    case Framing::UntilClose:
      co_return co_await read_until_close(connection, endpoint, bytes_max, body);
  }
}

Task<Result<http::Response>> exchange(std::shared_ptr<Pool> pool, http::Request request) {
  const TimePoint deadline = std::chrono::steady_clock::now() + request.timeout;
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
  if (sent.ec && !cut) co_return no_answer(request.endpoint, sent.ec, connection);

  auto head = co_await read_head(connection, request);
  if (!head) co_return fail(head.error());
  http::Response response;
  response.status = head->status;
  response.headers = std::move(head->headers);
  const auto read =
      co_await read_body(connection, request.endpoint, *head, pool->options().body_bytes_max, *response.body);
  if (!read) co_return fail(read.error());
  // Bytes beyond the answer belong to nobody: such a connection is not used again.
  if (head->keep_alive && !sent.ec && !connection.expired && connection.in.empty()) lease.keep();
  co_return response;
}

}  // namespace

HttpClient::HttpClient(base::Executor executor, HttpClientOptions options)
    : pool_(std::make_shared<Pool>(std::move(executor), std::move(options))) {}

HttpClient::~HttpClient() { pool_->close(); }

Task<Result<http::Response>> HttpClient::send(http::Request request) { return exchange(pool_, std::move(request)); }

HttpClient::Counts HttpClient::counts() const { return pool_->counts; }

}  // namespace moveout::net
