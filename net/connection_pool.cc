#include "net/connection_pool.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace moveout::net {

namespace asio = boost::asio;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

Pool::Lease::Lease(std::shared_ptr<Pool> pool, Host& host, std::unique_ptr<Connection> connection)
    : pool_(std::move(pool)), host_(&host), connection_(std::move(connection)) {}

Pool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::move(other.pool_)),
      host_(other.host_),
      connection_(std::move(other.connection_)),
      keep_(other.keep_) {}

Pool::Lease::~Lease() {
  if (!pool_) return;
  if (connection_ && !keep_) {
    pool_->forget(*connection_);
    connection_.reset();
  }
  pool_->give_back(*host_, std::move(connection_));
}

Connection& Pool::Lease::open_connection() {
  MOVEOUT_ASSERT(!connection_);
  connection_ = std::make_unique<Connection>(Stream::Socket(pool_->executor_));
  pool_->deadlines_.add(*connection_);
  ++pool_->counts.opened;
  ++pool_->counts.open;
  return *connection_;
}

Pool::Pool(base::Executor executor, HttpClientOptions options)
    : executor_(std::move(executor)),
      options_(std::move(options)),
      deadlines_(executor_, [this](Deadlines::Watched& late) { expire(static_cast<Connection&>(late)); }) {
  MOVEOUT_ASSERT(options_.connections_max > 0);
}

Pool::~Pool() = default;

Result<std::shared_ptr<TlsContext>> Pool::tls() {
  if (!tls_) {
    auto opened = TlsContext::client(options_.ca_file);
    if (!opened) return fail(opened.error());
    tls_ = std::move(*opened);
  }
  return tls_;
}

// A place in the queue of a host. Leaves it, or passes on what it was granted and cannot use, however the wait ends.
struct Pool::Place {
  Place(Pool& p, Host& h) : pool(p), host(h), waiter(p.executor_) {
    host.waiting.push_back(&waiter);
    ++pool.counts.waiting;
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    --pool.counts.waiting;
    if (waiter.state == Waiter::State::Granted) pool.give_back(host, std::move(waiter.connection));
    if (waiter.state == Waiter::State::Waiting) host.waiting.remove(&waiter);
  }
  Pool& pool;
  Host& host;
  Waiter waiter;
};

Task<Result<Pool::Lease>> Pool::acquire(http::Endpoint endpoint, TimePoint deadline) {
  const std::shared_ptr<Pool> self = shared_from_this();
  Host& host = hosts_[endpoint];
  // The most recently used first: the others may then grow old and close.
  while (!host.idle.empty()) {
    std::unique_ptr<Connection> connection = std::move(host.idle.back());
    host.idle.pop_back();
    connection->idle = false;
    if (!connection->stream.stale()) co_return Lease(self, host, std::move(connection));
    forget(*connection);
    --host.open;
  }
  if (host.open < options_.connections_max) {
    ++host.open;
    co_return Lease(self, host, nullptr);
  }
  Place place(*this, host);
  place.waiter.timer.expires_at(deadline);
  co_await place.waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  if (place.waiter.state != Waiter::State::Granted) {
    co_return fail(ErrorKind::EndpointDown,
                   endpoint.to_string() + ": no connection became free in time; the request was not sent");
  }
  place.waiter.state = Waiter::State::Taken;
  std::unique_ptr<Connection> connection = std::move(place.waiter.connection);
  if (connection && connection->stream.stale()) {
    forget(*connection);
    connection.reset();
  }
  co_return Lease(self, host, std::move(connection));
}

void Pool::give_back(Host& host, std::unique_ptr<Connection> connection) {
  if (connection && closed_) {
    forget(*connection);
    connection.reset();
  }
  if (!host.waiting.empty()) {
    Waiter* waiter = host.waiting.front();
    host.waiting.pop_front();
    waiter->state = Waiter::State::Granted;
    waiter->connection = std::move(connection);
    waiter->timer.cancel();
    return;
  }
  if (!connection) {
    --host.open;
    return;
  }
  connection->idle = true;
  watch(*connection, std::chrono::steady_clock::now() + options_.idle_timeout);
  host.idle.push_back(std::move(connection));
}

void Pool::expire(Connection& connection) {
  if (!connection.idle) {
    connection.expire();
    return;
  }
  for (auto& [endpoint, host] : hosts_) {
    host.open -= std::erase_if(host.idle, [&](const std::unique_ptr<Connection>& one) {
      if (one.get() != &connection) return false;
      forget(connection);
      return true;
    });
  }
}

void Pool::forget(Connection& connection) {
  deadlines_.remove(connection);
  --counts.open;
}

void Pool::close() {
  closed_ = true;
  close_idle();
  deadlines_.stop();
}

void Pool::close_idle() {
  for (auto& [endpoint, host] : hosts_) {
    for (const auto& connection : host.idle) forget(*connection);
    host.open -= host.idle.size();
    host.idle.clear();
  }
}

}  // namespace moveout::net
