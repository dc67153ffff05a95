#include "net/http_server.h"

#include <doctest/doctest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/task_group.h"
#include "net/test_peers.h"

using namespace moveout;
using namespace moveout::net;
using namespace moveout::net::testing;

namespace {

base::Task<> sleep(int ms) {
  asio::steady_timer timer(co_await base::this_executor, std::chrono::milliseconds(ms));
  co_await timer.async_wait(asio::use_awaitable);
}

// Says what it heard; /slow takes its time.
base::Task<http::Response> echo(http::Request request) {
  if (request.target == "/slow") co_await sleep(150);
  if (request.target == "/hang") co_await sleep(3600'000);
  http::Response response;
  response.status = 200;
  response.headers.add("X-Method", request.method);
  response.headers.add("X-Target", request.target);
  *response.body = std::move(request.body);
  co_return response;
}

struct Serving {
  explicit Serving(HttpServerOptions options = {}) {
    auto listening = HttpServer::listen(runtime.executor(), options, echo);
    REQUIRE(listening);
    server = std::move(*listening);
  }
  ~Serving() { stop(base::Millis(0)); }
  void stop(base::Millis grace) {
    REQUIRE(runtime.run([](HttpServer& s, base::Millis g) -> base::Task<base::Result<>> {
      co_await s.stop(g);
      co_return base::Result<>();
    }(*server, grace)));
  }
  Runtime runtime;
  std::unique_ptr<HttpServer> server;
};

// Sends raw text on a thread of its own and gives everything that came back until the server closed.
base::Task<base::Result<>> wait_for(std::thread& thread, std::atomic<bool>& done) {
  while (!done) co_await sleep(2);
  thread.join();
  co_return base::Result<>();
}

std::string talk(Serving& serving, std::function<std::string(Peer&)> script) {
  std::string out;
  std::atomic<bool> done = false;
  std::thread thread([&] {
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::make_address("127.0.0.1"), serving.server->endpoint().port});
    Peer peer(std::move(socket));
    out = script(peer);
    done = true;
  });
  REQUIRE(serving.runtime.run(wait_for(thread, done)));
  return out;
}

std::string answer_to(Serving& serving, std::string text) {
  return talk(serving, [text](Peer& peer) {
    peer.send(text);
    boost::system::error_code ec;
    peer.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ec);
    return peer.read_rest();
  });
}

}  // namespace

TEST_CASE("client and server understand each other, over one connection") {
  Serving serving;
  HttpClient client(serving.runtime.executor(), {});
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100'000}, std::size_t{10'000'000}}) {
    CAPTURE(size);
    http::Request request = post(serving.server->endpoint(), std::string(size, 'b'));
    request.target = "/a%20b?c=d";
    const Answer answer = send(serving.runtime, client, std::move(request));
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->headers.get("x-method") == "POST");
    CHECK(answer->headers.get("X-Target") == "/a%20b?c=d");
    CHECK(*answer->body == std::string(size, 'b'));
  }
  http::Request head = post(serving.server->endpoint(), "12345");
  head.method = "HEAD";
  const Answer answer = send(serving.runtime, client, std::move(head));
  REQUIRE(answer);
  CHECK(answer->headers.get("Content-Length") == "5");
  CHECK(answer->body->empty());
  CHECK(client.counts().opened == 1);
}

TEST_CASE("requests of several connections are handled beside each other") {
  Serving serving;
  HttpClient client(serving.runtime.executor(), {});
  std::vector<std::optional<Answer>> answers(20);
  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(serving.runtime.run(
      [](HttpClient& c, http::Endpoint e, std::vector<std::optional<Answer>>& all) -> base::Task<base::Result<>> {
        base::TaskGroup group(co_await base::this_executor);
        for (auto& one : all) group.start(send_into(c, get(e, "/slow"), one));
        co_return co_await group.wait();
      }(client, serving.server->endpoint(), answers)));
  for (const auto& one : answers) CHECK((one && one->has_value()));
  // One after the other they would take 3 s.
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(1500));
}

TEST_CASE("a malformed or oversized request is answered as such and its connection ends") {
  HttpServerOptions options;
  options.body_bytes_max = 1000;
  Serving serving(options);
  const std::string host = "Host: h\r\n";
  const std::pair<std::string, std::string> cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET http://elsewhere/ HTTP/1.1\r\n" + host + "\r\n", "400"},
      {"GET / HTTP/2.0\r\n" + host + "\r\n", "400"},
      {"GET  / HTTP/1.1\r\n" + host + "\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
       "400"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'x'), "413"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x'), "413"},
      {"GET / HTTP/1.1\r\n" + host + "X: " + std::string(100 << 10, 'x') + "\r\n\r\n", "431"},
      {"POST / HTTP/1.1\r\n" + host + "Expect: wonders\r\nContent-Length: 1\r\n\r\nx", "417"},
  };
  for (const auto& [text, status] : cases) {
    CAPTURE(text.substr(0, 100));
    const std::string answer = answer_to(serving, text + "GET / HTTP/1.1\r\n" + host + "\r\n");
    CHECK(answer.substr(0, 12) == "HTTP/1.1 " + status);
    CHECK(answer.find("Connection: close\r\n") != std::string::npos);
    // Nothing after it was taken for a second request.
    CHECK(answer.find("X-Target") == std::string::npos);
  }
  const std::string cut = answer_to(serving, "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nabc");
  CHECK(cut.substr(0, 12) == "HTTP/1.1 400");
  CHECK(answer_to(serving, "").empty());
}

