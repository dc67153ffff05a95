#include "net/runtime.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>

namespace moveout::net {

struct Runtime::Context {
  // 1: a single thread runs it; others (workers, the resolver) may still post.
  boost::asio::io_context io{1};
};

Runtime::Runtime() : context_(std::make_unique<Context>()) {}

Runtime::~Runtime() = default;

base::Executor Runtime::executor() { return context_->io.get_executor(); }

base::Result<> Runtime::run(base::Task<base::Result<>> task) {
  struct End {
    std::optional<base::Result<>> result;
    std::exception_ptr thrown;
  };
  const auto end = std::make_shared<End>();
  boost::asio::io_context& io = context_->io;
  boost::asio::co_spawn(io, std::move(task), [&io, end](std::exception_ptr thrown, base::Result<> result) {
    end->thrown = thrown;
    end->result = std::move(result);
    io.stop();
  });
  io.restart();
  io.run();
  if (end->thrown) std::rethrow_exception(end->thrown);
  MOVEOUT_ASSERT(end->result);
  return *end->result;
}

}  // namespace moveout::net
