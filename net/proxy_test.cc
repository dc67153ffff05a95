#include "net/proxy.h"

#include <doctest/doctest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>

#include "net/http_server.h"
#include "net/test_peers.h"

using namespace moveout;
using namespace moveout::net;
using namespace moveout::net::testing;
using base::ErrorKind;

namespace {

base::Result<ProxyRules> rules(std::map<std::string, std::string, std::less<>> environment) {
  return proxies_from([environment = std::move(environment)](std::string_view name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  });
}

http::Endpoint endpoint_of(std::string_view text) {
  auto endpoint = http::parse_endpoint(text);
  REQUIRE(endpoint);
  return *endpoint;
}

bool proxied(const ProxyRules& given, std::string_view url) { return given.pick(endpoint_of(url)) != nullptr; }

// A name that only a proxy could reach.
const http::Endpoint far{false, "far.example", 80};

HttpClientOptions through(const ScriptedServer& proxy, std::string user = "") {
  auto given = rules({{"http_proxy", "http://" + user + "127.0.0.1:" + std::to_string(proxy.port())},
                      {"https_proxy", "http://" + user + "127.0.0.1:" + std::to_string(proxy.port())}});
  REQUIRE(given);
  HttpClientOptions options;
  options.proxies = *given;
  return options;
}

}  // namespace

TEST_CASE("the proxy of a request is found as curl finds it") {
  const auto given = rules({{"HTTPS_PROXY", "http://proxy.example:3128"},
                            {"http_proxy", "plain.example"},
                            {"HTTP_PROXY", "http://ignored.example"},
                            {"NO_PROXY", "internal.example, .Corp.example,10.0.0.5 host.example:8443,*.star.example"}});
  REQUIRE(given);
  CHECK(given->pick(endpoint_of("https://dynamodb.us-east-1.amazonaws.com"))->endpoint ==
        http::Endpoint{false, "proxy.example", 3128});
  CHECK(given->pick(endpoint_of("http://a.example"))->endpoint == http::Endpoint{false, "plain.example", 80});
  CHECK_FALSE(proxied(*given, "https://internal.example"));
  CHECK_FALSE(proxied(*given, "https://a.INTERNAL.example"));
  CHECK(proxied(*given, "https://notinternal.example"));
  CHECK_FALSE(proxied(*given, "https://a.corp.example"));
  CHECK_FALSE(proxied(*given, "https://a.star.example"));
  CHECK_FALSE(proxied(*given, "http://10.0.0.5:8000"));
  CHECK(proxied(*given, "http://10.0.0.50:8000"));
  CHECK_FALSE(proxied(*given, "https://host.example:8443"));
  CHECK(proxied(*given, "https://host.example"));
  for (const char* never : {"http://localhost:8000", "http://127.0.0.1:1", "http://[::1]:1", "http://169.254.169.254",
                            "http://169.254.170.2", "http://[fd00:ec2::254]"}) {
    CAPTURE(never);
    CHECK_FALSE(proxied(*given, never));
  }
  const auto nothing = rules({{"https_proxy", "http://proxy.example"}, {"no_proxy", "*"}, {"http_proxy", ""}});
  REQUIRE(nothing);
  CHECK_FALSE(proxied(*nothing, "https://a.example"));
  CHECK_FALSE(proxied(*nothing, "http://a.example"));
}

TEST_CASE("a proxy that cannot be used is a usage error without its password") {
  for (const char* url : {"https://u:hunter2@p.example", "socks5://u:hunter2@p.example", "http://u:hunter2@p.example:x",
                          "http://u:hunter2%zz@p.example", "http://u:hunter2@"}) {
    CAPTURE(url);
    const auto given = rules({{"HTTPS_PROXY", url}});
    REQUIRE_FALSE(given);
    CHECK(given.error().kind == ErrorKind::Usage);
    CHECK(given.error().what.find("hunter2") == std::string::npos);
    CHECK(given.error().what.find("HTTPS_PROXY") != std::string::npos);
  }
}

TEST_CASE("a plain request goes to the proxy with its whole URL and the proxy's password") {
  std::string seen;
  ScriptedServer proxy([&](Peer& peer) {
    seen = peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nfar");
    peer.read_rest();
  });
  Runtime runtime;
  HttpClient client(runtime.executor(), through(proxy, "us%20er:pass@"));
  const Answer answer = send(runtime, client, get(far, "/path?query"));
  REQUIRE(answer);
  CHECK(*answer->body == "far");
  CHECK(seen.starts_with("GET http://far.example/path?query HTTP/1.1\r\n"));
  CHECK(seen.find("Host: far.example\r\n") != std::string::npos);
  CHECK(seen.find("Proxy-Authorization: Basic dXMgZXI6cGFzcw==\r\n") != std::string::npos);
}

