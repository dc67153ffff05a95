// What the client does with bodies: checksum, gzip, damage.
#include <doctest/doctest.h>
#include <isa-l.h>

#include "aws/client.h"
#include "aws/client_fixture.h"
#include "aws/decode.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

namespace {

http::Headers with(std::string name, std::string value) {
  http::Headers headers;
  headers.add(std::move(name), std::move(value));
  return headers;
}

std::string gzipped(const std::string& text) {
  std::string out(text.size() + 512, '\0');
  isal_zstream stream;
  isal_deflate_stateless_init(&stream);
  stream.gzip_flag = IGZIP_GZIP;
  stream.end_of_stream = 1;
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<std::uint32_t>(text.size());
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = static_cast<std::uint32_t>(out.size());
  REQUIRE(isal_deflate_stateless(&stream) == COMP_OK);
  out.resize(stream.total_out);
  return out;
}

}  // namespace

TEST_CASE("a body whose checksum is wrong is asked for again and counted") {
  ClientFixture world;
  const std::string body = R"({"Items":[],"Count":0})";
  world.transport.then(200, body + " ", with("x-amz-crc32", std::to_string(crc32_of(body))));
  world.transport.then(200, body, with("x-amz-crc32", "not a number"));
  world.transport.then(200, body, with("x-amz-crc32", std::to_string(crc32_of(body))));
  const auto answer = world.call();
  REQUIRE(answer.has_value());
  CHECK(answer->attempts == 3);
  CHECK(*answer->body == body);
  CHECK(world.client.counters().crc_mismatches == 2);
}

TEST_CASE("a checksum that is wrong every time ends as Corrupt") {
  ClientFixture world;
  world.transport.otherwise = [](const http::Request&) {
    return ScriptedTransport::response(200, "{}", with("x-amz-crc32", "1"));
  };
  const auto answer = world.call();
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == ErrorKind::Corrupt);
  CHECK(answer.error().what.find("x-amz-crc32") != std::string::npos);
  CHECK(world.transport.requests.size() == 8);
}

TEST_CASE("the checksum is of the bytes as sent, before gzip is taken off") {
  ClientFixture world;
  const std::string body(50'000, 'x');
  const std::string sent = gzipped(body);
  http::Headers headers = with("x-amz-crc32", std::to_string(crc32_of(sent)));
  headers.add("Content-Encoding", "gzip");
  world.transport.then(200, sent, headers);
  const auto answer = world.call();
  REQUIRE(answer.has_value());
  CHECK(*answer->body == body);
  CHECK(world.client.counters().crc_mismatches == 0);
}

TEST_CASE("errors are read through gzip, too") {
  ClientFixture world;
  world.transport.then(400, gzipped(ScriptedTransport::error_body("ValidationException", "bad key")),
                       with("Content-Encoding", "gzip"));
  const auto answer = world.call();
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == ErrorKind::Usage);
  CHECK(answer.error().what.find("bad key") != std::string::npos);
}

TEST_CASE("hostile bodies end as an error after three tries and never as an answer") {
  const std::string whole = gzipped(std::string(100'000, 'a'));
  std::string damaged = whole;
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 1);  // the checksum in its trailer
  for (const auto& [coding, body] : std::vector<std::pair<std::string, std::string>>{
           {"gzip", ""},
           {"gzip", "no gzip at all"},
           {"gzip", whole.substr(0, whole.size() / 2)},
           {"gzip", whole.substr(0, whole.size() - 1)},
           {"gzip", whole + "x"},
           {"gzip", damaged},
           {"br", "brotli was not asked for"},
       }) {
    CAPTURE(coding);
    CAPTURE(body.size());
    ClientFixture world;
    world.transport.otherwise = [&](const http::Request&) {
      return ScriptedTransport::response(200, body, with("Content-Encoding", coding));
    };
    const auto answer = world.call();
    REQUIRE(!answer.has_value());
    CHECK(answer.error().kind == ErrorKind::Corrupt);
    CHECK(world.transport.requests.size() == 3);
    CHECK(world.client.counters().malformed == 3);
  }
}

TEST_CASE("an answer that the check refuses is asked for again, three times in all") {
  ClientFixture world;
  int seen = 0;
  CallOptions options;
  options.check = [&seen](const std::shared_ptr<const std::string>& body) -> base::Result<> {
    ++seen;
    if (*body != "good") return base::fail(ErrorKind::Corrupt, "not good");
    return {};
  };
  world.transport.then(200, "bad");
  world.transport.then(200, "bad");
  world.transport.then(200, "good");
  REQUIRE(world.call("Scan", "{}", options).has_value());
  CHECK(seen == 3);

  world.transport.otherwise = [](const http::Request&) { return ScriptedTransport::response(200, "bad"); };
  const auto answer = world.call("Scan", "{}", options);
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == ErrorKind::Corrupt);
  CHECK(answer.error().what.find("not good") != std::string::npos);
  CHECK(seen == 6);
}

TEST_CASE("gzip of every size decodes to what it was made of, whatever size it states") {
  Gunzip gunzip;
  base::Rng rng(3);
  for (const std::size_t size : {0, 1, 17, 1000, 4096, 70'000, 1'000'000, 5'000'000}) {
    CAPTURE(size);
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>('a' + rng.below(20));
    const std::string body = gzipped(text);
    const auto decoded = gunzip.decode(body);
    REQUIRE(decoded.has_value());
    CHECK(*decoded == text);
    // A length in the trailer that lies is damage.
    std::string lying = body;
    lying.back() = static_cast<char>(lying.back() ^ 0x40);
    CHECK(!gunzip.decode(lying).has_value());
  }
}

TEST_CASE("a bomb stops at the limit") {
  Gunzip gunzip;
  const std::string bomb = gzipped(std::string(10'000'000, '\0'));
  CHECK(bomb.size() < 100'000);
  CHECK(gunzip.decode(bomb, 10'000'000).has_value());
  const auto over = gunzip.decode(bomb, 9'999'999);
  REQUIRE(!over.has_value());
  CHECK(over.error().kind == ErrorKind::TooLarge);
  CHECK(gunzip.decode(bomb, 200'000).error().kind == ErrorKind::TooLarge);
  CHECK(gunzip.decode(bomb, 10'000'000).has_value());
}

TEST_CASE("crc32 is that of gzip") {
  CHECK(crc32_of("123456789") == 0xCBF43926U);
  CHECK(crc32_of("") == 0);
  CHECK(crc32_matches("3421780262", "123456789"));
  for (const char* header :
       {"", "3421780261", "0xCBF43926", " 3421780262", "3421780262 ", "-1", "99999999999999999999"}) {
    CHECK(!crc32_matches(header, "123456789"));
  }
}
