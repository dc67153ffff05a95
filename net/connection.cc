#include "net/connection.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <cstring>

#include "net/wire.h"

namespace moveout::net {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// One read's room for a head and what comes with it.
constexpr std::size_t read_bytes = std::size_t{16} << 10;

// Memory for `size` bytes that are about to be received over; not zeroed first.
void make_room(std::string& text, std::size_t size) {
  // libstdc++ 12 hands the whole capacity to the callback, not `size`.
  text.resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
}

std::unexpected<base::Error> broken(const ErrorCode& ec, const Connection& connection) {
  throw_if_cancelled(ec, connection);
  return fail(ErrorKind::Unavailable, reason_of(ec, connection));
}

}  // namespace

void throw_if_cancelled(const ErrorCode& ec, const Connection& connection) {
  if (ec == boost::asio::error::operation_aborted && !connection.expired) throw boost::system::system_error(ec);
}

std::string reason_of(const ErrorCode& ec, const Connection& connection) {
  if (connection.expired) return "time-out";
  if (ec == boost::asio::error::eof) return "the connection was closed";
  const std::string& tls = connection.stream.tls_error();
  return tls.empty() ? ec.message() : tls;
}

Task<ErrorCode> receive(Connection& connection, bool likely) {
  std::string& in = connection.in;
  const std::size_t before = in.size();
  make_room(in, before + read_bytes);
  const Io io = co_await connection.stream.read_some(in.data() + before, read_bytes, likely);
  in.resize(before + io.bytes);
  co_return io.ec;
}

Task<Result<std::size_t>> receive_head(Connection& connection) {
  std::size_t searched = 0;
  for (;;) {
    const auto end = find_head_end(connection.in, searched);
    if (end.value_or(connection.in.size()) > head_bytes_max) {
      co_return fail(ErrorKind::TooLarge, "the head is over 64 KB");
    }
    if (end) co_return *end;
    searched = connection.in.size();
    const ErrorCode ec = co_await receive(connection, false);
    if (ec == boost::asio::error::eof && connection.in.empty()) co_return std::size_t{0};
    if (ec) co_return broken(ec, connection);
  }
}

Task<Result<>> read_sized(Connection& connection, std::size_t size, std::string& body) {
  std::size_t done = std::min(size, connection.in.size());
  make_room(body, size);
  std::memcpy(body.data(), connection.in.data(), done);
  connection.in.erase(0, done);
  while (done < size) {
    const Io io = co_await connection.stream.read_some(body.data() + done, size - done, true);
    if (io.ec) co_return broken(io.ec, connection);
    done += io.bytes;
  }
  co_return Result<>();
}

Task<Result<>> read_chunked(Connection& connection, std::size_t bytes_max, std::string& body) {
  ChunkedDecoder decoder(bytes_max);
  for (;;) {
    const auto taken = decoder.feed(connection.in, body);
    if (!taken) {
      const bool large = taken.error().kind == ErrorKind::TooLarge;
      co_return fail(large ? ErrorKind::TooLarge : ErrorKind::Unavailable, taken.error().what);
    }
    connection.in.erase(0, *taken);
    if (decoder.done()) co_return Result<>();
    const ErrorCode ec = co_await receive(connection, true);
    if (ec) co_return broken(ec, connection);
  }
}

Task<Result<>> read_until_close(Connection& connection, std::size_t bytes_max, std::string& body) {
  for (;;) {
    body += connection.in;
    connection.in.clear();
    if (body.size() > bytes_max) co_return fail(ErrorKind::TooLarge, "the body is over its bound");
    const ErrorCode ec = co_await receive(connection, true);
    if (ec == boost::asio::error::eof) co_return Result<>();
    if (ec) co_return broken(ec, connection);
  }
}

}  // namespace moveout::net
