#include "net/wire.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace moveout;
using namespace moveout::net;

TEST_CASE("a chunked body is the same however it is cut") {
  CHECK(rc::check([] {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(
        rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::character<char>())));
    std::string body;
    std::string wire;
    for (const std::string& piece : pieces) {
      body += piece;
      char size[32];
      std::snprintf(size, sizeof(size), "%zx", piece.size());
      wire += std::string(size) + "\r\n" + piece + "\r\n";
    }
    wire += "0\r\nTrailer: x\r\n\r\n";
    const std::string after = "next";
    const std::string all = wire + after;
    ChunkedDecoder decoder(1 << 20);
    std::string out;
    std::size_t at = 0;
    while (!decoder.done()) {
      const std::size_t n = *rc::gen::inRange<std::size_t>(1, all.size() - at + 1);
      const auto taken = decoder.feed(std::string_view(all).substr(at, n), out);
      RC_ASSERT(taken.has_value());
      RC_ASSERT(decoder.done() || *taken == n);
      at += *taken;
    }
    RC_ASSERT(out == body);
    RC_ASSERT(at == wire.size());
  }));
}

TEST_CASE("no bytes make a parser fail to answer") {
  CHECK(rc::check([] {
    const auto noise =
        *rc::gen::container<std::string>(rc::gen::elementOf(std::string("HTP/1.0 2\r\n:;aA5\t\0x,-", 22)));
    (void)parse_response_head("HTTP/1.1 200 " + noise + "\r\n\r\n", "GET");
    (void)parse_response_head(noise, "GET");
    (void)parse_request_head("GET / HTTP/1.1\r\n" + noise + "\r\n\r\n");
    (void)parse_request_head(noise);
    ChunkedDecoder decoder(100);
    std::string out;
    (void)decoder.feed(noise, out);
    RC_ASSERT(out.size() <= 100u);
  }));
}

TEST_CASE("a request's head is read as it was written") {
  http::Request request;
  request.endpoint = {true, "::1", 8443};
  request.target = "/a?b=c";
  request.headers.add("X-One", "1");
  request.headers.add("x-one", "2 \xc3\xa9");
  request.body = "12";
  std::string wire;
  REQUIRE(append_request_head(wire, request, false));
  const auto head = parse_request_head(wire);
  REQUIRE(head);
  CHECK(head->method == "POST");
  CHECK(head->target == "/a?b=c");
  CHECK(head->framing == Framing::Length);
  CHECK(head->length == 2);
  CHECK(head->keep_alive);
  CHECK(head->headers.get("Host") == "[::1]:8443");
  CHECK(head->headers.all().size() == 4);
  CHECK(head->headers.all()[1].second == "2 \xc3\xa9");
}

TEST_CASE("the end of a head is found where it is, also across two reads") {
  const std::string text = "GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
  const std::size_t end = text.size() - 4;
  for (std::size_t searched = 0; searched < end; ++searched) {
    CAPTURE(searched);
    CHECK(find_head_end(text, searched) == end);
    CHECK_FALSE(find_head_end(std::string_view(text).substr(0, end - 1), searched));
  }
}
