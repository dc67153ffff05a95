#include "net/tls.h"

#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include "base/task_group.h"
#include "net/http_server.h"
#include "net/test_peers.h"

using namespace moveout;
using namespace moveout::net;
using namespace moveout::net::testing;
using base::ErrorKind;

namespace {

base::Task<http::Response> echo(http::Request request) {
  http::Response response;
  response.status = 200;
  *response.body = std::move(request.body);
  co_return response;
}

// A TLS server for `name`, and a client that trusts `ca`.
struct TlsSetup {
  TlsSetup(const Identity& issuer, const std::string& name, const Identity& trusted, int days = 1)
      : ca_file(trusted.certificate), client(runtime.executor(), {.ca_file = ca_file.path()}) {
    const Identity leaf = make_leaf(issuer, name, days);
    HttpServerOptions options;
    options.certificate = leaf.certificate;
    options.key = leaf.key;
    auto listening = HttpServer::listen(runtime.executor(), options, echo);
    REQUIRE(listening);
    server = std::move(*listening);
  }
  ~TlsSetup() {
    REQUIRE(runtime.run([](HttpServer& s) -> base::Task<base::Result<>> {
      co_await s.stop(base::Millis(0));
      co_return base::Result<>();
    }(*server)));
  }
  http::Endpoint endpoint(std::string host) const { return {true, std::move(host), server->endpoint().port}; }

  TemporaryFile ca_file;
  Runtime runtime;
  HttpClient client;
  std::unique_ptr<HttpServer> server;
};

void check_refused(TlsSetup& setup, const http::Endpoint& endpoint) {
  const std::uint64_t before = setup.client.counts().exchanges;
  const Answer answer = send(setup.runtime, setup.client, post(endpoint, "secret"));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == ErrorKind::Usage);
  CHECK(answer.error().what.find("certificate is not accepted") != std::string::npos);
  CHECK(setup.client.counts().exchanges == before);
}

}  // namespace

TEST_CASE("over TLS bodies of every size arrive whole, on one connection") {
  const Identity ca = make_ca();
  TlsSetup setup(ca, "localhost", ca);
  for (const std::size_t size : {0, 1, 16'000, 16'384, 17'000, 300'000, 9'000'000}) {
    CAPTURE(size);
    std::string body(size, '\0');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i * 31 >> 3);
    const Answer answer = send(setup.runtime, setup.client, post(setup.endpoint("localhost"), body));
    REQUIRE(answer);
    CHECK(*answer->body == body);
  }
  CHECK(setup.client.counts().opened == 1);
}

TEST_CASE("an address is checked against the certificate as an address") {
  const Identity ca = make_ca();
  TlsSetup setup(ca, "127.0.0.1", ca);
  REQUIRE(send(setup.runtime, setup.client, get(setup.endpoint("127.0.0.1"))));
  check_refused(setup, setup.endpoint("localhost"));
}

TEST_CASE("a certificate for another name, of another CA, or out of date is refused before a byte of the request") {
  const Identity ca = make_ca();
  SUBCASE("another name") {
    TlsSetup setup(ca, "elsewhere.example", ca);
    check_refused(setup, setup.endpoint("localhost"));
  }
  SUBCASE("an address where a name is wanted") {
    TlsSetup setup(ca, "localhost", ca);
    check_refused(setup, setup.endpoint("127.0.0.1"));
  }
  SUBCASE("another CA of the same name") {
    TlsSetup setup(ca, "localhost", make_ca());
    check_refused(setup, setup.endpoint("localhost"));
  }
  SUBCASE("out of date") {
    TlsSetup setup(ca, "localhost", ca, -1);
    check_refused(setup, setup.endpoint("localhost"));
  }
}

TEST_CASE("without a CA of our own the system's decide, and do not know ours") {
  const Identity ca = make_ca();
  TlsSetup setup(ca, "localhost", ca);
  HttpClient trusting(setup.runtime.executor(), {});
  const Answer answer = send(setup.runtime, trusting, get(setup.endpoint("localhost")));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == ErrorKind::Usage);
}

TEST_CASE("a CA file that cannot be read is a usage error that names it") {
  Runtime runtime;
  const TemporaryFile garbage("no certificate");
  for (const std::string& path : {std::string("/nonexistent/ca.pem"), garbage.path()}) {
    HttpClient client(runtime.executor(), {.ca_file = path});
    const Answer answer = send(runtime, client, get({true, "localhost", 1}));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::Usage);
    CHECK(answer.error().what.find(path) != std::string::npos);
  }
}

TEST_CASE("a second connection resumes the first one's session") {
  const Identity ca = make_ca();
  const TemporaryFile ca_file(ca.certificate);
  const Identity leaf = make_leaf(ca, "localhost");
  auto server = TlsContext::server(leaf.certificate, leaf.key);
  auto client = TlsContext::client(ca_file.path());
  REQUIRE(server);
  REQUIRE(client);
  TlsSessionSlot slot;
  for (int round = 0; round < 2; ++round) {
    const Ssl near = (*client)->open_client("localhost", slot);
    const Ssl far = (*server)->open_server();
    BIO* near_bio = nullptr;
    BIO* far_bio = nullptr;
    BIO_new_bio_pair(&near_bio, 0, &far_bio, 0);
    SSL_set_bio(near.get(), near_bio, near_bio);
    SSL_set_bio(far.get(), far_bio, far_bio);
    for (int i = 0; i < 10; ++i) {
      SSL_do_handshake(near.get());
      SSL_do_handshake(far.get());
    }
    char byte = 'x';
    SSL_write(far.get(), &byte, 1);
    REQUIRE(SSL_read(near.get(), &byte, 1) == 1);  // takes the tickets in, too
    CHECK(SSL_session_reused(near.get()) == round);
    CHECK(SSL_get_verify_result(near.get()) == X509_V_OK);
  }
}

TEST_CASE("a handshake broken off, or answered with no TLS at all, was no request") {
  const std::string alert("\x15\x03\x01\x00\x02\x02\x28", 7);  // handshake_failure
  for (const std::string& text : {std::string(), std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), alert}) {
    CAPTURE(text);
    ScriptedServer server([&](Peer& peer) {
      peer.send(text);
      if (!text.empty()) peer.read_rest();
    });
    Runtime runtime;
    HttpClient client(runtime.executor(), {});
    http::Endpoint endpoint = server.endpoint();
    endpoint.tls = true;
    const Answer answer = send(runtime, client, get(endpoint));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::EndpointDown);
  }
}

TEST_CASE("a server silent in the handshake costs the connect time-out") {
  ScriptedServer server([](Peer& peer) { peer.read_rest(); });
  Runtime runtime;
  HttpClient client(runtime.executor(), {.connect_timeout = base::Millis(100)});
  http::Endpoint endpoint = server.endpoint();
  endpoint.tls = true;
  const auto begun = std::chrono::steady_clock::now();
  const Answer answer = send(runtime, client, get(endpoint));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == ErrorKind::EndpointDown);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(2));
}
