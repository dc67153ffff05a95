// aws::S3 against a server that verifies every signature (s3proxy), over net/'s own client.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "aws/s3.h"
#include "net/http_client.h"
#include "net/runtime.h"
#include "net/system_clock.h"

using namespace moveout;
using base::ErrorKind;
using base::Result;
using base::Task;

namespace {

class Silent final : public base::Log {
 public:
  void write(base::LogLevel, std::string_view, const std::vector<base::LogField>&) override {}
  bool enabled(base::LogLevel) const override { return false; }
};

template <class T>
Task<Result<>> keep(Task<Result<T>> task, std::optional<Result<T>>& out) {
  out = co_await std::move(task);
  co_return Result<>();
}

std::string given(const char* variable) {
  const char* text = std::getenv(variable);
  REQUIRE_MESSAGE(text != nullptr, "set ", variable, " (tools/parts/with s3proxy -- …)");
  return text;
}

struct Place {
  explicit Place(std::string secret = {}) {
    aws::ClientConfig config;
    config.endpoint = *http::parse_endpoint(given("MOVEOUT_TEST_S3"));
    config.service = "s3";
    config.retry.give_up_after = base::Millis(3000);
    if (secret.empty()) secret = given("MOVEOUT_TEST_S3_SECRET_KEY");
    credentials.emplace(sigv4::Credentials{given("MOVEOUT_TEST_S3_ACCESS_KEY"), secret, "", {}});
    client.emplace(config, transport, *credentials, clock, base::Rng(1), log);
    s3.emplace(*client, aws::S3Config{});
  }
  template <class T>
  Result<T> run(Task<Result<T>> task) {
    std::optional<Result<T>> out;
    const Result<> ran = runtime.run(keep(std::move(task), out));
    REQUIRE(ran.has_value());
    return std::move(*out);
  }
  std::string fresh_bucket() {
    static int number = 0;
    std::string name = "objects-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
    // A PUT of the bucket itself makes it.
    const auto made = run(s3->put(name, "", "", {}));
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().what));
    return name;
  }

  net::Runtime runtime;
  net::SystemClock clock;
  Silent log;
  net::HttpClient transport{runtime.executor(), {}};
  std::optional<aws::StaticCredentials> credentials;
  std::optional<aws::Client> client;
  std::optional<aws::S3> s3;
};

}  // namespace

TEST_CASE("an object of odd name is put, seen, and read in parts that make the whole") {
  Place place;
  const std::string bucket = place.fresh_bucket();
  std::string body;
  for (int i = 0; i < 100'000; ++i) body += std::to_string(i) + ",";
  for (const std::string key : {"plain", "with space/and+plus.gz", "ümlaut/中文.json", "odd/!'()*&$@=;:,.bin"}) {
    CAPTURE(key);
    const auto put = place.run(place.s3->put(bucket, key, body, {}));
    REQUIRE_MESSAGE(put.has_value(), (put ? "" : put.error().what));
    const auto info = place.run(place.s3->head(bucket, key));
    REQUIRE_MESSAGE(info.has_value(), (info ? "" : info.error().what));
    CHECK(info->size == body.size());
    std::string read;
    while (read.size() < body.size()) {
      const auto part = place.run(place.s3->get(bucket, key, read.size(), 100'001, info->etag));
      REQUIRE_MESSAGE(part.has_value(), (part ? "" : part.error().what));
      CHECK(part->size == body.size());
      read += *part->bytes;
    }
    CHECK(read == body);
  }
}

TEST_CASE("an object that was replaced meanwhile is a conflict, and an absent one is not found") {
  Place place;
  const std::string bucket = place.fresh_bucket();
  const auto first = place.run(place.s3->put(bucket, "k", "first", {}));
  REQUIRE(first.has_value());
  REQUIRE(place.run(place.s3->get(bucket, "k", 0, 3, first->etag)).has_value());
  REQUIRE(place.run(place.s3->put(bucket, "k", "second", {})).has_value());
  const auto stale = place.run(place.s3->get(bucket, "k", 3, 3, first->etag));
  REQUIRE(!stale.has_value());
  CHECK(stale.error().kind == ErrorKind::Conflict);
  const auto absent = place.run(place.s3->get(bucket, "absent", 0, 3));
  REQUIRE(!absent.has_value());
  CHECK(absent.error().kind == ErrorKind::NotFound);
  const auto nowhere = place.run(place.s3->head("no-such-bucket-here", "k"));
  REQUIRE(!nowhere.has_value());
  CHECK(nowhere.error().kind == ErrorKind::NotFound);
}

TEST_CASE("an empty object is read as one") {
  Place place;
  const std::string bucket = place.fresh_bucket();
  REQUIRE(place.run(place.s3->put(bucket, "empty", "", {})).has_value());
  const auto part = place.run(place.s3->get_small(bucket, "empty", 1000));
  REQUIRE_MESSAGE(part.has_value(), (part ? "" : part.error().what));
  CHECK(part->size == 0);
}

TEST_CASE("a listing of many pages has every key once, whatever characters are in it") {
  Place place;
  const std::string bucket = place.fresh_bucket();
  std::vector<std::string> keys;
  for (int i = 0; i < 7; ++i) keys.push_back("in/a b+c&" + std::to_string(i) + "é.gz");
  for (const std::string& key : keys) REQUIRE(place.run(place.s3->put(bucket, key, "x", {})).has_value());
  REQUIRE(place.run(place.s3->put(bucket, "out/other", "x", {})).has_value());
  std::vector<std::string> seen;
  aws::ListRequest request{bucket, "in/", {}, {}, {}, 3};
  int pages = 0;
  do {
    const auto list = place.run(place.s3->list(request));
    REQUIRE_MESSAGE(list.has_value(), (list ? "" : list.error().what));
    for (const aws::ObjectInfo& each : list->objects) seen.push_back(each.key);
    request.token = list->next;
    REQUIRE(++pages < 10);
  } while (!request.token.empty());
  CHECK(pages == 3);
  CHECK(seen == keys);
}

TEST_CASE("a wrong secret is told as such") {
  Place place("guess");
  const auto info = place.run(place.s3->list({"some-bucket", {}, {}, {}, {}, 0}));
  REQUIRE(!info.has_value());
  CHECK(info.error().kind == ErrorKind::Denied);
}
