// For the tests of net/: a server that does exactly what a script says, and certificates made on the spot.
#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "http/http.h"
#include "net/http_client.h"
#include "net/runtime.h"

namespace moveout::net::testing {

namespace asio = boost::asio;

// A blocking connection, as raw as it gets.
class Peer {
 public:
  explicit Peer(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}

  // The next request's head, and `body_bytes` after it; empty when the other side closed.
  std::string read_request(std::size_t body_bytes = 0) {
    boost::system::error_code ec;
    const std::size_t end = asio::read_until(socket_, asio::dynamic_buffer(in_), "\r\n\r\n", ec);
    if (ec) return {};
    if (in_.size() < end + body_bytes) {
      asio::read(socket_, asio::dynamic_buffer(in_), asio::transfer_exactly(end + body_bytes - in_.size()), ec);
    }
    std::string out = in_.substr(0, end + body_bytes);
    in_.erase(0, out.size());
    return out;
  }
  void send(const std::string& text) {
    boost::system::error_code gone;  // the other side may have had enough
    asio::write(socket_, asio::buffer(text), gone);
  }
  // Everything until the other side closes.
  std::string read_rest() {
    boost::system::error_code eof;
    asio::read(socket_, asio::dynamic_buffer(in_), eof);
    return std::exchange(in_, {});
  }
  void reset() {
    socket_.set_option(asio::socket_base::linger(true, 0));
    socket_.close();
  }
  void close() { socket_.close(); }
  asio::ip::tcp::socket& socket() { return socket_; }

 private:
  asio::ip::tcp::socket socket_;
  std::string in_;
};

// Runs `script` for one connection after the other, on a thread, until destroyed. The script returns when the
// connection is over.
class ScriptedServer {
 public:
  using Script = std::function<void(Peer&)>;
  explicit ScriptedServer(Script script) : acceptor_(io_, {asio::ip::make_address("127.0.0.1"), 0}) {
    thread_ = std::thread([this, run = std::move(script)] {
      for (;;) {
        boost::system::error_code ec;
        asio::ip::tcp::socket socket(io_);
        acceptor_.accept(socket, ec);
        if (ec || ending_) return;
        ++connections_;
        Peer peer(std::move(socket));
        run(peer);
      }
    });
  }
  ~ScriptedServer() {
    ending_ = true;
    // accept() does not notice close(): a last connection wakes it.
    asio::ip::tcp::socket last(io_);
    boost::system::error_code ec;
    last.connect({asio::ip::make_address("127.0.0.1"), port()}, ec);
    thread_.join();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  int connections() const { return connections_; }
  http::Endpoint endpoint() const { return {false, "127.0.0.1", port()}; }

 private:
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_;
  std::atomic<bool> ending_ = false;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

inline http::Request get(const http::Endpoint& endpoint, std::string target = "/") {
  http::Request request;
  request.method = "GET";
  request.endpoint = endpoint;
  request.target = std::move(target);
  request.timeout = base::Millis(5000);
  return request;
}

inline http::Request post(const http::Endpoint& endpoint, std::string body) {
  http::Request request = get(endpoint);
  request.method = "POST";
  request.body = std::move(body);
  return request;
}

using Answer = base::Result<http::Response>;

inline base::Task<base::Result<>> send_into(http::Transport& client, http::Request request,
                                            std::optional<Answer>& out) {
  out = co_await client.send(std::move(request));
  co_return base::Result<>();
}

// One request from start to end.
inline Answer send(Runtime& runtime, http::Transport& client, http::Request request) {
  std::optional<Answer> out;
  const auto ran = runtime.run(send_into(client, std::move(request), out));
  MOVEOUT_ASSERT(ran && out);
  return std::move(*out);
}

// A key and a certificate, PEM.
struct Identity {
  std::string certificate;
  std::string key;
};
// Signs itself, for use as a CA.
Identity make_ca();
// For `name` (a host or an address), signed by `ca`; `days` may be negative for one that is over.
Identity make_leaf(const Identity& ca, const std::string& name, int days = 1);
// A file that is gone at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content);
  ~TemporaryFile();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace moveout::net::testing
