#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/inline_worker.h"
#include "base/run_task.h"
#include "item/json.h"
#include "target/file/file_target.h"

using namespace moveout;
using namespace moveout::target;
using base::ErrorKind;
using base::run_task;

namespace {

const item::KeySchema kKey{{"id", item::KeyType::S}, std::nullopt};

struct World {
  std::string folder;
  base::InlineWorker worker;
  base::NoLog log;
  World() {
    char name[] = "/tmp/moveout-file-XXXXXX";
    folder = mkdtemp(name);
  }
  ~World() { std::filesystem::remove_all(folder); }
  std::string path(const std::string& name = "t.jsonl") const { return folder + "/" + name; }
  std::unique_ptr<Target> process(const std::string& name = "t.jsonl") {
    boost::asio::io_context io;
    return file::make_target({.path = path(name)}, worker, io.get_executor(), log);
  }
};

base::Result<Opened> open(Target& to, bool resuming = false, std::string run = "run-1", std::int64_t owner = 1) {
  return run_task(to.open(std::move(run), owner, {"t", kKey, ""}, Mode::Copy, resuming));
}

std::string image(int n) { return R"({"id":{"S":")" + std::to_string(n) + R"("}})"; }

item::Batch batch(int from, int to) {
  item::Batch items;
  for (int n = from; n < to; ++n) {
    items.add_copy(item::key_of_json(kKey, image(n)).value().encoded(), {.t = 1}, image(n));
  }
  return items;
}

std::string lines(int from, int to) {
  std::string text;
  for (int n = from; n < to; ++n) text += R"({"Item":)" + image(n) + "}\n";
  return text;
}

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// What another program makes of it.
std::string unpacked(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char bytes[65536];
  while (const std::size_t size = std::fread(bytes, 1, sizeof bytes, pipe)) text.append(bytes, size);
  CHECK(pclose(pipe) == 0);
  return text;
}

}  // namespace

TEST_CASE("a scan's file holds one line an item, and the sidecar goes with finish") {
  World world;
  auto to = world.process();
  const auto opened = open(*to);
  REQUIRE(opened);
  CHECK(opened->created);
  CHECK(run_task(to->apply(batch(0, 3), {{"segment/0", "x"}}))->count(Outcome::Applied) == 3);
  CHECK(run_task(to->apply(batch(3, 5), {})));
  REQUIRE(run_task(to->seal()));
  REQUIRE(run_task(to->seal()));
  CHECK(content(world.path()) == lines(0, 5));
  CHECK(run_task(to->apply(batch(5, 6), {})).error().kind == ErrorKind::Usage);
  const auto again = open(*world.process("other.jsonl"), true);
  CHECK(again.error().kind == ErrorKind::TargetChanged);
  REQUIRE(run_task(to->finish()));
  REQUIRE(run_task(to->finish()));
  CHECK(!std::filesystem::exists(world.path() + ".moveout"));
  CHECK(content(world.path()) == lines(0, 5));
}

// apply 0..99 with checkpoints, synced at 64 · crash · the tail beyond the sidecar is cut · the rest again
TEST_CASE("after a crash the file is cut to what its checkpoints stand for") {
  for (const char* name : {"t.jsonl", "t.jsonl.gz", "t.jsonl.zst"}) {
    CAPTURE(name);
    World world;
    {
      auto to = world.process(name);
      REQUIRE(open(*to));
      for (int n = 0; n < 100; ++n) {
        REQUIRE(run_task(to->apply(batch(n, n + 1), {{"next", std::to_string(n + 1)}, {"gone", n ? "" : "x"}})));
      }
    }
    std::ofstream(world.path(name), std::ios::app) << "half a li";
    auto to = world.process(name);
    const auto opened = open(*to, true);
    REQUIRE(opened);
    CHECK(!opened->created);
    CHECK(opened->checkpoints == Checkpoints{{"next", "64"}});
    REQUIRE(run_task(to->apply(batch(64, 120), {{"next", "120"}})));
    REQUIRE(run_task(to->seal()));
    const std::string path = world.path(name);
    const std::string text = std::string(name).ends_with(".gz")    ? unpacked("gzip -dc " + path)
                             : std::string(name).ends_with(".zst") ? unpacked("zstd -qdc " + path)
                                                                   : content(path);
    CHECK(text == lines(0, 120));
    to.reset();
    const auto sealed = open(*world.process(name), true);
    REQUIRE(sealed);
    CHECK(sealed->sealed);
    CHECK(sealed->checkpoints == Checkpoints{{"next", "120"}});
  }
}

