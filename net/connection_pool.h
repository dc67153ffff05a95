// The connections of an HttpClient: who has one, who waits, which are idle, and when each must end. Internal to net/.
#pragma once

#include <boost/asio/steady_timer.hpp>

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "http/http.h"
#include "net/connection.h"
#include "net/deadlines.h"
#include "net/http_client.h"

namespace moveout::net {

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
  void watch(Connection& connection, TimePoint deadline) { deadlines_.set(connection, deadline); }
  // Resolves, connects, goes through the proxy and shakes hands.
  base::Task<base::Result<>> dial(Lease& lease, http::Endpoint endpoint, TimePoint deadline);

  const HttpClientOptions& options() const { return options_; }
  const base::Executor& executor() const { return executor_; }
  base::Result<std::shared_ptr<TlsContext>> tls();
  // No more connections are kept; idle ones are closed.
  void close();
  void close_idle();

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
  void forget(Connection& connection);
  void expire(Connection& connection);

  base::Executor executor_;
  HttpClientOptions options_;
  std::shared_ptr<TlsContext> tls_;
  std::map<http::Endpoint, Host> hosts_;
  Deadlines deadlines_;
  bool closed_ = false;
};

}  // namespace moveout::net
