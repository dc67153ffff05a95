#include "target/file/line_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/json.h"
#include "item/pretty.h"

namespace moveout::target::file {
namespace {

using base::ErrorKind;

constexpr std::size_t kWriteBytes = 1 << 20;  // plain: one write call
constexpr std::size_t kPackBytes = 4 << 20;   // packed: one member or frame, large enough to pack well

ErrorKind kind_of(int number) {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case EFBIG:
      return ErrorKind::DiskFull;
    case EPIPE:  // the process that reads what we write has gone
      return ErrorKind::EndpointDown;
    default:
      return ErrorKind::Usage;
  }
}

std::string text_of(const Sidecar& sidecar) {
  base::json::object checkpoints;
  for (const auto& [name, value] : sidecar.checkpoints) checkpoints[name] = value;
  base::json::object object;
  object["format"] = 1;
  object["run"] = sidecar.run_id;
  object["owner"] = sidecar.owner;
  object["length"] = sidecar.length;
  object["sealed"] = sidecar.sealed;
  object["shape"] = sidecar.shape == Shape::Aws ? "aws" : "lines";
  object["items"] = sidecar.items;
  object["checkpoints"] = std::move(checkpoints);
  return base::json::serialize(object) + "\n";
}

// Nothing when it is not a sidecar of ours.
std::optional<Sidecar> sidecar_of(const std::string& text) {
  auto json = base::parse_json(text);
  if (!json || !json->is_object()) return std::nullopt;
  const base::json::object& object = json->as_object();
  const auto* format = object.if_contains("format");
  const auto* run = object.if_contains("run");
  const auto* owner = object.if_contains("owner");
  const auto* length = object.if_contains("length");
  const auto* sealed = object.if_contains("sealed");
  const auto* checkpoints = object.if_contains("checkpoints");
  if (!format || !format->is_int64() || format->as_int64() != 1 || !run || !run->is_string() || !owner ||
      !owner->is_int64() || !length || !length->is_int64() || length->as_int64() < 0 || !sealed || !sealed->is_bool() ||
      !checkpoints || !checkpoints->is_object()) {
    return std::nullopt;
  }
  Sidecar sidecar{std::string(std::string_view(run->as_string())),
                  owner->as_int64(),
                  static_cast<std::uint64_t>(length->as_int64()),
                  sealed->as_bool(),
                  Shape::Lines,
                  0,
                  {}};
  // Earlier versions wrote lines only, and did not count them.
  if (const auto* shape = object.if_contains("shape"); shape && shape->is_string() && shape->as_string() == "aws") {
    sidecar.shape = Shape::Aws;
  }
  if (const auto* items = object.if_contains("items"); items && items->is_int64()) {
    sidecar.items = static_cast<std::uint64_t>(items->as_int64());
  }
  for (const auto& [name, value] : checkpoints->as_object()) {
    if (!value.is_string()) return std::nullopt;
    sidecar.checkpoints.emplace(name, std::string(std::string_view(value.as_string())));
  }
  return sidecar;
}

base::Result<> write_to(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return base::fail(kind_of(errno), std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return {};
}

}  // namespace

LineFile::LineFile(std::string path, Shape shape)
    : path_(std::move(path)), shape_(shape), sidecar_path_(path_ + ".moveout"), packing_(Packing::of(path_)) {}

LineFile::~LineFile() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

base::Error LineFile::error(const std::string& what) const {
  return {kind_of(errno), "file " + path_ + ": " + what + ": " + std::strerror(errno)};
}

base::Result<bool> LineFile::open(const std::string& run_id, std::int64_t owner, bool resuming) {
  if (fd_ > STDERR_FILENO) ::close(fd_);
  fd_ = -1;
  buffer_.clear();
  written_ = unsynced_ = 0;
  sidecar_ = {run_id, owner, 0, false, shape_, 0, {}};
  struct stat status{};
  const bool there = path_ != "-" && ::stat(path_.c_str(), &status) == 0;
  resumable_ = path_ != "-" && (!there || S_ISREG(status.st_mode));
  if (!resumable_) {
    if (resuming) {
      return base::fail(ErrorKind::TargetChanged,
                        "what was written to " + path_ + " cannot be gone on with: begin anew with another --state");
    }
    fd_ = path_ == "-" ? STDOUT_FILENO : ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    return fd_ < 0 ? base::Result<bool>(base::fail(error("cannot open it"))) : true;
  }
  auto marked = read_sidecar();
  if (!marked) return marked;
  if (!*marked && resuming) {
    return base::fail(ErrorKind::TargetChanged, "file " + path_ + " has no mark of this run (" + sidecar_path_ +
                                                    "), which was half done: bring it back, or begin anew with "
                                                    "another --state");
  }
  if (!*marked && there) {
    return base::fail(ErrorKind::Usage,
                      "file " + path_ + " exists and nothing is overwritten: name another, or remove it");
  }
  if (*marked && sidecar_.run_id != run_id) {
    return base::fail(ErrorKind::Usage, "file " + path_ + " belongs to run " + sidecar_.run_id + ": name another");
  }
  if (*marked && sidecar_.shape != shape_) {
    return base::fail(ErrorKind::Usage, "file " + path_ + " was begun in the other --format: give that one again");
  }
  if (*marked && sidecar_.owner > owner) {
    return base::fail(ErrorKind::RunLocked, "another process has taken over the run of " + path_);
  }
  sidecar_.run_id = run_id;
  sidecar_.owner = owner;
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_APPEND | (*marked && there ? 0 : O_CREAT), 0666);
  if (fd_ < 0) return base::fail(error("cannot open it"));
  // Two writers would interleave whatever the sidecar says.
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    return base::fail(ErrorKind::RunLocked, "another process is writing " + path_);
  }
  if (::fstat(fd_, &status) != 0) return base::fail(error("cannot look at it"));
  if (static_cast<std::uint64_t>(status.st_size) < sidecar_.length) {
    return base::fail(ErrorKind::TargetChanged, "file " + path_ + " is shorter than what this run has written");
  }
  if (::ftruncate(fd_, static_cast<off_t>(sidecar_.length)) != 0) return base::fail(error("cannot cut it"));
  written_ = sidecar_.length;
  if (auto kept = sync(sidecar_.sealed); !kept) return base::fail(std::move(kept.error()));
  return !*marked;
}

