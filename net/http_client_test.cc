#include "net/http_client.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "base/task_group.h"
#include "net/test_peers.h"

using namespace moveout;
using namespace moveout::net;
using namespace moveout::net::testing;
using base::ErrorKind;

namespace {

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

// What one connection answers to its only request before it closes.
ScriptedServer::Script answers(std::string text) {
  return [text](Peer& peer) {
    if (peer.read_request().empty()) return;
    peer.send(text);
  };
}

struct Setup {
  explicit Setup(HttpClientOptions options = {}) : client(runtime.executor(), options) {}
  Answer send(http::Request request) { return testing::send(runtime, client, std::move(request)); }
  Runtime runtime;
  HttpClient client;
};

double seconds_since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

base::Task<> sleep(int ms) {
  asio::steady_timer timer(co_await base::this_executor, std::chrono::milliseconds(ms));
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

TEST_CASE("requests that follow each other share a connection, and arrive as written") {
  std::vector<std::string> seen;
  ScriptedServer server([&](Peer& peer) {
    for (;;) {
      std::string request = peer.read_request(4);
      if (request.empty()) return;
      seen.push_back(std::move(request));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      peer.send(ok);
    }
  });
  Setup setup;
  for (int i = 0; i < 3; ++i) {
    http::Request request = post(server.endpoint(), "body");
    request.headers.add("X-Test", "a");
    if (i == 1) request.timeout = base::Millis::max();
    const Answer answer = setup.send(std::move(request));
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(*answer->body == "hello");
  }
  CHECK(setup.client.counts().opened == 1);
  REQUIRE(seen.size() == 3);
  CHECK(seen[0] ==
        "POST / HTTP/1.1\r\nX-Test: a\r\nHost: " + server.endpoint().authority() + "\r\nContent-Length: 4\r\n\r\nbody");
}

TEST_CASE("a kept-alive connection that the server has closed is not used again") {
  ScriptedServer server(answers(ok));
  Setup setup;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(setup.send(get(server.endpoint())));
    // The server's close arrives.
    REQUIRE(setup.runtime.run([]() -> base::Task<base::Result<>> {
      co_await sleep(20);
      co_return base::Result<>();
    }()));
  }
  CHECK(setup.client.counts().opened == 3);
}

TEST_CASE("what is not a whole, well-formed answer is Unavailable") {
  const char* const bad[] = {
      "",                                                 // closed without a word
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",  // cut body
      "HTTP/1.1 200 OK\r\nContent-Le",                    // cut head
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
      "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",       // no last chunk
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",  // chunk longer than it says
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: a\nContent-Length: 5\r\n\r\nhello",          // a bare line feed
      "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",  // a folded line
      "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/2 200 OK\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n\r\n",
      "\x16\x03\x01\x02\r\n\r\n",
  };
  for (const char* text : bad) {
    CAPTURE(text);
    ScriptedServer server(answers(text));
    Setup setup;
    const Answer answer = setup.send(get(server.endpoint()));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::Unavailable);
    CHECK(setup.client.counts().open == 0);
  }
}

TEST_CASE("a reset before the answer is Unavailable") {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.reset();
  });
  Setup setup;
  const Answer answer = setup.send(get(server.endpoint()));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == ErrorKind::Unavailable);
}

TEST_CASE("every way to end a body is understood") {
  struct Case {
    const char* method;
    std::string text;
    std::string body;
    bool kept;
  };
  const Case cases[] = {
      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true},
      {"GET", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nab", "ab", true},
      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab", "ab", false},
      {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", "ab", false},
      {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nab", "ab", true},
      {"GET", "HTTP/1.1 200 OK\r\n\r\nto the end", "to the end", false},
      {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "", true},
      {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "", true},
      {"GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok, "hello", true},
      {"GET",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n1 \r\n!\r\n00\r\nT: a\r\n\r\n",
       "hello!", true},
      // Bytes that nobody asked for: the answer counts, the connection does not.
      {"GET", ok + "HTTP/1.1 200 OK\r\n", "hello", false},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    ScriptedServer server([&](Peer& peer) {
      if (peer.read_request().empty()) return;
      peer.send(one.text);
      if (one.text.find("\r\n\r\nto the end") == std::string::npos) peer.read_rest();
    });
    Setup setup;
    http::Request request = get(server.endpoint());
    request.method = one.method;
    const Answer answer = setup.send(std::move(request));
    REQUIRE(answer);
    CHECK(*answer->body == one.body);
    CHECK(setup.client.counts().open == (one.kept ? 1 : 0));
  }
}

TEST_CASE("an answer that comes one byte at a time is put together") {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.socket().set_option(asio::ip::tcp::no_delay(true));
    for (const char c : std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")) {
      peer.send(std::string(1, c));
      std::this_thread::yield();
    }
  });
  Setup setup;
  const Answer answer = setup.send(get(server.endpoint()));
  REQUIRE(answer);
  CHECK(*answer->body == "abc");
}

TEST_CASE("heads and bodies over their bounds are refused without being kept") {
  SUBCASE("a head without end") {
    ScriptedServer server(answers("HTTP/1.1 200 OK\r\nX: " + std::string(200 << 10, 'x')));
    Setup setup;
    const Answer answer = setup.send(get(server.endpoint()));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::Unavailable);
    CHECK(answer.error().what.find("64 KB") != std::string::npos);
  }
  SUBCASE("too many fields") {
    std::string text = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 300; ++i) text += "X: y\r\n";
    ScriptedServer server(answers(text + "Content-Length: 0\r\n\r\n"));
    Setup setup;
    CHECK_FALSE(setup.send(get(server.endpoint())));
  }
  const auto refused = [](const std::string& text) {
    ScriptedServer server(answers(text));
    HttpClientOptions options;
    options.body_bytes_max = 1000;
    Setup setup(options);
    const Answer answer = setup.send(get(server.endpoint()));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().what.find("bound") != std::string::npos);
  };
  SUBCASE("by length") { refused("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x')); }
  SUBCASE("chunked") {
    refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + std::string(1000, 'x') +
            "\r\n1\r\nx\r\n0\r\n\r\n");
  }
  SUBCASE("to the end") { refused("HTTP/1.1 200 OK\r\n\r\n" + std::string(1001, 'x')); }
}

