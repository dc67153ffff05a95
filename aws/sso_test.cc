#include "aws/sso.h"

#include <doctest/doctest.h>

#include "aws/credentials_world.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

namespace {

const std::string kSession =
    "[default]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Mover/x\n"
    "[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n";
const std::string kOlder =
    "[default]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-central-1\n"
    "sso_account_id = 123456789012\nsso_role_name = Mover\n";

// sha1sum of "corp" and of the start URL.
constexpr const char* kSessionCache = "/home/u/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
constexpr const char* kOlderCache = "/home/u/.aws/sso/cache/a51746d4aa793ae07b25e90c3a5db96fc7832bd7.json";

std::string token(const std::string& access, const std::string& expires) {
  return R"({"startUrl":"https://corp.awsapps.com/start","region":"eu-central-1","accessToken":")" + access +
         R"(","expiresAt":")" + expires +
         R"(","clientId":"client","clientSecret":"hunter2c","registrationExpiresAt":"2024-01-01T00:00:00Z",)"
         R"("refreshToken":"hunter2r","other":"kept"})";
}

std::string role_answer(const std::string& id, const std::string& end_ms = "1700003600000") {
  return R"({"roleCredentials":{"accessKeyId":")" + id +
         R"(","secretAccessKey":"hunter2","sessionToken":"st","expiration":)" + end_ms + "}}";
}

std::string path_of(const char* session, const char* start_url) {
  CredentialsWorld world;
  return sso_cache_path({session, start_url, "", "", ""}, world.environment);
}

}  // namespace

TEST_CASE("the cache's file is named by the session, in the older form by the start URL") {
  CHECK(path_of("corp", "https://corp.awsapps.com/start") == kSessionCache);
  CHECK(path_of("", "https://corp.awsapps.com/start") == kOlderCache);
}

