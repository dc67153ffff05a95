// Task<T>: what a coroutine returns. Awaited by its caller, or given to a TaskGroup; nothing else starts one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

namespace moveout::base {

template <class T = void>
using Task = boost::asio::awaitable<T>;

using Executor = boost::asio::any_io_executor;

// The executor this coroutine runs on.
inline constexpr auto this_executor = boost::asio::this_coro::executor;

}  // namespace moveout::base
