// Stream: one TCP connection, plain or TLS, for coroutines of one executor. Internal to net/.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <string_view>

#include "base/task.h"
#include "net/tls.h"

namespace moveout::net {

using ErrorCode = boost::system::error_code;

struct Io {
  ErrorCode ec;
  std::size_t bytes = 0;
};

// A cancelled operation ends with ec = operation_aborted; the caller decides between cancellation and its own close().
class Stream {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  explicit Stream(Socket socket) : socket_(std::move(socket)) {}
  ~Stream() { close(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  base::Task<ErrorCode> connect(boost::asio::ip::tcp::endpoint to);
  // For a socket that is connected already.
  ErrorCode prepare();
  // Takes `ssl` over and shakes hands. On failure tls_error() says why.
  base::Task<ErrorCode> handshake(Ssl ssl);
  bool tls() const { return ssl_ != nullptr; }
  const ssl_st* ssl() const { return ssl_.get(); }
  const std::string& tls_error() const { return tls_error_; }

  // At least one byte, or an error; eof only when the peer said so (over TLS: by its close_notify).
  // likely: data is expected to be there already, so the socket is tried before the reactor.
  base::Task<Io> read_some(char* data, std::size_t size, bool likely);
  // Both parts, in one system call where the kernel takes them.
  // outlives: the views are of what the awaiting frame owns.
  base::Task<Io> write_all(std::string_view head, std::string_view body);
  // Closed by the peer, or with bytes nobody asked for: not fit for another exchange. Never blocks.
  bool stale();
  // Ends pending operations with operation_aborted.
  void close();
  bool open() const { return socket_.is_open(); }
  Socket& socket() { return socket_; }

 private:
  base::Task<Io> read_tls(char* data, std::size_t size, bool likely);
  // outlives: as write_all.
  base::Task<Io> write_tls(std::string_view head, std::string_view body);
  // After a failed TLS call: waits for the socket and returns success, or says what failed.
  base::Task<ErrorCode> after_tls(int result);

  Socket socket_;
  Ssl ssl_;
  std::string tls_error_;
  std::string joined_;  // head and the beginning of the body, so that they share a record
};

}  // namespace moveout::net