void LineFile::add(std::string_view image) {
  const std::size_t before = buffer_.size();
  if (shape_ == Shape::Aws) {
    buffer_ += sidecar_.items == 0 ? "{\n    \"Items\": [\n        " : ",\n        ";
    item::append_pretty(buffer_, image, 2);
  } else {
    buffer_ += R"({"Item":)";
    buffer_ += image;
    buffer_ += "}\n";
  }
  ++sidecar_.items;
  unsynced_ += buffer_.size() - before;
}

void LineFile::end_document() {
  buffer_ += sidecar_.items == 0 ? "{\n    \"Items\": []" : "\n    ]";
  const std::string count = std::to_string(sidecar_.items);
  buffer_ +=
      ",\n    \"Count\": " + count + ",\n    \"ScannedCount\": " + count + ",\n    \"ConsumedCapacity\": null\n}\n";
}

base::Result<> LineFile::write_if_large() {
  return buffer_.size() >= (packing_ ? kPackBytes : kWriteBytes) ? write_all() : base::Result<>();
}

base::Result<> LineFile::write_all() {
  std::string_view bytes = buffer_;
  if (packing_) {
    packed_.clear();
    packing_->pack(buffer_, packed_);
    bytes = packed_;
  }
  if (auto done = write_to(fd_, bytes); !done) {
    return base::fail(done.error().kind, "file " + path_ + ": cannot write: " + done.error().what);
  }
  written_ += bytes.size();
  buffer_.clear();
  return {};
}

void LineFile::move_checkpoints(const Checkpoints& checkpoints) {
  for (const Checkpoint& checkpoint : checkpoints) {
    if (checkpoint.value.empty()) {
      sidecar_.checkpoints.erase(checkpoint.name);
    } else {
      sidecar_.checkpoints.insert_or_assign(checkpoint.name, checkpoint.value);
    }
  }
}

base::Result<> LineFile::sync(bool sealed) {
  if (sealed && !sidecar_.sealed && shape_ == Shape::Aws) end_document();
  // A packed file of nothing is one empty member: no bytes at all would not unpack.
  if (!buffer_.empty() || (sealed && packing_ && written_ == 0)) {
    if (auto written = write_all(); !written) return written;
  }
  unsynced_ = 0;
  if (!resumable_) {
    sidecar_.sealed = sealed;
    return {};
  }
  if (::fdatasync(fd_) != 0) return base::fail(ErrorKind::DiskFull, error("cannot sync it").what);
  sidecar_.length = written_;
  sidecar_.sealed = sealed;
  return write_sidecar();
}

base::Result<bool> LineFile::read_sidecar() {
  std::ifstream in(sidecar_path_, std::ios::binary);
  if (!in) return false;
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  std::optional<Sidecar> sidecar = sidecar_of(text);
  if (!sidecar) return base::fail(ErrorKind::Usage, sidecar_path_ + " is not what moveout writes beside a file");
  sidecar_ = std::move(*sidecar);
  return true;
}

base::Result<> LineFile::write_sidecar() {
  const std::string fresh = sidecar_path_ + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return base::fail(error("cannot write its sidecar"));
  base::Result<> done = write_to(fd, text_of(sidecar_));
  if (done && ::fsync(fd) != 0) done = base::fail(ErrorKind::DiskFull, std::strerror(errno));
  ::close(fd);
  if (done && ::rename(fresh.c_str(), sidecar_path_.c_str()) != 0)
    done = base::fail(kind_of(errno), std::strerror(errno));
  if (!done) return base::fail(done.error().kind, "file " + path_ + ": cannot write its sidecar: " + done.error().what);
  return sync_folder();
}

base::Result<> LineFile::sync_folder() const {
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const int number = errno;
  if (fd >= 0) ::close(fd);
  if (synced) return {};
  return base::fail(ErrorKind::DiskFull, "file " + path_ + ": cannot sync its folder: " + std::strerror(number));
}

base::Result<> LineFile::remove_sidecar() {
  if (!resumable_) return {};
  if (::unlink(sidecar_path_.c_str()) != 0 && errno != ENOENT) return base::fail(error("cannot remove its sidecar"));
  return sync_folder();
}

}  // namespace moveout::target::file
