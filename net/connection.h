// Connection: a stream with its buffers and its deadline, and reading HTTP bodies from it. Internal to net/.
#pragma once

#include <string>

#include "base/error.h"
#include "net/deadlines.h"
#include "net/stream.h"

namespace moveout::net {

struct Connection : Deadlines::Watched {
  explicit Connection(Stream::Socket socket) : stream(std::move(socket)) {}
  // Ends what is pending on it, as a time-out and not as a cancellation.
  void expire() {
    expired = true;
    stream.close();
  }

  Stream stream;
  bool expired = false;
  bool idle = false;     // between two exchanges
  bool proxied = false;  // a plain proxy reads the whole URL
  std::string in;        // received and not yet consumed
  std::string out;       // the head being sent, kept for its memory
};

// Throws when the caller was cancelled: the connection was not closed by its deadline, yet the operation was aborted.
void throw_if_cancelled(const ErrorCode& ec, const Connection& connection);
// Why an operation failed, in words.
std::string reason_of(const ErrorCode& ec, const Connection& connection);

// Appends what arrives to connection.in. likely: as Stream::read_some.
base::Task<ErrorCode> receive(Connection& connection, bool likely);
// The bytes up to the end of the head, which stay in connection.in; 0 when the peer closed before the first byte.
// TooLarge over head_bytes_max; Unavailable when cut off.
base::Task<base::Result<std::size_t>> receive_head(Connection& connection);
// A body, `connection.in` first. Unavailable when cut off or malformed, TooLarge over its bound.
base::Task<base::Result<>> read_sized(Connection& connection, std::size_t size, std::string& body);
base::Task<base::Result<>> read_chunked(Connection& connection, std::size_t bytes_max, std::string& body);
base::Task<base::Result<>> read_until_close(Connection& connection, std::size_t bytes_max, std::string& body);

}  // namespace moveout::net
