#include "aws/credentials.h"

#include <doctest/doctest.h>

#include "aws/credentials_world.h"
#include "aws/search.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;
using base::Millis;

namespace {

std::string process_json(const std::string& id, const std::string& expires) {
  return R"({"Version":1,"AccessKeyId":")" + id + R"(","SecretAccessKey":"s","SessionToken":"t","Expiration":")" +
         expires + R"("})";
}

void check_usage(const Keys& keys, std::initializer_list<const char*> parts) {
  check_error(keys, ErrorKind::Usage, parts);
}

}  // namespace

TEST_CASE("the environment's keys go before every file") {
  CredentialsWorld world;
  world.environment.vars["AWS_ACCESS_KEY_ID"] = "ENV";
  world.environment.vars["AWS_SECRET_ACCESS_KEY"] = "s";
  world.environment.vars["AWS_SESSION_TOKEN"] = "t";
  world.environment.vars["AWS_PROFILE"] = "other";
  world.credentials_file("[other]\naws_access_key_id=FILE\naws_secret_access_key=x\n");
  const Keys keys = world.get();
  REQUIRE(keys.has_value());
  CHECK(*keys == sigv4::Credentials{"ENV", "s", "t", {}});
}

TEST_CASE("a profile that move.yaml names goes before the environment's keys") {
  CredentialsWorld world(with_profile("other"));
  world.environment.vars["AWS_ACCESS_KEY_ID"] = "ENV";
  world.environment.vars["AWS_SECRET_ACCESS_KEY"] = "s";
  world.credentials_file("[other]\naws_access_key_id=FILE\naws_secret_access_key=x\n");
  CHECK(world.get()->access_key_id == "FILE");
}

TEST_CASE("half of the environment's keys is an error, not the next place") {
  CredentialsWorld world;
  world.credentials_file("[default]\naws_access_key_id=FILE\naws_secret_access_key=x\n");
  world.environment.vars["AWS_ACCESS_KEY_ID"] = "ENV";
  check_usage(world.get(), {"AWS_SECRET_ACCESS_KEY is not"});
  CredentialsWorld other;
  other.environment.vars["AWS_SECRET_ACCESS_KEY"] = "s";
  check_usage(other.get(), {"AWS_ACCESS_KEY_ID is not"});
}

TEST_CASE("within a profile: keys of the credentials file, the process, keys of the config file") {
  CredentialsWorld world;
  world.environment.vars["AWS_PROFILE"] = "p";
  world.config_file(
      "[profile p]\naws_access_key_id = CONFIG\naws_secret_access_key = x\ncredential_process = /bin/give 'a b' --x\n");
  world.credentials_file("[p]\naws_access_key_id = FILE\naws_secret_access_key = x\naws_session_token = t\n");
  CHECK(*world.get() == sigv4::Credentials{"FILE", "x", "t", {}});

  CredentialsWorld process;
  process.environment.vars["AWS_PROFILE"] = "p";
  process.files = world.files;
  process.credentials_file("[q]\naws_access_key_id = FILE\naws_secret_access_key = x\n");
  process.program_prints = process_json("PROCESS", "2030-01-01T00:00:00Z");
  CHECK(process.get()->access_key_id == "PROCESS");
  CHECK(process.ran == std::vector<std::vector<std::string>>{{"/bin/give", "a b", "--x"}});

  CredentialsWorld config;
  config.config_file("[default]\naws_access_key_id = CONFIG\naws_secret_access_key = x\n");
  CHECK(config.get()->access_key_id == "CONFIG");
}

TEST_CASE("the files' places can be moved, also under the home folder") {
  CredentialsWorld world;
  world.environment.vars["AWS_SHARED_CREDENTIALS_FILE"] = "~/keys";
  world.files["/home/u/keys"] = "[default]\naws_access_key_id=A\naws_secret_access_key=x\n";
  CHECK(world.get()->access_key_id == "A");
  CredentialsWorld config;
  config.environment.vars["AWS_CONFIG_FILE"] = "/etc/aws";
  config.files["/etc/aws"] = "[default]\naws_access_key_id=B\naws_secret_access_key=x\n";
  CHECK(config.get()->access_key_id == "B");
}