TEST_CASE("a session's token gives the role's keys") {
  CredentialsWorld world(kSession);
  world.files[kSessionCache] = token("bearer", "2023-11-15T06:00:00Z");
  world.services.then(200, role_answer("SSO"));
  const Keys keys = world.get();
  REQUIRE_MESSAGE(keys.has_value(), keys.error().what);
  CHECK(*keys == sigv4::Credentials{"SSO", "hunter2", "st", base::instant_of_micros(1'700'003'600'000'000)});
  REQUIRE(world.services.requests.size() == 1);
  const http::Request& asked = world.services.requests[0];
  CHECK(asked.method == "GET");
  CHECK(asked.endpoint.to_string() == "https://portal.sso.eu-central-1.amazonaws.com");
  CHECK(asked.target == "/federation/credentials?role_name=Mover%2Fx&account_id=123456789012");
  CHECK(asked.headers.get("x-amz-sso_bearer_token") == "bearer");
}

TEST_CASE("the older form has its token too, which nobody refreshes") {
  CredentialsWorld world(kOlder);
  world.files[kOlderCache] = token("bearer", "2023-11-14T22:20:00UTC");
  world.services.then(200, role_answer("SSO"));
  CHECK(world.get()->access_key_id == "SSO");
  CHECK(world.services.requests.size() == 1);
  CredentialsWorld ended(kOlder);
  ended.files[kOlderCache] = token("bearer", "2023-11-14T22:13:20Z");
  check_error(ended.get(), ErrorKind::CredentialsExpired, {"has ended", "aws sso login --profile default"});
  CHECK(ended.services.requests.empty());
}

TEST_CASE("a token near its end is refreshed, and written back for the other tools") {
  CredentialsWorld world(kSession);
  world.files[kSessionCache] = token("old", "2023-11-14T22:28:20Z");
  world.services.then(200, R"({"accessToken":"new","expiresIn":3600,"refreshToken":"hunter2n","tokenType":"Bearer"})");
  world.services.then(200, role_answer("SSO"));
  CHECK(world.get()->access_key_id == "SSO");
  const http::Request& asked = world.services.requests.at(0);
  CHECK(asked.method == "POST");
  CHECK(asked.endpoint.to_string() == "https://oidc.eu-central-1.amazonaws.com");
  CHECK(asked.target == "/token");
  CHECK(asked.body ==
        R"({"clientId":"client","clientSecret":"hunter2c","refreshToken":"hunter2r","grantType":"refresh_token"})");
  CHECK(world.services.requests.at(1).headers.get("x-amz-sso_bearer_token") == "new");
  const std::string& cached = world.files[kSessionCache];
  for (const char* part : {R"("accessToken":"new")", R"("expiresAt":"2023-11-14T23:13:20Z")",
                           R"("refreshToken":"hunter2n")", R"("clientSecret":"hunter2c")", R"("other":"kept")"}) {
    CAPTURE(cached);
    CHECK(cached.find(part) != std::string::npos);
  }
}

TEST_CASE("where the cache cannot be written the new token is kept for the next time") {
  CredentialsWorld world(kSession);
  world.read_only = true;
  world.files[kSessionCache] = token("old", "2023-11-14T22:20:00Z");
  world.services.then(200, R"({"accessToken":"new","expiresIn":28800,"refreshToken":"hunter2n"})");
  world.services.then(200, role_answer("ONE"));
  CHECK(world.get()->access_key_id == "ONE");
  CHECK(world.log.of("aws.sso_token_not_saved").size() == 1);
  world.clock.advance(std::chrono::minutes(56));
  world.services.then(200, role_answer("TWO", "1700010000000"));
  CHECK(world.get()->access_key_id == "TWO");
  CHECK(world.services.requests.back().headers.get("x-amz-sso_bearer_token") == "new");
  CHECK(world.services.requests.size() == 3);
}

TEST_CASE("a refresh that fails leaves the old token to its end, then names the login") {
  CredentialsWorld world(kSession);
  world.files[kSessionCache] = token("old", "2023-11-14T22:20:00Z");
  world.services.then(400, R"({"error":"invalid_grant","error_description":"hunter2"})");
  world.services.then(200, role_answer("SSO"));
  CHECK(world.get()->access_key_id == "SSO");
  CHECK(world.log.of("aws.sso_refresh_failed").size() == 1);
  CredentialsWorld ended(kSession);
  ended.files[kSessionCache] = token("old", "2023-11-14T22:00:00Z");
  ended.services.then(400, R"({"error":"invalid_grant","error_description":"hunter2"})");
  check_error(ended.get(), ErrorKind::CredentialsExpired, {"invalid_grant", "aws sso login --profile default"});
  CredentialsWorld down(kSession);
  down.files[kSessionCache] = token("old", "2023-11-14T22:00:00Z");
  check_error(down.get(), ErrorKind::Unavailable, {"SSO OIDC at https://oidc.eu-central-1.amazonaws.com"});
  CredentialsWorld registration(kSession);
  std::string text = token("old", "2023-11-14T22:00:00Z");
  text.replace(text.find("2024-01-01"), 10, "2023-01-01");
  registration.files[kSessionCache] = text;
  check_error(registration.get(), ErrorKind::CredentialsExpired, {"any more", "aws sso login"});
  CHECK(registration.services.requests.empty());
}

TEST_CASE("nobody logged in, and a cache that is none, name the login and quote nothing") {
  CredentialsWorld nobody(kSession);
  check_error(nobody.get(), ErrorKind::CredentialsExpired,
              {kSessionCache, "does not exist", "aws sso login", "looked at: "});
  for (const char* text : {"", "hunter2", "[]", "{}", R"({"accessToken":"hunter2"})",
                           R"({"accessToken":7,"expiresAt":"2023-11-15T06:00:00Z"})",
                           R"({"accessToken":"hun\nter2","expiresAt":"2023-11-15T06:00:00Z"})",
                           R"({"accessToken":"hunter2","expiresAt":"never"})",
                           R"({"accessToken":"","expiresAt":"2023-11-15T06:00:00Z"})"}) {
    CAPTURE(text);
    CredentialsWorld world(kSession);
    world.files[kSessionCache] = text;
    check_error(world.get(), ErrorKind::CredentialsExpired, {"aws sso login"});
    CHECK(world.services.requests.empty());
  }
}

TEST_CASE("what a profile leaves out or says twice is named") {
  const auto without = [](std::string text, const std::string& line) {
    const std::size_t at = text.find(line);
    REQUIRE(at != std::string::npos);
    return text.erase(at, text.find('\n', at) + 1 - at);
  };
  for (const char* setting : {"sso_start_url", "sso_region", "sso_account_id", "sso_role_name"}) {
    CAPTURE(setting);
    CredentialsWorld world(without(kOlder, setting));
    check_error(world.get(), ErrorKind::Usage, {"has no", setting});
  }
  CredentialsWorld lost(without(kSession, "[sso-session corp]"));
  check_error(lost.get(), ErrorKind::Usage, {"[sso-session corp]"});
  CredentialsWorld twice(kSession + "sso_account_id = 7\n");
  check_error(twice.get(), ErrorKind::Usage, {"two values of sso_account_id"});
  CredentialsWorld letters(kOlder + "sso_account_id = me\n");
  check_error(letters.get(), ErrorKind::Usage, {"not a number"});
}

TEST_CASE("what the portal refuses has the kind of what can be done about it") {
  for (const auto& [status, kind, part] :
       {std::tuple{401, ErrorKind::CredentialsExpired, "log in again: aws sso login"},
        {403, ErrorKind::Denied, "is it assigned"},
        {404, ErrorKind::Denied, "role Mover/x in account 123456789012"},
        {302, ErrorKind::Corrupt, "redirect"}}) {
    CAPTURE(status);
    CredentialsWorld world(kSession);
    world.files[kSessionCache] = token("bearer", "2023-11-15T06:00:00Z");
    world.services.then(status, "hunter2");
    check_error(world.get(), kind, {part});
  }
  CredentialsWorld busy(kSession);
  busy.files[kSessionCache] = token("bearer", "2023-11-15T06:00:00Z");
  busy.services.then(429, "");
  busy.services.then(503, "");
  busy.services.then(200, role_answer("SSO"));
  CHECK(busy.get().has_value());
}

TEST_CASE("hostile answers of the portal and of the token service give one clear error each") {
  for (const std::string& body : std::vector<std::string>{
           "", "hunter2", "[]", "{}", R"({"roleCredentials":7})", role_answer("SSO").substr(0, 50),
           role_answer("SSO", "0"), role_answer("SSO", "-5"), role_answer("SSO", "1e300"), role_answer("SSO", "\"x\""),
           role_answer(""), role_answer("a b"),
           R"({"roleCredentials":{"accessKeyId":"A","secretAccessKey":"hunter2"}})", "<html>hunter2</html>"}) {
    CAPTURE(body);
    CredentialsWorld world(kSession);
    world.files[kSessionCache] = token("bearer", "2023-11-15T06:00:00Z");
    world.services.then(200, body);
    check_error(world.get(), ErrorKind::Corrupt, {"SSO portal at", "Mover/x"});
  }
  for (const char* body :
       {"", "hunter2", "{}", R"({"accessToken":"hunter2"})", R"({"accessToken":"a","expiresIn":0})",
        R"({"accessToken":"a","expiresIn":-1})", R"({"accessToken":"a","expiresIn":1e18})",
        R"({"accessToken":"hun\r\nter2","expiresIn":3600})", R"({"accessToken":{},"expiresIn":3600})"}) {
    CAPTURE(body);
    CredentialsWorld world(kSession);
    const std::string before = world.files[kSessionCache] = token("old", "2023-11-14T22:00:00Z");
    world.services.then(200, body);
    check_error(world.get(), ErrorKind::Corrupt, {"SSO OIDC", "not a token with an end"});
    CHECK(world.files[kSessionCache] == before);
  }
  CredentialsWorld ended(kSession);
  ended.files[kSessionCache] = token("bearer", "2023-11-15T06:00:00Z");
  ended.services.then(200, role_answer("SSO", "1700000000000"));
  check_error(ended.get(), ErrorKind::CredentialsExpired, {"have expired"});
}
