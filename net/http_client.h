// HttpClient: HTTP/1.1 over TCP or TLS, with a pool of kept-alive connections for each endpoint.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "http/http.h"
#include "net/proxy.h"

namespace moveout::net {

struct HttpClientOptions {
  // For the TCP connection, and once more for the TLS handshake (3.1 s: one lost SYN and its retransmission).
  base::Millis connect_timeout{3100};
  // Below the idle time-out of AWS endpoints and common load balancers (60 s), so that we close first.
  base::Millis idle_timeout{20000};
  std::size_t connections_max = 64;  // for each endpoint; further requests wait their turn within their time-out
  std::size_t body_bytes_max = std::size_t{64} << 20;
  std::string ca_file = {};  // PEM, instead of the system's CAs (AWS_CA_BUNDLE)
  ProxyRules proxies = {};
};

class Pool;

// contract: as http::Transport; one executor, not thread-safe.
// - EndpointDown: not resolved, refused, no connection or no free one in time, the TLS handshake broken off: the
//   request was not sent.
// - Unavailable: anything after the first byte may have left: reset, time-out, cut or malformed answer, over a bound.
// - Usage: the certificate is not accepted, the proxy refuses us, or the request cannot be written as HTTP.
// A request is sent once. A kept-alive connection that the server has closed is noticed before it is used again.
// Cancellation closes the connection; the server may have acted, as with Unavailable.
class HttpClient final : public http::Transport {
 public:
  HttpClient(base::Executor executor, HttpClientOptions options);
  // Closes what is idle; while a connection is, a timer keeps its io_context busy. Every send() has ended before.
  ~HttpClient() override;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  base::Task<base::Result<http::Response>> send(http::Request request) override;

  // Closes the connections that nobody uses now.
  void close_idle();

  struct Counts {
    std::uint64_t opened = 0;     // connections
    std::uint64_t exchanges = 0;  // requests written, in part or whole
    std::size_t open = 0;         // connections at this moment
    std::size_t waiting = 0;      // requests that wait for a connection
  };
  Counts counts() const;

 private:
  std::shared_ptr<Pool> pool_;
};

}  // namespace moveout::net