TEST_CASE("no credentials at all: every place looked at is listed") {
  CredentialsWorld world;
  world.config_file("[default]\nregion = eu-west-3\n");
  check_usage(world.get(),
              {"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (not set)", "/home/u/.aws/credentials (does not exist)",
               "/home/u/.aws/config;", "\"default\"", "AWS_CONTAINER_CREDENTIALS_FULL_URI (not set)",
               "EC2 instance metadata at http://169.254.169.254 (nobody answers)", "AWS_PROFILE"});
  ChainConfig local;
  local.endpoint_is_local = true;
  CredentialsWorld at_home(local);
  check_usage(at_home.get(), {"AWS_ACCESS_KEY_ID=local"});
  CredentialsWorld homeless;
  homeless.environment.vars.clear();
  check_usage(homeless.get(), {"neither AWS_SHARED_CREDENTIALS_FILE nor HOME is set"});
}

TEST_CASE("a profile asked for that is nowhere is named with those that are") {
  CredentialsWorld world(with_profile("prod"));
  world.credentials_file("[dev]\naws_access_key_id=A\naws_secret_access_key=x\n");
  world.config_file("[default]\nregion=x\n[profile test]\n[services s]\n");
  check_usage(world.get(), {"\"prod\"", "/home/u/.aws/credentials", "default, dev, test"});
  CredentialsWorld by_variable;
  by_variable.environment.vars["AWS_PROFILE"] = "prod";
  check_usage(by_variable.get(), {"by AWS_PROFILE", "profiles there: none"});
}

TEST_CASE("half of a profile's keys, and a source that moveout does not follow, are named") {
  CredentialsWorld half;
  half.credentials_file("[default]\naws_access_key_id=A\n");
  check_usage(half.get(), {"/home/u/.aws/credentials", "no aws_secret_access_key", "looked at: AWS_ACCESS_KEY_ID"});
  CredentialsWorld login("[default]\nlogin_session = arn:aws:iam::1:user/u\n");
  check_usage(login.get(), {"login_session", "credential_process"});
}

TEST_CASE("keys are kept, and asked for again five minutes before they end") {
  CredentialsWorld world;
  world.config_file("[default]\ncredential_process = give\n");
  // The clock starts at 22:13:20.
  world.program_prints = process_json("FIRST", "2023-11-14T23:13:20Z");
  CHECK(world.get()->access_key_id == "FIRST");
  world.program_prints = process_json("SECOND", "2023-11-15T00:13:20+00:00");
  world.clock.advance(std::chrono::minutes(54));
  CHECK(world.get()->access_key_id == "FIRST");
  CHECK(world.ran.size() == 1);
  world.clock.advance(std::chrono::minutes(1));
  CHECK(world.get()->access_key_id == "SECOND");
  CHECK(world.get()->access_key_id == "SECOND");
  CHECK(world.ran.size() == 2);
}

TEST_CASE("while renewing fails the old keys serve to their end, then the stop is named") {
  CredentialsWorld world;
  world.config_file("[default]\ncredential_process = give\n");
  world.program_prints = process_json("FIRST", "2023-11-14T23:13:20Z");
  CHECK(world.get().has_value());
  world.program_prints = base::fail(ErrorKind::Usage, "the program give ended with status 1");
  world.clock.advance(std::chrono::minutes(56));
  CHECK(world.get()->access_key_id == "FIRST");
  CHECK(world.get()->access_key_id == "FIRST");
  CHECK(world.ran.size() == 2);  // not once a request
  CHECK(world.log.of("aws.credentials_refresh_failed").size() == 1);
  world.clock.advance(std::chrono::minutes(5));
  const Keys keys = world.get();
  REQUIRE(!keys.has_value());
  CHECK(keys.error().kind == ErrorKind::CredentialsExpired);
  CHECK(keys.error().what.find("ended with status 1") != std::string::npos);
  // Renewed at last: the same chain goes on.
  world.program_prints = process_json("SECOND", "2023-11-15T01:00:00Z");
  CHECK(world.get()->access_key_id == "SECOND");
}

