// run_task: one coroutine from start to end on an io_context, for tests.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/task.h"

namespace moveout::base {

// Runs everything that is ready on `io` until nothing is left; the task must have ended by then.
template <class T>
T run_task(boost::asio::io_context& io, Task<T> task) {
  std::optional<T> out;
  boost::asio::co_spawn(io, std::move(task), [&out](std::exception_ptr thrown, T value) {
    if (thrown) std::rethrow_exception(thrown);
    out.emplace(std::move(value));
  });
  io.restart();
  io.run();
  MOVEOUT_ASSERT(out.has_value());
  return std::move(*out);
}

// The same on an io_context of its own.
template <class T>
T run_task(Task<T> task) {
  boost::asio::io_context io;
  return run_task(io, std::move(task));
}

}  // namespace moveout::base
