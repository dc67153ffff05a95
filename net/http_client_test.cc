#include "net/http_client.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "net/runtime.h"

using namespace moveout;
using namespace moveout::net;
namespace asio = boost::asio;

namespace {

base::Task<base::Result<>> send_into(HttpClient& client, http::Request request,
                                     std::optional<base::Result<http::Response>>& out) {
  out = co_await client.send(std::move(request));
  co_return base::Result<>();
}

}  // namespace

TEST_CASE("smoke: two requests over one connection") {
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
  std::thread server([&] {
    asio::ip::tcp::socket socket = acceptor.accept();
    for (int i = 0; i < 2; ++i) {
      std::string in;
      asio::read_until(socket, asio::dynamic_buffer(in), "\r\n\r\n");
      asio::write(socket, asio::buffer(std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")));
    }
  });
  Runtime runtime;
  HttpClient client(runtime.executor(), {});
  http::Request request;
  request.method = "GET";
  request.endpoint = {false, "127.0.0.1", acceptor.local_endpoint().port()};
  for (int i = 0; i < 2; ++i) {
    std::optional<base::Result<http::Response>> out;
    CHECK(runtime.run(send_into(client, request, out)));
    REQUIRE(out);
    REQUIRE(out->has_value());
    CHECK(*(*out)->body == "hello");
  }
  CHECK(client.counts().opened == 1);
  server.join();
}
