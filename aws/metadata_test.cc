// Containers' and instances' keys.
#include "aws/metadata.h"

#include <doctest/doctest.h>

#include "aws/credentials_world.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

namespace {

constexpr const char* kRelative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
constexpr const char* kFull = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

struct Container : CredentialsWorld {
  Container(const char* variable, const char* value) { environment.vars[variable] = value; }
};

struct Instance : CredentialsWorld {
  explicit Instance(const std::string& body = metadata_answer("EC2")) {
    metadata.then(200, "session-token==");
    metadata.then(200, "my-role\n");
    metadata.then(200, body);
  }
};

// Everything that no answer with keys may be.
const std::vector<std::string> kHostile = {
    "",
    "hunter2",
    "<html><body>hunter2</body></html>",
    "[]",
    "{}",
    R"({"AccessKeyId":"hunter2")",
    R"({"AccessKeyId":1,"SecretAccessKey":"hunter2","Token":"t","Expiration":"2023-11-14T23:13:20Z"})",
    R"({"AccessKeyId":"A","SecretAccessKey":{"x":"hunter2"},"Token":"t","Expiration":"2023-11-14T23:13:20Z"})",
    R"({"AccessKeyId":"A","SecretAccessKey":"hunter2","Token":["t"],"Expiration":"2023-11-14T23:13:20Z"})",
    R"({"AccessKeyId":"A","SecretAccessKey":"hunter2","Token":"","Expiration":"2023-11-14T23:13:20Z"})",
    R"({"AccessKeyId":"A","SecretAccessKey":"hunter2","Expiration":"2023-11-14T23:13:20Z"})",
    R"({"AccessKeyId":"A\r\nX-Evil: 1","SecretAccessKey":"hunter2","Token":"t","Expiration":"2023-11-14T23:13:20Z"})",
    R"({"AccessKeyId":"A","SecretAccessKey":"hunter2","Token":"t\r\nX-Evil: 1","Expiration":"2023-11-14T23:13:20Z"})",
    R"({"AccessKeyId":"A","SecretAccessKey":"hunter2","Token":"t","Expiration":"tomorrow"})",
    R"({"AccessKeyId":"A","SecretAccessKey":"hunter2","Token":"t","Expiration":1700003600})"};

}  // namespace

TEST_CASE("a container's keys come from the link-local address, by its relative path") {
  Container world(kRelative, "/v2/credentials/a-b?x=1");
  world.environment.vars[kFull] = "http://127.0.0.1/other";
  world.metadata.then(200, metadata_answer("BOX"));
  CHECK(world.get()->access_key_id == "BOX");
  const http::Request& asked = world.metadata.requests.at(0);
  CHECK(asked.method == "GET");
  CHECK(asked.endpoint.to_string() == "http://169.254.170.2");
  CHECK(asked.target == "/v2/credentials/a-b?x=1");
  CHECK(!asked.headers.has("authorization"));
  CHECK(world.services.requests.empty());
}

