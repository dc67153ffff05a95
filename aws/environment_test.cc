#include "aws/environment.h"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>

#include "base/manual_clock.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;
using base::Millis;

namespace {

// Programs run in real time.
class RealClock final : public base::Clock {
 public:
  base::Instant now() const override {
    return std::chrono::time_point_cast<base::Micros>(std::chrono::system_clock::now());
  }
  base::Steady steady() const override {
    return std::chrono::time_point_cast<base::Micros>(std::chrono::steady_clock::now());
  }
  base::Task<> sleep_until(base::Steady) override { co_return; }
};

class InlineWorker final : public base::Worker {
 public:
  base::Task<> run(std::function<void()> work) override {
    work();
    co_return;
  }
};

base::Result<std::string> run(std::vector<std::string> argv, Millis limit = Millis(10000)) {
  const RealClock clock;
  return run_program(argv, limit, clock);
}

}  // namespace

TEST_CASE("a program's output comes back, without a shell in between") {
  CHECK(*run({"printf", "%s|", "a b", "$HOME", "*"}) == "a b|$HOME|*|");
  CHECK(run({"true"})->empty());
  CHECK(*run({"cat"}) == "");  // its input is empty, it does not wait for ours
}

TEST_CASE("a program that fails, is missing, is killed, says too much or hangs is an error that quotes nothing") {
  for (const auto& [argv, part] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"sh", "-c", "echo hunter2; echo hunter2 >&2; exit 3"}, "status 3"},
           {{"/no/such/program"}, "cannot be started"},
           {{"sh", "-c", "kill -9 $$"}, "signal 9"},
           {{"sh", "-c", "head -c 100000 /dev/zero"}, "64 KB"},
       }) {
    const auto output = run(argv);
    REQUIRE(!output.has_value());
    CHECK(output.error().kind == ErrorKind::Usage);
    CHECK(output.error().what.find(part) != std::string::npos);
    CHECK(output.error().what.find("hunter2") == std::string::npos);
  }
  for (const char* script : {"sleep 30", "exec 1>&-; sleep 30", "sleep 30 & exit 0"}) {
    CAPTURE(script);
    const auto start = std::chrono::steady_clock::now();
    const auto output = run({"sh", "-c", script}, Millis(100));
    REQUIRE(!output.has_value());
    CHECK(output.error().what.find("did not end within") != std::string::npos);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  }
}

TEST_CASE("a command line is cut as a shell cuts it") {
  using Words = std::vector<std::string>;
  CHECK(*split_command("a b  c") == Words{"a", "b", "c"});
  CHECK(*split_command(R"('a b' "c d" e\ f)") == Words{"a b", "c d", "e f"});
  CHECK(*split_command(R"(a"b c"d '' "")") == Words{"ab cd", "", ""});
  CHECK(*split_command(R"("a\"b\\c\n" 'x\y')") == Words{R"(a"b\c\n)", R"(x\y)"});
  CHECK(!split_command("a 'b").has_value());
  CHECK(!split_command("   ").has_value());
}

TEST_CASE("the process's environment has its variables, files and programs") {
  boost::asio::io_context io;
  base::ManualClock manual(io.get_executor());
  RealClock clock;
  InlineWorker worker;
  const Environment environment = system_environment(worker, clock);
  CHECK(!environment.get("PATH").empty());
  CHECK(environment.get("SURELY_NOT_SET").empty());
  CHECK(environment.read_file("/dev/null").value_or("x").empty());
  CHECK(environment.read_file("/no/such/file").error().kind == ErrorKind::NotFound);
  CHECK(environment.read_file("/tmp").error().kind == ErrorKind::Usage);
  CHECK(*base::finish(io, manual, environment.run({"printf", "x"}, Millis(10000))) == "x");
}

TEST_CASE("a file is replaced whole, for this user only, or stays as it was") {
  boost::asio::io_context io;
  RealClock clock;
  InlineWorker worker;
  const Environment environment = system_environment(worker, clock);
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "moveout-environment-test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  const std::string path = folder / "token";
  REQUIRE(environment.write_file(path, "first, and long").has_value());
  REQUIRE(environment.write_file(path, "second").has_value());
  CHECK(*environment.read_file(path) == "second");
  const auto mode = std::filesystem::status(path).permissions();
  CHECK(mode == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
  std::filesystem::create_directory(folder / "taken");
  const auto refused = environment.write_file(folder / "taken", "hunter2");
  REQUIRE(!refused.has_value());
  CHECK(refused.error().what.find("hunter2") == std::string::npos);
  CHECK(!environment.write_file("/no/such/folder/token", "x").has_value());
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 2);
  std::filesystem::remove_all(folder);
}

TEST_CASE("a flag is true in any case and false otherwise") {
  Environment environment;
  environment.vars = {{"A", "true"}, {"B", "TRUE"}, {"C", "1"}, {"D", ""}};
  CHECK(environment.flag("A"));
  CHECK(environment.flag("B"));
  CHECK(!environment.flag("C"));
  CHECK(!environment.flag("D"));
  CHECK(!environment.flag("E"));
}