// apply, synced at 64 · crash · again: the count is of all, the comma is right, and the document ends once
TEST_CASE("the document of the AWS CLI goes on after a crash, and an empty one is whole") {
  World world;
  const auto process = [&](file::Shape shape) {
    boost::asio::io_context io;
    return file::make_target({.path = world.path("t.json"), .shape = shape}, world.worker, io.get_executor(),
                             world.log);
  };
  {
    auto to = process(file::Shape::Aws);
    REQUIRE(open(*to));
    for (int n = 0; n < 70; ++n) REQUIRE(run_task(to->apply(batch(n, n + 1), {{"next", std::to_string(n + 1)}})));
  }
  CHECK(open(*process(file::Shape::Lines), true).error().kind == ErrorKind::Usage);
  auto to = process(file::Shape::Aws);
  REQUIRE(open(*to, true));
  REQUIRE(run_task(to->apply(batch(64, 65), {})));
  REQUIRE(run_task(to->seal()));
  REQUIRE(run_task(to->seal()));
  std::string wanted = "{\n    \"Items\": [";
  for (int n = 0; n < 65; ++n) {
    wanted += std::string(n > 0 ? "," : "") + "\n        {\n            \"id\": {\n                \"S\": \"" +
              std::to_string(n) + "\"\n            }\n        }";
  }
  wanted += "\n    ],\n    \"Count\": 65,\n    \"ScannedCount\": 65,\n    \"ConsumedCapacity\": null\n}\n";
  CHECK(content(world.path("t.json")) == wanted);
  boost::asio::io_context io;
  auto empty = file::make_target({.path = world.path("e.json"), .shape = file::Shape::Aws}, world.worker,
                                 io.get_executor(), world.log);
  REQUIRE(open(*empty));
  REQUIRE(run_task(empty->seal()));
  CHECK(content(world.path("e.json")) ==
        "{\n    \"Items\": [],\n    \"Count\": 0,\n    \"ScannedCount\": 0,\n    \"ConsumedCapacity\": null\n}\n");
}

TEST_CASE("large and empty packed files unpack with other programs") {
  for (const auto& [name, command] : {std::pair("t.jsonl.gz", "gzip -dc "), std::pair("t.jsonl.zst", "zstd -qdc ")}) {
    World world;
    auto to = world.process(name);
    REQUIRE(open(*to));
    SUBCASE("empty") {
      REQUIRE(run_task(to->seal()));
      CHECK(unpacked(command + world.path(name)).empty());
    }
    SUBCASE("large") {
      for (int n = 0; n < 40; ++n) REQUIRE(run_task(to->apply(batch(n * 10000, (n + 1) * 10000), {})));
      REQUIRE(run_task(to->seal()));
      CHECK(unpacked(command + world.path(name)) == lines(0, 400000));
    }
  }
}

TEST_CASE("files of others, of other runs and of other processes are not touched") {
  World world;
  std::ofstream(world.path()) << "mine\n";
  CHECK(open(*world.process()).error().kind == ErrorKind::Usage);
  CHECK(content(world.path()) == "mine\n");
  auto first = world.process("b.jsonl");
  REQUIRE(open(*first));
  REQUIRE(run_task(first->apply(batch(0, 1), {})));
  CHECK(open(*world.process("b.jsonl"), true, "run-1", 2).error().kind == ErrorKind::RunLocked);
  first.reset();
  CHECK(open(*world.process("b.jsonl"), false, "run-2").error().kind == ErrorKind::Usage);
  REQUIRE(open(*world.process("b.jsonl"), true, "run-1", 2));
  CHECK(open(*world.process("b.jsonl"), true, "run-1", 1).error().kind == ErrorKind::RunLocked);
  std::ofstream(world.path("b.jsonl.moveout")) << "{}";
  CHECK(open(*world.process("b.jsonl"), true).error().kind == ErrorKind::Usage);
  CHECK(open(*world.process("no/such/folder.jsonl")).error().kind == ErrorKind::Usage);
}

TEST_CASE("an item with line ends between its members is still one line, a malformed one is refused") {
  World world;
  auto to = world.process();
  REQUIRE(open(*to));
  item::Batch items = batch(0, 1);
  items.add_copy(items[0].key, {.t = 1}, "{\n \"id\" : {\"S\":\"a\\n\"}\n}");
  REQUIRE(run_task(to->apply(items, {})));
  items.add_copy(items[0].key, {.t = 1}, "{\n \"id\" : {\"S\":5}\n}");
  const auto outcomes = run_task(to->apply(items, {{"c", "1"}}));
  REQUIRE(outcomes);
  CHECK(outcomes->each == std::vector{Outcome::Throttled, Outcome::Throttled, Outcome::Refused});
  REQUIRE(run_task(to->seal()));
  CHECK(content(world.path()) == lines(0, 1) + R"({"Item":{"id":{"S":"a\n"}}})" + "\n");
  to.reset();
  CHECK(open(*world.process(), true)->checkpoints.empty());
}

TEST_CASE("deletes and reading back are refused") {
  World world;
  auto to = world.process();
  REQUIRE(open(*to));
  item::Batch deletes;
  deletes.add_copy(batch(0, 1)[0].key, {.t = 1}, "");
  CHECK(run_task(to->apply(deletes, {})).error().kind == ErrorKind::Usage);
  CHECK(run_task(to->read({})).error().kind == ErrorKind::Usage);
  CHECK(run_task(to->scan("", 1)).error().kind == ErrorKind::Usage);
  CHECK(run_task(to->apply(batch(0, 1), {})));
}
