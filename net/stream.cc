#include "net/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace moveout::net {

namespace asio = boost::asio;
using base::Task;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

// A TLS record holds 16 KB: what fits beside the head goes with it.
constexpr std::size_t record_bytes = std::size_t{16} << 10;

// OpenSSL reads and writes the socket itself, without the copies of a memory BIO. Its own socket BIO would write
// without MSG_NOSIGNAL, and would hold a descriptor number that may be another file's after close().
int descriptor_of(BIO* bio) { return static_cast<Stream::Socket*>(BIO_get_data(bio))->native_handle(); }

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::send(descriptor_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && would_block(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::recv(descriptor_of(bio), data, static_cast<std::size_t>(size), 0);
  if (n < 0 && would_block(errno)) BIO_set_retry_read(bio);
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}

long bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return 0;
}

BIO* open_bio(Stream::Socket& socket) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "moveout socket");
    MOVEOUT_ASSERT(m != nullptr);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_ctrl(m, bio_control);
    return m;
  }();
  BIO* bio = BIO_new(method);
  MOVEOUT_ASSERT(bio != nullptr);
  BIO_set_data(bio, &socket);
  BIO_set_init(bio, 1);
  return bio;
}

// OpenSSL asks for an empty queue before each call. Clearing goes over all of it, and it is empty nearly always.
void forget_tls_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

ErrorCode errno_code() { return {errno != 0 ? errno : ECONNRESET, boost::system::system_category()}; }

}  // namespace

Task<ErrorCode> Stream::connect(asio::ip::tcp::endpoint to) {
  ErrorCode ec;
  socket_.open(to.protocol(), ec);
  if (ec) co_return ec;
  std::tie(ec) = co_await socket_.async_connect(to, as_result);
  if (!ec) ec = prepare();
  co_return ec;
}

ErrorCode Stream::prepare() {
  ErrorCode ec;
  socket_.set_option(asio::ip::tcp::no_delay(true), ec);
  if (!ec) socket_.non_blocking(true, ec);
  if (!ec) socket_.native_non_blocking(true, ec);
  return ec;
}

Task<ErrorCode> Stream::handshake(Ssl ssl) {
  MOVEOUT_ASSERT(ssl_ == nullptr);
  ssl_ = std::move(ssl);
  BIO* bio = open_bio(socket_);
  SSL_set_bio(ssl_.get(), bio, bio);
  for (;;) {
    forget_tls_errors();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) co_return ErrorCode();
    const ErrorCode ec = co_await after_tls(result);
    if (ec) co_return ec;
  }
}

Task<ErrorCode> Stream::after_tls(int result) {
  const int saved = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: {
      const auto [ec] = co_await socket_.async_wait(Socket::wait_read, as_result);
      co_return ec;
    }
    case SSL_ERROR_WANT_WRITE: {
      const auto [ec] = co_await socket_.async_wait(Socket::wait_write, as_result);
      co_return ec;
    }
    case SSL_ERROR_ZERO_RETURN:
      co_return asio::error::eof;
    case SSL_ERROR_SYSCALL:
      tls_error_ = "the connection broke";
      errno = saved;
      co_return errno_code();
    default:
      tls_error_ = take_tls_error();
      co_return asio::error::connection_aborted;
  }
}

Task<Io> Stream::read_tls(char* data, std::size_t size, bool likely) {
  // A call that finds nothing costs OpenSSL a microsecond and a system call more.
  if (!likely && SSL_has_pending(ssl_.get()) == 0) {
    const auto [ec] = co_await socket_.async_wait(Socket::wait_read, as_result);
    if (ec) co_return Io{ec, 0};
  }
  std::size_t total = 0;
  for (;;) {
    forget_tls_errors();
    std::size_t n = 0;
    errno = 0;
    const int result = SSL_read_ex(ssl_.get(), data + total, size - total, &n);
    if (result == 1) {
      total += n;
      // A call gives one record; take those that were read ahead beside it.
      if (total < size && SSL_has_pending(ssl_.get()) != 0) continue;
      co_return Io{ErrorCode(), total};
    }
    // What ended the series is met again by the next call.
    if (total > 0) co_return Io{ErrorCode(), total};
    const ErrorCode ec = co_await after_tls(result);
    if (ec) co_return Io{ec, 0};
  }
}

Task<Io> Stream::read_some(char* data, std::size_t size, bool likely) {
  if (ssl_) co_return co_await read_tls(data, size, likely);
  ErrorCode ec;
  std::size_t n = 0;
  if (likely) {
    n = socket_.read_some(asio::buffer(data, size), ec);
    if (ec != asio::error::would_block) co_return Io{ec, n};
  }
  std::tie(ec, n) = co_await socket_.async_read_some(asio::buffer(data, size), as_result);
  co_return Io{ec, n};
}

// outlives: as declared.
Task<Io> Stream::write_tls(std::string_view head, std::string_view body) {
  joined_.assign(head);
  const std::size_t beside = std::min(body.size(), record_bytes > head.size() ? record_bytes - head.size() : 0);
  joined_.append(body.substr(0, beside));
  const std::size_t parts[2] = {joined_.size(), body.size() - beside};
  const char* data[2] = {joined_.data(), body.data() + beside};
  std::size_t total = 0;
  for (int part = 0; part < 2; ++part) {
    for (std::size_t done = 0; done < parts[part];) {
      forget_tls_errors();
      std::size_t n = 0;
      errno = 0;
      const int result = SSL_write_ex(ssl_.get(), data[part] + done, parts[part] - done, &n);
      if (result == 1) {
        done += n;
        total += n;
        continue;
      }
      const ErrorCode ec = co_await after_tls(result);
      if (ec) co_return Io{ec, total};
    }
  }
  co_return Io{ErrorCode(), total};
}

// outlives: as declared.
Task<Io> Stream::write_all(std::string_view head, std::string_view body) {
  if (ssl_) co_return co_await write_tls(head, body);
  std::array<asio::const_buffer, 2> rest = {asio::buffer(head), asio::buffer(body)};
  const std::size_t size = head.size() + body.size();
  std::size_t total = 0;
  for (;;) {
    ErrorCode ec;
    std::size_t n = socket_.write_some(rest, ec);
    if (ec == asio::error::would_block) std::tie(ec, n) = co_await socket_.async_write_some(rest, as_result);
    total += n;
    if (ec || total == size) co_return Io{ec, total};
    const std::size_t of_head = std::min(n, rest[0].size());
    rest[0] += of_head;
    rest[1] += n - of_head;
  }
}

bool Stream::stale() {
  if (!socket_.is_open()) return true;
  char byte = 0;
  if (!ssl_ || SSL_has_pending(ssl_.get()) == 0) {
    const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && would_block(errno)) return false;
    if (!ssl_) return true;
  }
  // Session tickets arrive unasked; OpenSSL takes them in here. Anything else ends the connection.
  forget_tls_errors();
  std::size_t n = 0;
  const int result = SSL_peek_ex(ssl_.get(), &byte, 1, &n);
  return result == 1 || SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ;
}

void Stream::close() {
  // A polite end, as far as the socket takes it at once; after a failure OpenSSL must not be asked again.
  if (ssl_ && socket_.is_open() && tls_error_.empty() && SSL_is_init_finished(ssl_.get()) != 0) {
    forget_tls_errors();
    SSL_shutdown(ssl_.get());
  }
  ErrorCode ignored;  // the descriptor is gone either way
  socket_.close(ignored);
}

}  // namespace moveout::net