TEST_CASE("keys that the server calls expired are read anew") {
  CredentialsWorld world;
  world.credentials_file("[default]\naws_access_key_id=OLD\naws_secret_access_key=x\n");
  CHECK(world.get()->access_key_id == "OLD");
  world.credentials_file("[default]\naws_access_key_id=NEW\naws_secret_access_key=x\n");
  CHECK(world.get()->access_key_id == "OLD");
  world.chain().invalidate();
  CHECK(world.get()->access_key_id == "NEW");
  world.files.clear();
  world.chain().invalidate();
  CHECK(world.get().error().kind == ErrorKind::CredentialsExpired);
}

TEST_CASE("keys that have already ended are not used") {
  CredentialsWorld world;
  world.environment.vars["AWS_ACCESS_KEY_ID"] = "ENV";
  world.environment.vars["AWS_SECRET_ACCESS_KEY"] = "s";
  world.environment.vars["AWS_CREDENTIAL_EXPIRATION"] = "2023-11-14T22:13:19Z";
  const Keys keys = world.get();
  REQUIRE(!keys.has_value());
  CHECK(keys.error().kind == ErrorKind::CredentialsExpired);
}

TEST_CASE("many who ask at once run the program once") {
  CredentialsWorld world;
  world.config_file("[default]\ncredential_process = give\n");
  world.program_prints = process_json("FIRST", "2023-11-14T23:13:20Z");
  std::vector<std::optional<Keys>> got(20);
  base::TaskGroup group(world.io.get_executor());
  for (auto& one : got) group.start(base::keep_value(world.chain().get(), one));
  do {
    world.io.restart();
    world.io.poll();
  } while (group.size() > 0 && world.clock.advance_to_next());
  CHECK(world.ran.size() == 1);
  for (const auto& one : got) {
    REQUIRE(one.has_value());
    CHECK((*one)->access_key_id == "FIRST");
  }
}

TEST_CASE("who asks and is cancelled does not lock the others out") {
  CredentialsWorld world;
  world.config_file("[default]\ncredential_process = give\n");
  world.program_prints = process_json("FIRST", "2023-11-14T23:13:20Z");
  std::optional<Keys> cancelled;
  base::TaskGroup group(world.io.get_executor());
  group.start(base::keep_value(world.chain().get(), cancelled));
  world.io.poll();
  CHECK(world.ran.size() == 1);
  base::TaskGroup outer(world.io.get_executor());
  outer.start([](base::TaskGroup& inner) -> base::Task<base::Result<>> {
    co_await inner.stop();
    co_return base::Result<>();
  }(group));
  world.io.restart();
  world.io.poll();
  CHECK(group.size() == 0);
  CHECK(world.get()->access_key_id == "FIRST");
  CHECK(world.ran.size() == 2);
}

TEST_CASE("what a credential_process prints is read strictly and never quoted") {
  for (const char* text :
       {"", "not JSON secret", "[]", "{}", R"({"Version":2,"AccessKeyId":"a","SecretAccessKey":"b"})",
        R"({"Version":1,"AccessKeyId":"secret"})", R"({"Version":1,"SecretAccessKey":"secret"})",
        R"({"Version":1,"AccessKeyId":"a","SecretAccessKey":{"x":"secret"}})",
        R"({"Version":1,"AccessKeyId":"a","SecretAccessKey":"secret","Expiration":"tomorrow"})"}) {
    CAPTURE(text);
    const Keys keys = parse_process_credentials(text);
    REQUIRE(!keys.has_value());
    CHECK(keys.error().kind == ErrorKind::Usage);
    CHECK(keys.error().what.find("secret") == std::string::npos);
  }
  const Keys forever = parse_process_credentials(R"({"Version":1,"AccessKeyId":"a","SecretAccessKey":"b"})");
  REQUIRE(forever.has_value());
  CHECK(!forever->expires.has_value());
  const Keys some = parse_process_credentials(
      R"({"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"2023-11-14T23:13:20.5+01:00"})");
  REQUIRE(some.has_value());
  CHECK(base::micros_of(*some->expires) == 1'700'000'000'500'000);
}

TEST_CASE("a shared file that cannot be read is named by file and line") {
  CredentialsWorld world;
  world.credentials_file("[default]\naws_access_key_id\n");
  check_usage(world.get(), {"/home/u/.aws/credentials:2:"});
}
