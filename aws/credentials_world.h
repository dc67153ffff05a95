// CredentialsWorld: a chain of credentials in an environment, with files, a program and servers as the test writes
// them.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aws/client_fixture.h"
#include "aws/credentials.h"
#include "aws/scripted_transport.h"
#include "base/manual_clock.h"

namespace moveout::aws {

using Keys = base::Result<sigv4::Credentials>;

// The clock starts at 2023-11-14T22:13:20Z. Nobody answers where a script is empty.
struct CredentialsWorld {
  explicit CredentialsWorld(ChainConfig chain_config = {}) : config(std::move(chain_config)) {
    environment.vars["HOME"] = "/home/u";
    environment.read_file = [this](const std::string& path) -> base::Result<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return base::fail(base::ErrorKind::NotFound, path + " does not exist");
      return found->second;
    };
    environment.write_file = [this](const std::string& path, const std::string& text) -> base::Result<> {
      if (read_only) return base::fail(base::ErrorKind::Usage, path + " cannot be written: read-only file system");
      files[path] = text;
      return {};
    };
    environment.run = [this](std::vector<std::string> argv, base::Millis) {
      return run_program_(*this, std::move(argv));
    };
  }
  explicit CredentialsWorld(const std::string& config_text) : CredentialsWorld() { config_file(config_text); }

  CredentialsChain& chain() {
    if (!made) made.emplace(config, environment, services, metadata, clock, log);
    return *made;
  }
  Keys get() { return base::finish(io, clock, chain().get()); }
  void credentials_file(std::string text) { files["/home/u/.aws/credentials"] = std::move(text); }
  void config_file(std::string text) { files["/home/u/.aws/config"] = std::move(text); }
  base::Micros elapsed() const { return clock.steady().time_since_epoch(); }

  static base::Task<base::Result<std::string>> run_program_(CredentialsWorld& world, std::vector<std::string> argv) {
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
  bool read_only = false;
  std::vector<std::vector<std::string>> ran;
  base::Result<std::string> program_prints = std::string();
  base::Millis program_takes{100};
  ScriptedTransport services;  // STS, SSO
  ScriptedTransport metadata;  // containers and instances
  std::optional<CredentialsChain> made;
};

inline ChainConfig with_profile(std::string name) {
  ChainConfig config;
  config.profile = std::move(name);
  return config;
}

inline void check_error(const Keys& keys, base::ErrorKind kind, std::initializer_list<const char*> parts) {
  REQUIRE(!keys.has_value());
  CAPTURE(keys.error().what);
  CHECK(keys.error().kind == kind);
  for (const char* part : parts) {
    CAPTURE(part);
    CHECK(keys.error().what.find(part) != std::string::npos);
  }
  // No test's secret has another name.
  CHECK(keys.error().what.find("hunter2") == std::string::npos);
}

// An answer of STS to `action`.
inline std::string sts_answer(const std::string& action, const std::string& id,
                              const std::string& expires = "2023-11-14T23:13:20Z") {
  return "<" + action + "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" + action +
         "Result><Credentials><AccessKeyId>" + id +
         "</AccessKeyId><SecretAccessKey>hunter2/role</SecretAccessKey><SessionToken>token+of/" + id +
         "==</SessionToken><Expiration>" + expires + "</Expiration></Credentials></" + action +
         "Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></" + action + "Response>";
}

inline std::string sts_error(const std::string& code, const std::string& message) {
  return "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>" + code +
         "</Code><Message>" + message + "</Message></Error><RequestId>r</RequestId></ErrorResponse>";
}

// What a container's or an instance's endpoint answers.
inline std::string metadata_answer(const std::string& id, const std::string& expires = "2023-11-14T23:13:20Z") {
  return R"({"Code":"Success","Type":"AWS-HMAC","AccessKeyId":")" + id +
         R"(","SecretAccessKey":"hunter2","Token":"t","Expiration":")" + expires + R"("})";
}

}  // namespace moveout::aws
