#include "aws/credentials.h"

#include <doctest/doctest.h>

#include "aws/client_fixture.h"
#include "aws/ini.h"
#include "aws/profile.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;
using base::Millis;

namespace {

using Keys = base::Result<sigv4::Credentials>;

// Environment, files and a program as the test writes them.
struct World {
  explicit World(ChainConfig chain_config = {}) : config(std::move(chain_config)) {
    environment.vars["HOME"] = "/home/u";
    environment.read_file = [this](const std::string& path) -> base::Result<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return base::fail(ErrorKind::NotFound, path + " does not exist");
      return found->second;
    };
    environment.run = [this](std::vector<std::string> argv, Millis) { return run_program_(*this, std::move(argv)); };
  }

  CredentialsChain& chain() {
    if (!made) made.emplace(config, environment, clock, log);
    return *made;
  }
  Keys get() { return base::finish(io, clock, chain().get()); }
  void credentials_file(std::string text) { files["/home/u/.aws/credentials"] = std::move(text); }
  void config_file(std::string text) { files["/home/u/.aws/config"] = std::move(text); }

  static base::Task<base::Result<std::string>> run_program_(World& world, std::vector<std::string> argv) {
    world.ran.push_back(std::move(argv));
    co_await world.clock.sleep_for(world.program_takes);
    co_return world.program_prints;
  }

  ChainConfig config;
  boost::asio::io_context io;
  base::ManualClock clock{io.get_executor()};
  RecordingLog log;
  Environment environment;
  std::map<std::string, std::string> files;
  std::vector<std::vector<std::string>> ran;
  base::Result<std::string> program_prints = std::string();
  Millis program_takes{100};
  std::optional<CredentialsChain> made;
};

ChainConfig with_profile(std::string name) {
  ChainConfig config;
  config.profile = std::move(name);
  return config;
}

std::string process_json(const std::string& id, const std::string& expires) {
  return R"({"Version":1,"AccessKeyId":")" + id + R"(","SecretAccessKey":"s","SessionToken":"t","Expiration":")" +
         expires + R"("})";
}

