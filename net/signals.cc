#include "net/signals.h"

#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>

#include "base/error.h"

namespace moveout::net {

namespace {
extern "C" void stop_at_once(int) { ::_exit(base::exit_code_of(base::ErrorKind::Stopped)); }
}  // namespace

base::Task<int> wait_for_stop_signal() {
  int number = 0;
  {
    boost::asio::signal_set signals(co_await base::this_executor, SIGINT, SIGTERM);
    number = co_await signals.async_wait(boost::asio::use_awaitable);
  }
  struct sigaction action{};
  action.sa_handler = &stop_at_once;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  co_return number;
}

}  // namespace moveout::net
