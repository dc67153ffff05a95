#include "app/export_fetch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

#include "backfill/export/folder_objects.h"
#include "backfill/export/md5.h"
#include "base/task_group.h"

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kPartBytes = 4 << 20;
constexpr int kFilesAtOnce = 4;

std::unexpected<base::Error> refused(const std::string& path, int number) {
  const bool full = number == ENOSPC || number == EDQUOT || number == EIO || number == EFBIG;
  return fail(full ? ErrorKind::DiskFull : ErrorKind::Usage, path + ": " + std::strerror(number));
}

// A file under another name until it is whole.
class Landing {
 public:
  explicit Landing(std::string path) : path_(std::move(path)), part_(path_ + ".part") {}
  Landing(const Landing&) = delete;
  Landing& operator=(const Landing&) = delete;
  ~Landing() {
    if (fd_ >= 0) ::close(fd_);
  }
  Result<> open() {
    std::error_code error;
    fs::create_directories(fs::path(path_).parent_path(), error);
    if (error) return refused(path_, error.value());
    fd_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd_ < 0 ? refused(part_, errno) : Result<>();
  }
  Result<> add(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return refused(part_, written < 0 ? errno : ENOSPC);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }
  Result<> done() {
    if (::fsync(fd_) != 0 || ::rename(part_.c_str(), path_.c_str()) != 0) return refused(path_, errno);
    return {};
  }

 private:
  std::string path_, part_;
  int fd_ = -1;
};

struct Wanted {
  backfill::StoredObject object;
  std::string name;  // in the folder
  std::string md5;   // empty: no one says
};

class Fetch {
 public:
  Fetch(backfill::Objects& objects, std::string folder, base::Worker& worker)
      : objects_(objects), folder_(std::move(folder)), worker_(worker), there_(folder_, worker) {}

  Task<Result<>> files(std::vector<Wanted> all) {
    wanted_ = std::move(all);
    next_ = 0;
    base::TaskGroup group(co_await base::this_executor);
    for (int i = 0; i < kFilesAtOnce; ++i) group.start(some());
    co_return co_await group.wait_or_stop();
  }

 private:
  Task<Result<>> some() {
    while (next_ < wanted_.size()) {
      if (Result<> done = co_await one(wanted_[next_++]); !done) co_return done;
    }
    co_return Result<>();
  }

  Task<Result<bool>> stands(Wanted wanted) {
    Result<backfill::StoredObject> found = co_await there_.look(wanted.name);
    if (!found && found.error().kind == ErrorKind::NotFound) co_return false;
    if (!found) co_return fail(found.error());
    if (wanted.md5.empty() || found->size != wanted.object.size) co_return false;
    backfill::Md5 md5;
    for (std::uint64_t offset = 0; offset < found->size; offset += kPartBytes) {
      Result<std::string> bytes = co_await there_.read(*found, offset, kPartBytes);
      if (!bytes) co_return fail(bytes.error());
      md5.add(*bytes);
    }
    co_return md5.done() == wanted.md5;
  }

  Task<Result<>> one(Wanted wanted) {
    Result<bool> stood = co_await stands(wanted);
    if (!stood) co_return fail(stood.error());
    if (*stood) co_return Result<>();
    Landing landing(folder_ + "/" + wanted.name);
    Result<> good = co_await worker_.call([&] { return landing.open(); });
    backfill::Md5 md5;
    for (std::uint64_t offset = 0; good && offset < wanted.object.size;) {
      Result<std::string> bytes = co_await objects_.read(wanted.object, offset, kPartBytes);
      if (!bytes) co_return fail(bytes.error());
      if (bytes->empty()) {
        co_return fail(ErrorKind::Corrupt, objects_.where(wanted.object.name) + " ended before its size");
      }
      offset += bytes->size();
      good = co_await worker_.call([&] {
        md5.add(*bytes);
        return landing.add(*bytes);
      });
    }
    if (!good) co_return good;
    if (!wanted.md5.empty() && md5.done() != wanted.md5) {
      co_return fail(ErrorKind::Corrupt, objects_.where(wanted.object.name) +
                                             ": its MD5 is not the one in the export's manifest: it is damaged or "
                                             "another file");
    }
    co_return co_await worker_.call([&] { return landing.done(); });
  }

  backfill::Objects& objects_;
  std::string folder_;
  base::Worker& worker_;
  backfill::FolderObjects there_;
  std::vector<Wanted> wanted_;
  std::size_t next_ = 0;
};

// The manifests and what stands beside them: the summary last.
Task<Result<std::vector<Wanted>>> manifests_of(backfill::Objects& objects, const backfill::ExportTree& tree) {
  const std::string id = tree.summary.arn.substr(tree.summary.arn.rfind('/') + 1);
  std::vector<Wanted> all;
  for (const char* file :
       {"_started", "manifest-files.md5", "manifest-files.checksum", "manifest-files.json.md5", "manifest-files.json",
        "manifest-summary.md5", "manifest-summary.checksum", "manifest-summary.json.md5", "manifest-summary.json"}) {
    Result<backfill::StoredObject> object = co_await objects.look(tree.folder + file);
    if (!object && object.error().kind == ErrorKind::NotFound) continue;
    if (!object) co_return fail(object.error());
    all.push_back({std::move(*object), "AWSDynamoDB/" + id + "/" + file, {}});
  }
  co_return all;
}

}  // namespace

Task<Result<Fetched>> fetch_export(backfill::Objects& objects, backfill::FindExports find, std::string folder,
                                   base::Worker& worker, base::Log& log) {
  Result<std::vector<backfill::ExportTree>> trees = co_await backfill::find_exports(objects, log, std::move(find));
  if (!trees) co_return fail(trees.error());
  const backfill::ExportTree& tree = trees->front();
  Fetched fetched;
  std::vector<Wanted> data;
  for (const backfill::DataFile& file : tree.files) {
    const auto below = backfill::below_prefix(file.entry.key, tree.summary.prefix);
    MOVEOUT_ASSERT(below.has_value());
    data.push_back({file.object, std::string(*below), file.entry.md5});
    fetched.items += file.entry.items;
    fetched.bytes += file.object.size;
    ++fetched.files;
  }
  Fetch fetch(objects, std::move(folder), worker);
  if (Result<> done = co_await fetch.files(std::move(data)); !done) co_return fail(done.error());
  Result<std::vector<Wanted>> manifests = co_await manifests_of(objects, tree);
  if (!manifests) co_return fail(manifests.error());
  for (Wanted& each : *manifests) {
    std::vector<Wanted> alone;
    alone.push_back(std::move(each));
    if (Result<> done = co_await fetch.files(std::move(alone)); !done) co_return fail(done.error());
  }
  co_return fetched;
}

}  // namespace moveout::app