void check_usage(const Keys& keys, std::initializer_list<const char*> parts) {
  REQUIRE(!keys.has_value());
  CHECK(keys.error().kind == ErrorKind::Usage);
  for (const char* part : parts) {
    CAPTURE(part);
    CAPTURE(keys.error().what);
    CHECK(keys.error().what.find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("the environment's keys go before every file") {
  World world;
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
  World world(with_profile("other"));
  world.environment.vars["AWS_ACCESS_KEY_ID"] = "ENV";
  world.environment.vars["AWS_SECRET_ACCESS_KEY"] = "s";
  world.credentials_file("[other]\naws_access_key_id=FILE\naws_secret_access_key=x\n");
  CHECK(world.get()->access_key_id == "FILE");
}

TEST_CASE("half of the environment's keys is an error, not the next place") {
  World world;
  world.credentials_file("[default]\naws_access_key_id=FILE\naws_secret_access_key=x\n");
  world.environment.vars["AWS_ACCESS_KEY_ID"] = "ENV";
  check_usage(world.get(), {"AWS_SECRET_ACCESS_KEY is not"});
  World other;
  other.environment.vars["AWS_SECRET_ACCESS_KEY"] = "s";
  check_usage(other.get(), {"AWS_ACCESS_KEY_ID is not"});
}

TEST_CASE("within a profile: keys of the credentials file, the process, keys of the config file") {
  World world;
  world.environment.vars["AWS_PROFILE"] = "p";
  world.config_file(
      "[profile p]\naws_access_key_id = CONFIG\naws_secret_access_key = x\ncredential_process = /bin/give 'a b' --x\n");
  world.credentials_file("[p]\naws_access_key_id = FILE\naws_secret_access_key = x\naws_session_token = t\n");
  CHECK(*world.get() == sigv4::Credentials{"FILE", "x", "t", {}});

  World process;
  process.environment.vars["AWS_PROFILE"] = "p";
  process.files = world.files;
  process.credentials_file("[q]\naws_access_key_id = FILE\naws_secret_access_key = x\n");
  process.program_prints = process_json("PROCESS", "2030-01-01T00:00:00Z");
  CHECK(process.get()->access_key_id == "PROCESS");
  CHECK(process.ran == std::vector<std::vector<std::string>>{{"/bin/give", "a b", "--x"}});

  World config;
  config.config_file("[default]\naws_access_key_id = CONFIG\naws_secret_access_key = x\n");
  CHECK(config.get()->access_key_id == "CONFIG");
}

TEST_CASE("the files' places can be moved, also under the home folder") {
  World world;
  world.environment.vars["AWS_SHARED_CREDENTIALS_FILE"] = "~/keys";
  world.files["/home/u/keys"] = "[default]\naws_access_key_id=A\naws_secret_access_key=x\n";
  CHECK(world.get()->access_key_id == "A");
  World config;
  config.environment.vars["AWS_CONFIG_FILE"] = "/etc/aws";
  config.files["/etc/aws"] = "[default]\naws_access_key_id=B\naws_secret_access_key=x\n";
  CHECK(config.get()->access_key_id == "B");
}

TEST_CASE("no credentials at all: every place looked at is listed") {
  World world;
  world.config_file("[default]\nregion = eu-west-3\n");
  world.environment.vars["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1";
  check_usage(world.get(),
              {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "/home/u/.aws/credentials (does not exist)",
               "/home/u/.aws/config;", "\"default\"", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_PROFILE"});
  ChainConfig local;
  local.endpoint_is_local = true;
  World at_home(local);
  check_usage(at_home.get(), {"AWS_ACCESS_KEY_ID=local"});
  World homeless;
  homeless.environment.vars.clear();
  check_usage(homeless.get(), {"neither AWS_SHARED_CREDENTIALS_FILE nor HOME is set"});
}

TEST_CASE("a profile asked for that is nowhere is named with those that are") {
  World world(with_profile("prod"));
  world.credentials_file("[dev]\naws_access_key_id=A\naws_secret_access_key=x\n");
  world.config_file("[default]\nregion=x\n[profile test]\n[services s]\n");
  check_usage(world.get(), {"\"prod\"", "/home/u/.aws/credentials", "default, dev, test"});
  World by_variable;
  by_variable.environment.vars["AWS_PROFILE"] = "prod";
  check_usage(by_variable.get(), {"by AWS_PROFILE", "profiles there: none"});
}

TEST_CASE("half of a profile's keys, and sources that moveout does not follow, are named") {
  World half;
  half.credentials_file("[default]\naws_access_key_id=A\n");
  check_usage(half.get(), {"/home/u/.aws/credentials", "no aws_secret_access_key"});
  for (const char* setting : {"role_arn", "sso_session", "sso_start_url", "web_identity_token_file"}) {
    CAPTURE(setting);
    World world;
    world.config_file(std::string("[default]\nsource_profile = x\n") + setting + " = y\n");
    check_usage(world.get(), {setting, "credential_process"});
  }
}

TEST_CASE("keys are kept, and asked for again five minutes before they end") {
  World world;
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
  World world;
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
  World world;
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
  World world;
  world.environment.vars["AWS_ACCESS_KEY_ID"] = "ENV";
  world.environment.vars["AWS_SECRET_ACCESS_KEY"] = "s";
  world.environment.vars["AWS_CREDENTIAL_EXPIRATION"] = "2023-11-14T22:13:19Z";
  const Keys keys = world.get();
  REQUIRE(!keys.has_value());
  CHECK(keys.error().kind == ErrorKind::CredentialsExpired);
}

TEST_CASE("many who ask at once run the program once") {
  World world;
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
  World world;
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

TEST_CASE("the shared files' dialect: sections, comments, nesting, case") {
  const auto ini = parse_ini(
      "\xEF\xBB\xBF# a comment\r\n"
      "[default]\r\n"
      "Region = eu-west-3 ; near\r\n"
      "empty =\n"
      "\n"
      "[ profile   \"my team\" ]  # why\n"
      "  aws_access_key_id = AB#C\n"
      "  services = s\n"
      "  credential_process = sh -c 'a # b ; c'\n"
      "[services s]\n"
      "dynamodb =\n"
      "  endpoint_url = http://localhost:8000\n"
      "  signature = v4\n"
      "kinesis = \n"
      "  endpoint_url = http://k\n"
      "[default]\n"
      "region = us-east-1\n",
      "f");
  REQUIRE(ini.has_value());
  CHECK(ini->at("default").at("region") == "us-east-1");
  CHECK(ini->at("default").at("empty").empty());
  const Section& team = ini->at("profile my team");
  CHECK(team.at("aws_access_key_id") == "AB#C");
  CHECK(team.at("credential_process") == "sh -c 'a # b ; c'");
  CHECK(ini->at("services s").at("dynamodb.endpoint_url") == "http://localhost:8000");
  CHECK(ini->at("services s").at("dynamodb.signature") == "v4");
  CHECK(ini->at("services s").at("kinesis.endpoint_url") == "http://k");
  CHECK(parse_ini("[a]\nregion = x ; y\n", "f")->at("a").at("region") == "x");
}

TEST_CASE("a line that cannot be read is named by file and line, and not quoted") {
  for (const auto& [text, line] : {std::pair{"[a]\nsecret stuff\n", ":2:"},
                                   {"x = 1\n", ":1:"},
                                   {"[a\n", ":1:"},
                                   {"[]\n", ":1:"},
                                   {"\n[a] secret\n", ":2:"},
                                   {"[a]\n\n= secret\n", ":3:"},
                                   {"[a]\nb =\n  secret\n", ":3:"},
                                   {"[a]\nb =\n  = secret\n", ":3:"}}) {
    CAPTURE(text);
    const auto ini = parse_ini(text, "/home/u/.aws/config");
    REQUIRE(!ini.has_value());
    CHECK(ini.error().kind == ErrorKind::Usage);
    CHECK(ini.error().what.starts_with(std::string("/home/u/.aws/config") + line));
    CHECK(ini.error().what.find("secret") == std::string::npos);
  }
  World world;
  world.credentials_file("[default]\naws_access_key_id\n");
  check_usage(world.get(), {"/home/u/.aws/credentials:2:"});
}