TEST_CASE("a server that says nothing, or trickles, costs the request's time-out and no more") {
  for (const bool trickle : {false, true}) {
    CAPTURE(trickle);
    ScriptedServer server([&](Peer& peer) {
      peer.read_request();
      if (trickle) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
      peer.read_rest();
    });
    Setup setup;
    http::Request request = get(server.endpoint());
    request.timeout = base::Millis(150);
    const auto begun = std::chrono::steady_clock::now();
    const Answer answer = setup.send(std::move(request));
    const double took = seconds_since(begun);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::Unavailable);
    CHECK(answer.error().what.find("time-out") != std::string::npos);
    CHECK(took >= 0.15);
    CHECK(took < 2);
  }
}

TEST_CASE("a server that stops reading costs the request's time-out and no more") {
  ScriptedServer server([](Peer& peer) {
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    peer.reset();
  });
  Setup setup;
  http::Request request = post(server.endpoint(), std::string(32 << 20, 'x'));
  request.timeout = base::Millis(200);
  const Answer answer = setup.send(std::move(request));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == ErrorKind::Unavailable);
  CHECK(answer.error().what.find("time-out") != std::string::npos);
}

TEST_CASE("a request that certainly did not arrive is EndpointDown") {
  Setup setup;
  SUBCASE("refused") {
    asio::io_context io;
    asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
    const std::uint16_t port = acceptor.local_endpoint().port();
    acceptor.close();
    const Answer answer = setup.send(get({false, "127.0.0.1", port}));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::EndpointDown);
  }
  SUBCASE("not a name") {
    const Answer answer = setup.send(get({false, "no-such-host.invalid", 80}));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::EndpointDown);
  }
  SUBCASE("no answer to the connection") {
    // A full queue drops further connections silently, as a black hole does.
    asio::io_context io;
    asio::ip::tcp::acceptor acceptor(io);
    acceptor.open(asio::ip::tcp::v4());
    acceptor.bind({asio::ip::make_address("127.0.0.1"), 0});
    acceptor.listen(0);
    std::vector<asio::ip::tcp::socket> fill;
    for (int i = 0; i < 3; ++i) {
      fill.emplace_back(io, asio::ip::tcp::v4());
      fill.back().native_non_blocking(true);
      const auto to = acceptor.local_endpoint();
      ::connect(fill.back().native_handle(), to.data(), static_cast<socklen_t>(to.size()));  // in progress for ever
    }
    HttpClientOptions options;
    options.connect_timeout = base::Millis(150);
    Setup hasty(options);
    const auto begun = std::chrono::steady_clock::now();
    const Answer answer = hasty.send(get({false, "127.0.0.1", acceptor.local_endpoint().port()}));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::EndpointDown);
    CHECK(seconds_since(begun) < 2);
  }
  CHECK(setup.client.counts().exchanges == 0);
  CHECK(setup.client.counts().open == 0);
}

TEST_CASE("a request that cannot be written unharmed is refused before a byte is sent") {
  std::string received;
  ScriptedServer server([&](Peer& peer) { received += peer.read_rest(); });
  {
    Setup setup;
    std::vector<http::Request> bad(6, get(server.endpoint()));
    bad[0].headers.add("X", "a\r\nX-Injected: b");
    bad[1].headers.add("X\r\nY", "a");
    bad[2].target = "/a b";
    bad[3].target = "no-slash";
    bad[4].method = "GET /";
    bad[5].headers.add("Content-Length", "7");
    for (const http::Request& request : bad) {
      const Answer answer = setup.send(request);
      REQUIRE_FALSE(answer);
      CHECK(answer.error().kind == ErrorKind::Usage);
    }
  }
  CHECK(received.empty());
}

