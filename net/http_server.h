// HttpServer: a small HTTP/1.1 server: the admin listener, stand-ins in tests, later the proxy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "http/http.h"

namespace moveout::net {

struct HttpServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;             // 0: any free one
  std::size_t connections_max = 256;  // further ones wait in the kernel's queue
  std::size_t body_bytes_max = std::size_t{16} << 20;
  base::Millis idle_timeout{60000};   // between two requests
  base::Millis read_timeout{30000};   // for a request, from its first byte
  base::Millis write_timeout{30000};  // for a response
  // PEM texts; both empty for plain HTTP.
  std::string certificate = {};
  std::string key = {};
};

// contract: one executor. The handler runs once for each whole, well-formed request; requests of one connection one
// after the other, those of several interleaved. It is cancelled only by stop(), after the grace.
// The server answers by itself: 400 malformed or without Host, 413 and 431 over a bound, 417 unknown expectation.
class HttpServer {
 public:
  using Handler = std::function<base::Task<http::Response>(http::Request)>;

  // Listens from the return on. Usage error when the address cannot be had.
  static base::Result<std::unique_ptr<HttpServer>> listen(base::Executor executor, HttpServerOptions options,
                                                          Handler handler);
  // stop() has ended, or the executor runs no more.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Where it listens, with the port it was given.
  http::Endpoint endpoint() const;
  // Takes no more connections or requests, lets those under way end within `grace`, cancels the rest.
  base::Task<> stop(base::Millis grace);
  std::size_t connections() const;

 private:
  struct State;
  explicit HttpServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace moveout::net