TEST_CASE("a request over TLS goes through a tunnel, end to end") {
  const Identity ca = make_ca();
  const TemporaryFile ca_file(ca.certificate);
  const Identity leaf = make_leaf(ca, "far.example");
  Runtime behind;
  HttpServerOptions server_options;
  server_options.certificate = leaf.certificate;
  server_options.key = leaf.key;
  auto server =
      HttpServer::listen(behind.executor(), server_options, [](http::Request request) -> base::Task<http::Response> {
        http::Response response;
        response.status = 200;
        *response.body = "tunnelled " + request.body;
        co_return response;
      });
  REQUIRE(server);
  std::thread serving([&] {
    REQUIRE(behind.run([](HttpServer& s) -> base::Task<base::Result<>> {
      asio::steady_timer timer(co_await base::this_executor, std::chrono::milliseconds(700));
      co_await timer.async_wait(asio::use_awaitable);
      co_await s.stop(base::Millis(0));
      co_return base::Result<>();
    }(**server)));
  });
  std::string connect;
  const std::uint16_t port = (*server)->endpoint().port;
  {
    // Copies bytes both ways until either side is done.
    ScriptedServer proxy([&](Peer& peer) {
      connect = peer.read_request();
      asio::io_context io;
      asio::ip::tcp::socket far_side(io);
      far_side.connect({asio::ip::make_address("127.0.0.1"), port});
      peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
      std::thread back([&] {
        boost::system::error_code ec;
        for (char bytes[4096]; !ec;) {
          const std::size_t n = far_side.read_some(asio::buffer(bytes), ec);
          peer.send(std::string(bytes, n));
        }
      });
      boost::system::error_code ec;
      for (char bytes[4096]; !ec;) {
        const std::size_t n = peer.socket().read_some(asio::buffer(bytes), ec);
        boost::system::error_code gone;
        asio::write(far_side, asio::buffer(bytes, n), gone);
      }
      far_side.shutdown(asio::ip::tcp::socket::shutdown_both, ec);
      back.join();
    });
    Runtime runtime;
    HttpClientOptions options = through(proxy, "u:p@");
    options.ca_file = ca_file.path();
    HttpClient client(runtime.executor(), options);
    http::Endpoint endpoint = far;
    endpoint.tls = true;
    endpoint.port = 443;
    for (const char* body : {"once", "twice"}) {
      const Answer answer = send(runtime, client, post(endpoint, body));
      REQUIRE(answer);
      CHECK(*answer->body == std::string("tunnelled ") + body);
    }
    CHECK(client.counts().opened == 1);
    client.close_idle();
  }
  serving.join();
  CHECK(connect.starts_with("CONNECT far.example:443 HTTP/1.1\r\n"));
  CHECK(connect.find("Proxy-Authorization: Basic dTpw\r\n") != std::string::npos);
}

TEST_CASE("what a proxy answers to a tunnel tells a wrong set-up from a bad moment") {
  const std::pair<const char*, ErrorKind> cases[] = {
      {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", ErrorKind::Usage},
      {"HTTP/1.1 403 Forbidden\r\n\r\n", ErrorKind::Usage},
      {"HTTP/1.1 502 Bad Gateway\r\n\r\n", ErrorKind::EndpointDown},
      {"HTTP/1.1 503 Busy\r\n\r\n", ErrorKind::EndpointDown},
      {"nonsense\r\n\r\n", ErrorKind::EndpointDown},
      {"HTTP/1.1 200 OK\r\n\r\nearly bytes", ErrorKind::EndpointDown},
      {"", ErrorKind::EndpointDown},
  };
  for (const auto& [text, kind] : cases) {
    CAPTURE(text);
    ScriptedServer proxy([&](Peer& peer) {
      peer.read_request();
      peer.send(text);
    });
    Runtime runtime;
    HttpClient client(runtime.executor(), through(proxy));
    http::Endpoint endpoint = far;
    endpoint.tls = true;
    const Answer answer = send(runtime, client, get(endpoint));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == kind);
    if (std::string_view(text).ends_with("bytes")) CHECK(answer.error().what.find("bytes after") != std::string::npos);
    CHECK(client.counts().exchanges == 0);
  }
}