TEST_CASE("a refused peer that goes on sending hears the refusal and a clean end, not a reset") {
  HttpServerOptions options;
  options.body_bytes_max = 1000;
  Serving serving(options);
  const std::string answer = talk(serving, [](Peer& peer) -> std::string {
    peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n");
    for (int i = 0; i < 50; ++i) {
      peer.send(std::string(10'000, 'x'));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    boost::system::error_code ec;
    peer.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ec);
    if (ec) return "shutdown: " + ec.message();
    std::string in;
    asio::read(peer.socket(), asio::dynamic_buffer(in), ec);
    return ec == asio::error::eof ? in : "read: " + ec.message();
  });
  CHECK(answer.substr(0, 12) == "HTTP/1.1 413");
}

TEST_CASE("requests sent without waiting are answered in order, chunked bodies and 100-continue included") {
  Serving serving;
  const std::string answer =
      answer_to(serving,
                "POST /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
                "POST /2 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\ndef"
                "GET /3 HTTP/1.0\r\nHost: h\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::size_t one = answer.find("X-Target: /1\r\nContent-Length: 3\r\n\r\nabc");
  const std::size_t go_on = answer.find("HTTP/1.1 100 Continue\r\n\r\n");
  const std::size_t two = answer.find("X-Target: /2\r\nContent-Length: 3\r\n\r\ndef");
  const std::size_t three = answer.find("X-Target: /3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  CHECK(one < go_on);
  CHECK(go_on < two);
  CHECK(two < three);
  CHECK(three != std::string::npos);
  CHECK(answer.find("/4") == std::string::npos);
}

TEST_CASE("a peer that says nothing, or half a request, is let go after its time") {
  HttpServerOptions options;
  options.idle_timeout = base::Millis(60);
  options.read_timeout = base::Millis(60);
  Serving serving(options);
  for (const std::string text : {"", "GET / HT", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"}) {
    CAPTURE(text);
    const auto begun = std::chrono::steady_clock::now();
    CHECK(talk(serving, [text](Peer& peer) {
            peer.send(text);
            return peer.read_rest();
          }).empty());
    const auto took = std::chrono::steady_clock::now() - begun;
    CHECK(took >= std::chrono::milliseconds(60));
    CHECK(took < std::chrono::seconds(2));
  }
  CHECK(serving.server->connections() == 0);
}

TEST_CASE("stopping lets a request under way end, and cancels one that does not") {
  for (const std::string target : {"/slow", "/hang"}) {
    CAPTURE(target);
    Serving serving;
    HttpClient client(serving.runtime.executor(), {});
    std::optional<Answer> answer;
    const auto begun = std::chrono::steady_clock::now();
    REQUIRE(serving.runtime.run(
        [](HttpServer& s, HttpClient& c, std::string path, std::optional<Answer>& out) -> base::Task<base::Result<>> {
          base::TaskGroup group(co_await base::this_executor);
          group.start(send_into(c, get(s.endpoint(), path), out));
          co_await sleep(40);
          co_await s.stop(base::Millis(400));
          co_return co_await group.wait();
        }(*serving.server, client, target, answer)));
    REQUIRE(answer);
    CHECK(answer->has_value() == (target == "/slow"));
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(2));
    CHECK(serving.server->connections() == 0);
    CHECK_FALSE(send(serving.runtime, client, get(serving.server->endpoint())));
  }
}

TEST_CASE("more connections than allowed wait until others end") {
  HttpServerOptions options;
  options.connections_max = 2;
  Serving serving(options);
  HttpClient client(serving.runtime.executor(), {});
  std::vector<std::optional<Answer>> answers(6);
  REQUIRE(serving.runtime.run(
      [](HttpClient& c, http::Endpoint e, std::vector<std::optional<Answer>>& all) -> base::Task<base::Result<>> {
        base::TaskGroup group(co_await base::this_executor);
        for (auto& one : all) {
          http::Request request = get(e);
          request.headers.add("Connection", "close");
          group.start(send_into(c, std::move(request), one));
        }
        co_return co_await group.wait();
      }(client, serving.server->endpoint(), answers)));
  for (const auto& one : answers) CHECK((one && one->has_value()));
}

TEST_CASE("an address that is taken, or none of ours, is a usage error that names it") {
  Serving serving;
  const std::uint16_t port = serving.server->endpoint().port;
  const auto second = HttpServer::listen(serving.runtime.executor(), {.address = "127.0.0.1", .port = port}, echo);
  REQUIRE_FALSE(second);
  CHECK(second.error().kind == base::ErrorKind::Usage);
  CHECK(second.error().what.find(std::to_string(port)) != std::string::npos);
  CHECK_FALSE(HttpServer::listen(serving.runtime.executor(), {.address = "192.0.2.1"}, echo));
  CHECK_FALSE(HttpServer::listen(serving.runtime.executor(), {.address = "localhost"}, echo));
}
