#include "state/read_disk.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace moveout;
using base::ErrorKind;

TEST_CASE("files of a folder are read and never changed") {
  char name[] = "/tmp/moveout-read-XXXXXX";
  const std::string folder = mkdtemp(name);
  std::filesystem::create_directory(folder + "/sub");
  std::ofstream(folder + "/sub/f") << "0123456789";
  const auto disk = state::make_read_disk(folder);
  CHECK(disk->read("sub/f", 3, 4).value() == "3456");
  CHECK(disk->read("sub/f", 8, 4).value() == "89");
  CHECK(disk->read("sub/f", 20, 4).value().empty());
  CHECK(disk->size("sub/f").value() == 10);
  CHECK(disk->size("none").value() == 0);
  CHECK(disk->read("none", 0, 1).error().kind == ErrorKind::NotFound);
  CHECK(disk->read("sub", 0, 1).error().kind == ErrorKind::Usage);
  CHECK(disk->append("sub/f", "x").error().kind == ErrorKind::Usage);
  CHECK(disk->truncate("sub/f", 0).error().kind == ErrorKind::Usage);
  CHECK(disk->remove("sub/f").error().kind == ErrorKind::Usage);
  CHECK(disk->size("sub/f").value() == 10);
  std::filesystem::remove_all(folder);
}

TEST_CASE("standard input is read forwards, and what is skipped is gone") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int kept = ::dup(STDIN_FILENO);
  ::dup2(ends[0], STDIN_FILENO);
  REQUIRE(::write(ends[1], "0123456789", 10) == 10);
  ::close(ends[1]);
  const auto disk = state::make_stdin_disk();
  CHECK(disk->read(state::kStdin, 0, 2).value() == "01");
  CHECK(disk->read(state::kStdin, 5, 2).value() == "56");
  CHECK(disk->read(state::kStdin, 4, 2).error().kind == ErrorKind::Usage);
  CHECK(disk->read(state::kStdin, 7, 20).value() == "789");
  CHECK(disk->read(state::kStdin, 50, 20).value().empty());
  ::dup2(kept, STDIN_FILENO);
  ::close(kept);
  ::close(ends[0]);
}
