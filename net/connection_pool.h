// The connections of an HttpClient: who has one, who waits, which are idle, and when each must end. Internal to net/.
#pragma once

#include <boost/asio/steady_timer.hpp>

#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "http/http.h"
#include "net/http_client.h"
#include "net/stream.h"

namespace moveout::net {

using TimePoint = std::chrono::steady_clock::time_point;

struct Connection {
  explicit Connection(Stream::Socket socket) : stream(std::move(socket)) {}
  Stream stream;
  TimePoint deadline = TimePoint::max();  // when the pool closes it
  bool expired = false;                   // the pool has closed it for its deadline
  bool proxied = false;                   // a plain proxy reads the whole URL
  std::string in;                         // received and not yet consumed
  std::string out;                        // the head being sent, kept for its memory
};

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(base::Executor executor, HttpClientOptions options);
  ~Pool();

  struct Host;
  // The right to one connection of a host, and the connection once there is one. Given back on destruction: the
  // connection is closed then, unless keep() was called, and the next who waits has its turn.
  class Lease {
   public:
    Lease(std::shared_ptr<Pool> pool, Host& host, std::unique_ptr<Connection> connection);
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Connection* connection() { return connection_.get(); }
    Connection& open_connection();
    Host& host() { return *host_; }
    // The exchange ended cleanly: the connection may serve another.
    void keep() { keep_ = true; }

   private:
    std::shared_ptr<Pool> pool_;
    Host* host_;
    std::unique_ptr<Connection> connection_;
    bool keep_ = false;
  };

  // A live idle connection, or the right to open one. EndpointDown when none was free by the deadline.
  base::Task<base::Result<Lease>> acquire(http::Endpoint endpoint, TimePoint deadline);
  // Closes the connection, with expired set, when the deadline passes.
  void watch(Connection& connection, TimePoint deadline);
  // Resolves, connects, goes through the proxy and shakes hands.
  base::Task<base::Result<>> dial(Lease& lease, http::Endpoint endpoint, TimePoint deadline);

  const HttpClientOptions& options() const { return options_; }
  const base::Executor& executor() const { return executor_; }
  base::Result<std::shared_ptr<TlsContext>> tls();
  // No more connections are kept; idle ones are closed.
  void close();

  HttpClient::Counts counts;

  struct Waiter {
    explicit Waiter(const base::Executor& executor) : timer(executor) {}
    boost::asio::steady_timer timer;
    enum class State { Waiting, Granted, Taken } state = State::Waiting;
    std::unique_ptr<Connection> connection;
  };
  struct Host {
    std::size_t open = 0;  // leases and idle connections
    std::vector<std::unique_ptr<Connection>> idle;
    std::list<Waiter*> waiting;
    TlsSessionSlot session;
  };

 private:
  struct Place;
  // `open` counts the lease until here.
  void give_back(Host& host, std::unique_ptr<Connection> connection);
  void arm(TimePoint at);
  void sweep();
  void forget(Connection* connection);

  base::Executor executor_;
  HttpClientOptions options_;
  std::shared_ptr<TlsContext> tls_;
  std::map<http::Endpoint, Host> hosts_;
  std::set<Connection*> watched_;
  boost::asio::steady_timer timer_;
  TimePoint armed_ = TimePoint::max();
  bool closed_ = false;
};

// Why an operation ended: throws when the caller was cancelled, says "time" when the deadline closed the connection.
void throw_if_cancelled(const ErrorCode& ec, const Connection& connection);

}  // namespace moveout::net