TEST_CASE("EKS Pod Identity: the full address with the token that the file holds now") {
  Container world(kFull, "http://169.254.170.23/v1/credentials");
  world.environment.vars["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/var/run/token";
  world.environment.vars["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "not this";
  world.files["/var/run/token"] = "first\n";
  world.metadata.then(200, metadata_answer("ONE"));
  CHECK(world.get()->access_key_id == "ONE");
  CHECK(world.metadata.requests[0].headers.get("authorization") == "first");
  world.files["/var/run/token"] = "second";
  world.clock.advance(std::chrono::minutes(56));
  world.metadata.then(200, metadata_answer("TWO", "2023-11-15T01:00:00Z"));
  CHECK(world.get()->access_key_id == "TWO");
  CHECK(world.metadata.requests[1].headers.get("authorization") == "second");
  CHECK(world.metadata.requests[1].target == "/v1/credentials");
}

TEST_CASE("the full address is https, or one that never leaves the machine") {
  for (const char* url :
       {"https://keys.example.com/x", "http://localhost:1234/x", "http://127.0.0.1:1/x", "http://127.1.2.3/x",
        "http://[::1]:8080/x", "http://169.254.170.2/x", "http://169.254.170.23/x", "http://[fd00:ec2::23]/x"}) {
    CAPTURE(url);
    Container world(kFull, url);
    world.environment.vars["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "Basic hunter2";
    world.metadata.then(200, metadata_answer("BOX"));
    CHECK(world.get().has_value());
    CHECK(world.metadata.requests.at(0).headers.get("authorization") == "Basic hunter2");
  }
  for (const char* url :
       {"http://keys.example.com/x", "http://169.254.170.3/x", "http://169.254.169.254/x", "http://10.0.0.1/x",
        "http://localhost.example.com/x", "http://127.0.0.1.example.com/x", "http://127.0.0.1@example.com/x",
        "http://[fd00:ec2::24]/x", "http://0.0.0.0/x", "ftp://localhost/x", "localhost/x", "/x", "http://"}) {
    CAPTURE(url);
    Container world(kFull, url);
    world.environment.vars["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "hunter2";
    check_error(world.get(), ErrorKind::Usage, {kFull});
    CHECK(world.metadata.requests.empty());
  }
  Container path(kRelative, "169.254.170.9/x");
  check_error(path.get(), ErrorKind::Usage, {kRelative});
  Container line(kRelative, "/x\r\nX-Evil: 1");
  check_error(line.get(), ErrorKind::Usage, {kRelative});
}

TEST_CASE("a container's token that is missing, empty or no header is named and not quoted") {
  for (const auto& [text, part] : std::vector<std::pair<std::string, const char*>>{
           {"\n", "/t is empty"}, {"hunter2\r\nX-Evil: 1", "cannot stand in a header"}}) {
    Container world(kFull, "http://127.0.0.1/x");
    world.environment.vars["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/t";
    world.files["/t"] = text;
    check_error(world.get(), ErrorKind::Usage, {part});
    CHECK(world.metadata.requests.empty());
  }
  Container missing(kFull, "http://127.0.0.1/x");
  missing.environment.vars["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/t";
  check_error(missing.get(), ErrorKind::Usage, {"/t does not exist"});
}

TEST_CASE("hostile answers of a container give one clear error each, and no other place is asked") {
  for (const std::string& body : kHostile) {
    CAPTURE(body);
    Container world(kRelative, "/x");
    world.metadata.then(200, body);
    check_error(world.get(), ErrorKind::Corrupt, {"container's credentials at http://169.254.170.2", "looked at: "});
    CHECK(world.metadata.requests.size() == 1);
  }
  Container huge(kRelative, "/x");
  huge.metadata.then(200, std::string(70'000, ' ') + metadata_answer("BOX"));
  check_error(huge.get(), ErrorKind::Corrupt, {"more than 64 KB"});
  Container redirect(kRelative, "/x");
  redirect.metadata.then(302, "");
  check_error(redirect.get(), ErrorKind::Corrupt, {"redirect"});
  Container refused(kRelative, "/x");
  refused.metadata.then(403, "hunter2");
  check_error(refused.get(), ErrorKind::Denied, {"403", "asked without a token"});
  Container ended(kRelative, "/x");
  ended.metadata.then(200, metadata_answer("BOX", "2023-11-14T22:13:20Z"));
  check_error(ended.get(), ErrorKind::CredentialsExpired, {"have expired"});
  Container silent(kRelative, "/x");
  check_error(silent.get(), ErrorKind::Unavailable, {"container's credentials"});
  CHECK(silent.metadata.requests.size() == 3);
  CHECK(silent.elapsed() < std::chrono::seconds(10));
}

TEST_CASE("an instance's keys: a session token, the role's name, its keys") {
  Instance world;
  const Keys keys = world.get();
  REQUIRE_MESSAGE(keys.has_value(), keys.error().what);
  CHECK(keys->access_key_id == "EC2");
  const auto& asked = world.metadata.requests;
  REQUIRE(asked.size() == 3);
  CHECK(asked[0].method == "PUT");
  CHECK(asked[0].endpoint.to_string() == "http://169.254.169.254");
  CHECK(asked[0].target == "/latest/api/token");
  CHECK(asked[0].headers.get("x-aws-ec2-metadata-token-ttl-seconds") == "21600");
  CHECK(asked[0].timeout == base::Millis(1000));
  CHECK(asked[1].method == "GET");
  CHECK(asked[1].target == "/latest/meta-data/iam/security-credentials/");
  CHECK(asked[2].target == "/latest/meta-data/iam/security-credentials/my-role");
  for (const int i : {1, 2}) {
    CHECK(asked[static_cast<std::size_t>(i)].headers.get("x-aws-ec2-metadata-token") == "session-token==");
  }
  CHECK(world.log.of("aws.credentials").at(0).field("from").find("role my-role") != std::string::npos);
}

TEST_CASE("where the instance is asked, how long and how often can be said; nonsense is refused") {
  Instance world;
  world.environment.vars["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://[::1]:1338/";
  world.environment.vars["AWS_METADATA_SERVICE_TIMEOUT"] = "3";
  CHECK(world.get().has_value());
  CHECK(world.metadata.requests[0].endpoint.to_string() == "http://[::1]:1338");
  CHECK(world.metadata.requests[0].timeout == base::Millis(3000));
  Instance six;
  six.environment.vars["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"] = "IPv6";
  CHECK(six.get().has_value());
  CHECK(six.metadata.requests[0].endpoint.to_string() == "http://[fd00:ec2::254]");
  CredentialsWorld patient;
  patient.config_file("[default]\nmetadata_service_num_attempts = 4\n");
  check_error(patient.get(), ErrorKind::Usage, {"nobody answers"});
  CHECK(patient.metadata.requests.size() == 4);
  for (const auto& [variable, value] : {std::pair{"AWS_METADATA_SERVICE_TIMEOUT", "soon"},
                                        {"AWS_METADATA_SERVICE_NUM_ATTEMPTS", "0"},
                                        {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "169.254.169.254"},
                                        {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "v5"}}) {
    CredentialsWorld nonsense;
    nonsense.environment.vars[variable] = value;
    check_error(nonsense.get(), ErrorKind::Usage, {variable});
    CHECK(nonsense.metadata.requests.empty());
  }
}

TEST_CASE("no instance, no role, or switched off: the place is listed, and a laptop is not held up") {
  CredentialsWorld nobody;
  nobody.metadata.then(ErrorKind::EndpointDown, "no route");
  check_error(nobody.get(), ErrorKind::Usage, {"EC2 instance metadata at http://169.254.169.254 (nobody answers)"});
  CHECK(nobody.metadata.requests.size() == 1);
  CredentialsWorld off;
  off.environment.vars["AWS_EC2_METADATA_DISABLED"] = "TRUE";
  check_error(off.get(), ErrorKind::Usage, {"switched off by AWS_EC2_METADATA_DISABLED"});
  CHECK(off.metadata.requests.empty());
  CredentialsWorld old;
  old.metadata.then(404, "");
  check_error(old.get(), ErrorKind::Usage, {"no IMDSv2 token, HTTP status 404"});
  CHECK(old.metadata.requests.size() == 1);
  CredentialsWorld roleless;
  roleless.metadata.then(200, "token");
  roleless.metadata.then(404, "<html>");
  check_error(roleless.get(), ErrorKind::Usage, {"the instance has no role"});
}

TEST_CASE("hostile answers of an instance give one clear error each") {
  for (const std::string& body : kHostile) {
    CAPTURE(body);
    Instance world(body);
    check_error(world.get(), ErrorKind::Corrupt, {"EC2 instance metadata", "role my-role"});
  }
  Instance unending(R"({"Code":"Success","AccessKeyId":"A","SecretAccessKey":"hunter2","Token":"t"})");
  check_error(unending.get(), ErrorKind::Corrupt, {"no expiration"});
  Instance failed(R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"hunter2"})");
  check_error(failed.get(), ErrorKind::Denied, {"AssumeRoleUnauthorizedAccess"});
  for (const char* token : {"", "<html>hunter2</html>\n", "a\r\nX-Evil: 1", "hunter2 hunter2"}) {
    CAPTURE(token);
    CredentialsWorld world;
    world.metadata.then(200, token);
    check_error(world.get(), ErrorKind::Corrupt, {"cannot be one"});
    CHECK(world.metadata.requests.size() == 1);
  }
  for (const char* role : {"", "../../latest/user-data", "a b", "<html>hunter2", "a?b"}) {
    CAPTURE(role);
    CredentialsWorld world;
    world.metadata.then(200, "token");
    world.metadata.then(200, role);
    check_error(world.get(), ErrorKind::Corrupt, {"role's name cannot be one"});
    CHECK(world.metadata.requests.size() == 2);
  }
  CredentialsWorld redirect;
  redirect.metadata.then(301, "");
  check_error(redirect.get(), ErrorKind::Corrupt, {"redirect"});
  CredentialsWorld huge;
  huge.metadata.then(200, std::string(70'000, 'a'));
  check_error(huge.get(), ErrorKind::Corrupt, {"more than 64 KB"});
  CredentialsWorld lost;
  lost.metadata.then(200, "token");
  lost.metadata.then(401, "hunter2");
  check_error(lost.get(), ErrorKind::Denied, {"401"});
}
