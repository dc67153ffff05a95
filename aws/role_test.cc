// Roles: source_profile, credential_source, web identity, and move.yaml's own.
#include <doctest/doctest.h>

#include "aws/credentials_world.h"
#include "aws/sts.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

namespace {

constexpr const char* kRole = "arn:aws:iam::123456789012:role/mover";

const std::string kByProfile = std::string("[profile a]\nrole_arn = ") + kRole +
                               "\nsource_profile = b\nexternal_id = x y/z\nrole_session_name = me@here\n"
                               "duration_seconds = 3600\n"
                               "[profile b]\naws_access_key_id = BASE\naws_secret_access_key = hunter2base\n";

CredentialsWorld& with_web_identity(CredentialsWorld& world) {
  world.environment.vars["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/var/token";
  world.environment.vars["AWS_ROLE_ARN"] = kRole;
  world.files["/var/token"] = "hunter2.jwt-token_of/the.pod\n";
  return world;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a role is taken with the keys of its source_profile, asked of the region's STS") {
  CredentialsWorld world(kByProfile);
  world.environment.vars["AWS_PROFILE"] = "a";
  world.config.region = "eu-west-3";
  world.services.then(200, sts_answer("AssumeRole", "ROLE"));
  const Keys keys = world.get();
  REQUIRE_MESSAGE(keys.has_value(), keys.error().what);
  CHECK(keys->access_key_id == "ROLE");
  CHECK(keys->session_token == "token+of/ROLE==");
  CHECK(base::micros_of(*keys->expires) == 1'700'003'600'000'000);
  REQUIRE(world.services.requests.size() == 1);
  const http::Request& asked = world.services.requests[0];
  CHECK(asked.endpoint.to_string() == "https://sts.eu-west-3.amazonaws.com");
  CHECK(asked.body ==
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmover"
        "&RoleSessionName=me%40here&DurationSeconds=3600&ExternalId=x%20y%2Fz");
  CHECK(contains(std::string(asked.headers.get("authorization")), "Credential=BASE/20231114/eu-west-3/sts/"));
  CHECK(contains(world.log.of("aws.credentials").at(0).field("from"), kRole));
}

TEST_CASE("a chain of roles is taken one after the other") {
  CredentialsWorld world(std::string("[profile a]\nrole_arn = arn:aws:iam::1:role/last\nsource_profile = b\n") +
                         "[profile b]\nrole_arn = arn:aws:iam::2:role/first\nsource_profile = c\n"
                         "[profile c]\naws_access_key_id = BASE\naws_secret_access_key = s\n");
  world.config.profile = "a";
  world.services.then(200, sts_answer("AssumeRole", "FIRST"));
  world.services.then(200, sts_answer("AssumeRole", "LAST"));
  CHECK(world.get()->access_key_id == "LAST");
  CHECK(contains(world.services.requests[0].body, "role%2Ffirst"));
  CHECK(contains(std::string(world.services.requests[1].headers.get("authorization")), "Credential=FIRST/"));
  CHECK(world.services.requests[1].headers.get("x-amz-security-token") == "token+of/FIRST==");
}

TEST_CASE("a profile may be the source of its own role") {
  CredentialsWorld world(std::string("[default]\nrole_arn = ") + kRole +
                         "\nsource_profile = default\naws_access_key_id = BASE\naws_secret_access_key = s\n");
  world.services.then(200, sts_answer("AssumeRole", "ROLE"));
  CHECK(world.get()->access_key_id == "ROLE");
}

TEST_CASE("source profiles that go round are named in their order") {
  CredentialsWorld world(
      "[profile a]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = b\n"
      "[profile b]\nrole_arn = arn:aws:iam::1:role/b\nsource_profile = c\n"
      "[profile c]\nrole_arn = arn:aws:iam::1:role/c\nsource_profile = a\n");
  world.config.profile = "a";
  check_error(world.get(), ErrorKind::Usage, {"a → b → c → a"});
  CredentialsWorld itself("[default]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = default\n");
  check_error(itself.get(), ErrorKind::Usage, {"default → default"});
  CHECK(world.services.requests.empty());
}

TEST_CASE("credential_source takes the role with the keys of the environment, the container or the instance") {
  const std::string by_source = std::string("[profile a]\nrole_arn = ") + kRole + "\ncredential_source = ";
  for (const auto& [source, id] :
       {std::pair{"Environment", "ENV"}, {"EcsContainer", "BOX"}, {"Ec2InstanceMetadata", "EC2"}}) {
    CAPTURE(source);
    CredentialsWorld world(by_source + source + "\n");
    world.config.profile = "a";
    world.environment.vars["AWS_ACCESS_KEY_ID"] = "ENV";
    world.environment.vars["AWS_SECRET_ACCESS_KEY"] = "hunter2";
    world.environment.vars["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/x";
    if (std::string(id) == "EC2") {
      world.metadata.then(200, "token");
      world.metadata.then(200, "role-of-instance");
    }
    world.metadata.otherwise = [of = std::string(id)](const http::Request&) {
      return ScriptedTransport::response(200, metadata_answer(of));
    };
    world.services.then(200, sts_answer("AssumeRole", "ROLE"));
    const Keys keys = world.get();
    REQUIRE_MESSAGE(keys.has_value(), keys.error().what);
    CHECK(contains(std::string(world.services.requests.at(0).headers.get("authorization")),
                   std::string("Credential=") + id + "/"));
  }
}

TEST_CASE("a role that is not fully described is refused before anybody is asked") {
  const std::string role = std::string("[default]\nrole_arn = ") + kRole + "\n";
  for (const auto& [text, part] : std::vector<std::pair<std::string, const char*>>{
           {role, "neither source_profile nor credential_source"},
           {role + "source_profile = b\ncredential_source = Environment\n", "both source_profile and"},
           {role + "credential_source = Heaven\n", "is none of Environment"},
           {role + "credential_source = Environment\n", "and there are none"},
           {role + "source_profile = b\n", "named as source_profile by profile \"default\""},
           {role + "source_profile = b\n[profile b]\nregion = x\n", "source_profile \"b\", and there are none"},
           {role + "source_profile = b\nmfa_serial = arn:aws:iam::1:mfa/u\n", "mfa_serial"},
           {role + "source_profile = b\nduration_seconds = soon\n", "duration_seconds"},
           {role + "source_profile = b\nduration_seconds = 60\n", "900 to 43200"},
           {role + "source_profile = b\nrole_session_name = a b\n", "session name"},
           {role + "source_profile = b\nexternal_id = x\n", "external id"},
           {"[default]\nrole_arn = mover\nsource_profile = b\n", "not the ARN of a role"},
           {"[default]\nweb_identity_token_file = /t\n", "no role for it"}}) {
    CAPTURE(text);
    CredentialsWorld world(text);
    check_error(world.get(), ErrorKind::Usage, {part});
    CHECK(world.services.requests.empty());
  }
}

TEST_CASE("web identity shows the token that the file holds now, unsigned") {
  CredentialsWorld world;
  with_web_identity(world).environment.vars["AWS_ROLE_SESSION_NAME"] = "pod-7";
  world.services.then(200, sts_answer("AssumeRoleWithWebIdentity", "ONE"));
  CHECK(world.get()->access_key_id == "ONE");
  const http::Request& asked = world.services.requests[0];
  CHECK(asked.headers.get("authorization").empty());
  CHECK(contains(asked.body, "Action=AssumeRoleWithWebIdentity"));
  CHECK(contains(asked.body, "RoleSessionName=pod-7"));
  CHECK(asked.body.ends_with("WebIdentityToken=hunter2.jwt-token_of%2Fthe.pod"));
  world.files["/var/token"] = "rotated.token.x";
  world.clock.advance(std::chrono::minutes(56));
  world.services.then(200, sts_answer("AssumeRoleWithWebIdentity", "TWO", "2023-11-15T01:00:00Z"));
  CHECK(world.get()->access_key_id == "TWO");
  CHECK(world.services.requests[1].body.ends_with("WebIdentityToken=rotated.token.x"));
}

TEST_CASE("a profile has its web identity, which the environment's goes before unless the profile was asked for") {
  const std::string config =
      "[profile w]\nweb_identity_token_file = /its/token\nrole_arn = arn:aws:iam::1:role/its\n"
      "role_session_name = its\n";
  CredentialsWorld by_variable(config);
  with_web_identity(by_variable).environment.vars["AWS_PROFILE"] = "w";
  by_variable.services.then(200, sts_answer("AssumeRoleWithWebIdentity", "A"));
  CHECK(by_variable.get().has_value());
  CHECK(contains(by_variable.services.requests[0].body, "role%2Fmover"));
  CredentialsWorld chosen(config);
  with_web_identity(chosen).config.profile = "w";
  chosen.files["/its/token"] = "its.token";
  chosen.services.then(200, sts_answer("AssumeRoleWithWebIdentity", "B"));
  CHECK(chosen.get().has_value());
  CHECK(contains(chosen.services.requests[0].body, "role%2Fits"));
  CHECK(contains(chosen.services.requests[0].body, "its.token"));
}

TEST_CASE("a token file that is missing, empty or no token is named and not quoted") {
  CredentialsWorld missing;
  with_web_identity(missing).files.clear();
  check_error(missing.get(), ErrorKind::Usage, {"/var/token does not exist"});
  for (const char* text : {"", "\n", "hunter2\nhunter2", "a hunter2", "hunter2\x01"}) {
    CredentialsWorld world;
    with_web_identity(world).files["/var/token"] = text;
    check_error(world.get(), ErrorKind::Usage, {"/var/token holds no token"});
  }
}

TEST_CASE("what STS refuses has the kind of what can be done about it") {
  struct Refusal {
    const char* code;
    int status;
    ErrorKind kind;
    const char* part;
  };
  for (const Refusal& each : {Refusal{"AccessDenied", 403, ErrorKind::Denied, "sts:AssumeRole"},
                              Refusal{"ExpiredToken", 400, ErrorKind::CredentialsExpired, "expired"},
                              Refusal{"InvalidClientTokenId", 403, ErrorKind::Denied, "not known in region"},
                              Refusal{"SignatureDoesNotMatch", 403, ErrorKind::Denied, "signature was refused"},
                              Refusal{"ValidationError", 400, ErrorKind::Usage, "ValidationError"},
                              Refusal{"RegionDisabledException", 403, ErrorKind::Denied, "RegionDisabledException"}}) {
    CAPTURE(each.code);
    CredentialsWorld world(kByProfile);
    world.config.profile = "a";
    world.services.then(each.status, sts_error(each.code, "the message"));
    check_error(world.get(), each.kind, {each.part, kRole, "looked at: profile \"b\""});
    CHECK(world.services.requests.size() == 1);
  }
  for (const char* code : {"InvalidIdentityToken", "IDPRejectedClaim"}) {
    CredentialsWorld world;
    with_web_identity(world).services.then(400, sts_error(code, "no"));
    check_error(world.get(), ErrorKind::Denied, {"web identity token", code});
  }
  CredentialsWorld behind;
  with_web_identity(behind).services.then(400, sts_error("ExpiredTokenException", "Token expired"));
  check_error(behind.get(), ErrorKind::CredentialsExpired, {"nobody has put a newer one there"});
}

TEST_CASE("a message of STS that quotes the token or the keys is not shown") {
  CredentialsWorld world;
  with_web_identity(world).services.then(
      400, sts_error("ValidationError", "Value 'hunter2.jwt-token_of/the.pod' at 'webIdentityToken' is bad"));
  check_error(world.get(), ErrorKind::Usage, {"ValidationError", "not shown"});
  CredentialsWorld keys(kByProfile);
  keys.config.profile = "a";
  keys.services.then(403, sts_error("AccessDenied", "the secret hunter2base is wrong"));
  check_error(keys.get(), ErrorKind::Denied, {"not shown"});
}

TEST_CASE("throttles, lost connections and 5xx of STS are tried again, a few times") {
  CredentialsWorld world(kByProfile);
  world.config.profile = "a";
  world.services.then(ErrorKind::Unavailable, "reset");
  world.services.then(503, "<html>busy</html>");
  world.services.then(400, sts_error("Throttling", "Rate exceeded"));
  world.services.then(200, sts_answer("AssumeRole", "ROLE"));
  CHECK(world.get()->access_key_id == "ROLE");
  CredentialsWorld down(kByProfile);
  down.config.profile = "a";
  down.services.otherwise = [](const http::Request&) { return base::fail(ErrorKind::EndpointDown, "refused"); };
  check_error(down.get(), ErrorKind::EndpointDown, {"STS at https://sts.us-east-1.amazonaws.com", "refused"});
  CHECK(down.services.requests.size() == 3);
  CHECK(down.elapsed() < std::chrono::seconds(5));
  CredentialsWorld slow;
  with_web_identity(slow).services.otherwise = [](const http::Request&) {
    return ScriptedTransport::response(400, sts_error("IDPCommunicationError", "late"));
  };
  check_error(slow.get(), ErrorKind::Unavailable, {"IDPCommunicationError"});
  CHECK(slow.services.requests.size() == 4);
}

TEST_CASE("a clock that is off is corrected by the server's, once") {
  CredentialsWorld world(kByProfile);
  world.config.profile = "a";
  http::Headers ahead;
  ahead.add("Date", "Wed, 15 Nov 2023 00:13:20 GMT");
  world.services.then(403, sts_error("SignatureDoesNotMatch", "Signature expired: x"), ahead);
  world.services.then(200, sts_answer("AssumeRole", "ROLE"));
  CHECK(world.get().has_value());
  CHECK(world.services.requests[0].headers.get("x-amz-date") == "20231114T221320Z");
  CHECK(world.services.requests[1].headers.get("x-amz-date") == "20231115T001320Z");
  CredentialsWorld never(kByProfile);
  never.config.profile = "a";
  never.services.otherwise = [&](const http::Request&) {
    return ScriptedTransport::response(403, sts_error("SignatureDoesNotMatch", "Signature expired: x"), ahead);
  };
  CHECK(never.get().error().kind == ErrorKind::Denied);
  CHECK(never.services.requests.size() == 2);
}

TEST_CASE("answers of STS that are none, in every way, give one clear error and no keys") {
  const std::string good = sts_answer("AssumeRole", "ROLE");
  const auto without = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  std::vector<std::string> bodies = {"",
                                     "{\"hunter2\":1}",
                                     "<html><body>hunter2</body></html>",
                                     sts_answer("AssumeRoleWithWebIdentity", "ROLE"),
                                     without("<AccessKeyId>ROLE</AccessKeyId>", ""),
                                     without("<AccessKeyId>ROLE", "<AccessKeyId>"),
                                     without("<AccessKeyId>ROLE", "<AccessKeyId>RO\nLE"),
                                     without("hunter2/role", ""),
                                     without("hunter2/role", "hunter2 role"),
                                     without("token+of", "token\xC3\xA4of"),
                                     without("2023-11-14T23:13:20Z", ""),
                                     without("2023-11-14T23:13:20Z", "hunter2"),
                                     without("2023-11-14T23:13:20Z", "2023-13-14T23:13:20Z"),
                                     without("2023-11-14T23:13:20Z", "1700003600"),
                                     good.substr(0, good.size() / 2)};
  for (const std::string& body : bodies) {
    CAPTURE(body);
    CredentialsWorld world(kByProfile);
    world.config.profile = "a";
    world.services.then(200, body);
    check_error(world.get(), ErrorKind::Corrupt, {"STS at https://sts.us-east-1.amazonaws.com", kRole});
  }
  CredentialsWorld huge(kByProfile);
  huge.config.profile = "a";
  huge.services.then(200, good + std::string(std::size_t{64} << 10, ' '));
  check_error(huge.get(), ErrorKind::Corrupt, {"more than 64 KB"});
  CredentialsWorld redirect(kByProfile);
  redirect.config.profile = "a";
  http::Headers elsewhere;
  elsewhere.add("Location", "https://hunter2.example/");
  redirect.services.then(307, "", elsewhere);
  check_error(redirect.get(), ErrorKind::Corrupt, {"redirect"});
  CHECK(redirect.services.requests.size() == 1);
}

TEST_CASE("keys that have ended at birth are not used") {
  CredentialsWorld world(kByProfile);
  world.config.profile = "a";
  world.services.then(200, sts_answer("AssumeRole", "ROLE", "2023-11-14T22:13:19Z"));
  check_error(world.get(), ErrorKind::CredentialsExpired, {"have expired", kRole});
}

TEST_CASE("the role of move.yaml is taken with whatever keys the chain gives") {
  CredentialsWorld world;
  world.config.role = {kRole, "copy-1", "shared", 0};
  world.environment.vars["AWS_ACCESS_KEY_ID"] = "ENV";
  world.environment.vars["AWS_SECRET_ACCESS_KEY"] = "hunter2";
  world.services.then(200, sts_answer("AssumeRole", "ROLE"));
  CHECK(world.get()->access_key_id == "ROLE");
  CHECK(contains(world.services.requests[0].body, "RoleSessionName=copy-1&ExternalId=shared"));
  // Renewed as every other.
  world.clock.advance(std::chrono::minutes(56));
  world.services.then(200, sts_answer("AssumeRole", "NEXT", "2023-11-15T01:00:00Z"));
  CHECK(world.get()->access_key_id == "NEXT");
  CredentialsWorld none;
  none.config.role.arn = kRole;
  check_error(none.get(), ErrorKind::Usage, {"no AWS credentials"});
  CHECK(none.services.requests.empty());
}

TEST_CASE("STS is asked where the user says, and in plain HTTP on this machine only") {
  CredentialsWorld world(kByProfile);
  world.config.profile = "a";
  world.environment.vars["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:4566";
  world.services.then(200, sts_answer("AssumeRole", "ROLE"));
  CHECK(world.get().has_value());
  CHECK(world.services.requests[0].endpoint.to_string() == "http://127.0.0.1:4566");
  CredentialsWorld beyond(kByProfile);
  beyond.config.profile = "a";
  beyond.environment.vars["AWS_ENDPOINT_URL_STS"] = "http://sts.example.com";
  check_error(beyond.get(), ErrorKind::Usage, {"http://sts.example.com", "https://"});
  CHECK(beyond.services.requests.empty());
  CredentialsWorld asked_for(kByProfile);
  asked_for.config.profile = "a";
  asked_for.config.plain_http = true;
  asked_for.environment.vars["AWS_ENDPOINT_URL"] = "http://stand-in:4566";
  asked_for.services.then(200, sts_answer("AssumeRole", "ROLE"));
  CHECK(asked_for.get().has_value());
}