TEST_CASE("a long body is sent whole, and an early refusal of one is heard") {
  const std::string body(8 << 20, 'b');
  SUBCASE("whole") {
    std::size_t received = 0;
    ScriptedServer server([&](Peer& peer) {
      received = peer.read_request(body.size()).size();
      peer.send(ok);
    });
    Setup setup;
    REQUIRE(setup.send(post(server.endpoint(), body)));
    CHECK(received > body.size());
  }
  // Gently: everything is read before the end. Rudely: closing with unread bytes resets the connection mid-body.
  for (const bool rudely : {false, true}) {
    SUBCASE(rudely ? "refused with a reset" : "refused") {
      ScriptedServer server([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        if (rudely) {
          peer.close();
        } else {
          peer.read_rest();
        }
      });
      Setup setup;
      const Answer answer = setup.send(post(server.endpoint(), body));
      REQUIRE(answer);
      CHECK(answer->status == 413);
    }
  }
}

TEST_CASE("no more connections than allowed, everyone gets a turn, and one who waits too long was not sent") {
  std::atomic<int> at_once = 0;
  std::atomic<int> most = 0;
  ScriptedServer unused([](Peer&) {});
  Runtime runtime;
  HttpClientOptions options;
  options.connections_max = 2;
  HttpClient client(runtime.executor(), options);
  // Three servers' worth of threads would hide the bound: one endpoint, a thread a connection.
  std::vector<std::thread> threads;
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
  std::thread accepting([&] {
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, socket = acceptor.accept()]() mutable {
        Peer peer(std::move(socket));
        while (!peer.read_request().empty()) {
          most = std::max(most.load(), ++at_once);
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          --at_once;
          peer.send(ok);
        }
      });
    }
  });
  const http::Endpoint endpoint{false, "127.0.0.1", acceptor.local_endpoint().port()};
  std::vector<std::optional<Answer>> answers(10);
  std::optional<Answer> impatient;
  REQUIRE(runtime.run([](HttpClient& c, http::Endpoint e, std::vector<std::optional<Answer>>& all,
                         std::optional<Answer>& late) -> base::Task<base::Result<>> {
    base::TaskGroup group(co_await base::this_executor);
    for (auto& one : all) group.start(send_into(c, get(e), one));
    http::Request hurried = get(e);
    hurried.timeout = base::Millis(25);
    group.start(send_into(c, hurried, late));
    co_return co_await group.wait();
  }(client, endpoint, answers, impatient)));
  for (const auto& one : answers) {
    REQUIRE(one);
    CHECK(one->has_value());
  }
  REQUIRE(impatient);
  REQUIRE_FALSE(impatient->has_value());
  CHECK(impatient->error().kind == ErrorKind::EndpointDown);
  CHECK(most == 2);
  CHECK(client.counts().opened == 2);
  CHECK(client.counts().waiting == 0);
  CHECK(client.counts().exchanges == 10);
  client.close_idle();
  accepting.join();
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("cancelling a request closes its connection and lets the next one have its place") {
  ScriptedServer server([](Peer& peer) {
    if (peer.read_request().find("GET /hang") == 0) {
      peer.read_rest();  // until the client gives up
      return;
    }
    peer.send(ok);
    peer.read_rest();
  });
  Runtime runtime;
  HttpClientOptions options;
  options.connections_max = 1;
  HttpClient client(runtime.executor(), options);
  std::optional<Answer> hanging, queued, next;
  REQUIRE(runtime.run([](HttpClient& c, http::Endpoint e, std::optional<Answer>& a, std::optional<Answer>& b,
                         std::optional<Answer>& d) -> base::Task<base::Result<>> {
    base::TaskGroup doomed(co_await base::this_executor);
    base::TaskGroup waiting(co_await base::this_executor);
    base::TaskGroup patient(co_await base::this_executor);
    doomed.start(send_into(c, get(e, "/hang"), a));
    co_await sleep(30);
    waiting.start(send_into(c, get(e), b));
    patient.start(send_into(c, get(e), d));
    co_await sleep(10);
    CHECK(c.counts().waiting == 2);
    co_await waiting.stop();  // one who waits for a place
    CHECK(c.counts().waiting == 1);
    co_await doomed.stop();  // one in the middle of an exchange
    co_return co_await patient.wait();
  }(client, server.endpoint(), hanging, queued, next)));
  CHECK_FALSE(hanging);
  CHECK_FALSE(queued);
  REQUIRE(next);
  CHECK(next->has_value());
  CHECK(client.counts().opened == 2);
}

TEST_CASE("an idle connection is closed by us, before the server does it") {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send(ok);
    peer.read_rest();
  });
  HttpClientOptions options;
  options.idle_timeout = base::Millis(50);
  Setup setup(options);
  REQUIRE(setup.send(get(server.endpoint())));
  CHECK(setup.client.counts().open == 1);
  REQUIRE(setup.runtime.run([]() -> base::Task<base::Result<>> {
    co_await sleep(120);
    co_return base::Result<>();
  }()));
  CHECK(setup.client.counts().open == 0);
  REQUIRE(setup.send(get(server.endpoint())));
  CHECK(setup.client.counts().opened == 2);
}
