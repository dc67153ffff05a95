#include "target/file/file_target.h"

#include <map>
#include <utility>

#include "item/json.h"
#include "target/file/line_file.h"

namespace moveout::target::file {
namespace {

using base::ErrorKind;

constexpr std::uint64_t kSyncBytes = 64 << 20;
constexpr int kSyncApplies = 64;  // without a clock
constexpr base::Millis kSyncTime{1000};

class FileTarget final : public Target {
 public:
  FileTarget(Options options, base::Worker& worker)
      : path_(options.path),
        clock_(options.clock),
        shape_(options.shape),
        worker_(worker),
        file_(std::move(options.path), options.shape) {}

  base::Task<base::Result<Opened>> open(std::string run_id, std::int64_t owner, Layout layout, Mode mode,
                                        bool resuming) override {
    (void)layout, (void)mode;
    co_return co_await worker_.call([&]() -> base::Result<Opened> {
      broken_ = {};
      auto created = file_.open(run_id, owner, resuming);
      open_ = created.has_value();
      if (!created) return base::fail(std::move(created.error()));
      applies_ = 0;
      if (clock_ != nullptr) synced_at_ = clock_->steady();
      Opened opened;
      opened.created = *created;
      opened.sealed = file_.sidecar().sealed;
      for (const auto& [name, value] : file_.sidecar().checkpoints) opened.checkpoints.push_back({name, value});
      return opened;
    });
  }

  base::Task<base::Result<Outcomes>> apply(item::Batch batch, Checkpoints checkpoints) override {
    co_return co_await worker_.call([&]() -> base::Result<Outcomes> {
      if (auto ready = writable(); !ready) return base::fail(std::move(ready.error()));
      auto done = append(batch, checkpoints);
      // Half of it may be in the file; what counts is what the sidecar says when it is opened again.
      if (!done && done.error().kind != ErrorKind::Usage) broken_ = base::fail(done.error());
      return done;
    });
  }

  base::Task<base::Result<>> seal() override {
    co_return co_await worker_.call([&]() -> base::Result<> {
      if (!broken_) return broken_;
      if (!open_) return base::fail(ErrorKind::Usage, "file " + path_ + " was not opened");
      broken_ = file_.sync(/*sealed=*/true);
      return broken_;
    });
  }

  base::Task<base::Result<>> finish() override {
    co_return co_await worker_.call([&]() -> base::Result<> {
      open_ = false;
      return file_.remove_sidecar();
    });
  }

  base::Task<base::Result<Opened>> open_reader(Layout) override { co_return unreadable(); }
  base::Task<base::Result<std::vector<std::optional<Stored>>>> read(std::vector<item::Key>) override {
    co_return unreadable();
  }
  base::Task<base::Result<std::vector<std::optional<item::Version>>>> versions(std::vector<item::Key>) override {
    co_return unreadable();
  }
  base::Task<base::Result<StoredPage>> scan(std::string, std::size_t) override { co_return unreadable(); }
  base::Task<base::Result<std::optional<std::uint64_t>>> live_rows() override {
    co_return std::optional<std::uint64_t>();
  }

  std::optional<std::string> refusal(const item::Write&) const override { return std::nullopt; }
  Guard guard() const override { return Guard::OrderedOnly; }
  bool commits_checkpoints() const override { return true; }

 private:
  std::unexpected<base::Error> unreadable() const {
    return base::fail(ErrorKind::Usage, "file " + path_ + " is written only: it cannot be read back");
  }

  base::Result<> writable() const {
    if (!broken_) return broken_;
    if (!open_) return base::fail(ErrorKind::Usage, "file " + path_ + " was not opened");
    if (file_.sidecar().sealed) return base::fail(ErrorKind::Usage, "file " + path_ + " is complete already");
    return {};
  }

  // On the worker.
  base::Result<Outcomes> append(const item::Batch& batch, const Checkpoints& checkpoints) {
    // White space between members may hold line ends; one line an item all the same.
    std::map<std::size_t, std::string> rewritten;
    Outcomes refused = Outcomes::all(Outcome::Throttled, batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const std::string_view image = batch[i].image;
      if (batch[i].is_delete()) return base::fail(ErrorKind::Usage, "file " + path_ + " takes no deletes");
      if (shape_ == Shape::Aws || image.find('\n') == std::string_view::npos) continue;
      if (auto item = item::parse_item(image)) {
        rewritten.emplace(i, item::to_json(*item));
      } else {
        refused.each[i] = Outcome::Refused;
        refused.why.emplace_back(i, item.error().what);
      }
    }
    if (!refused.why.empty()) return refused;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto other = rewritten.find(i);
      file_.add(other == rewritten.end() ? batch[i].image : std::string_view(other->second));
      if (auto written = file_.write_if_large(); !written) return base::fail(std::move(written.error()));
    }
    file_.move_checkpoints(checkpoints);
    ++applies_;
    if (due()) {
      if (auto synced = file_.sync(/*sealed=*/false); !synced) return base::fail(std::move(synced.error()));
      applies_ = 0;
      if (clock_ != nullptr) synced_at_ = clock_->steady();
    }
    return Outcomes::all(Outcome::Applied, batch.size());
  }

  bool due() const {
    if (!file_.resumable()) return false;
    if (file_.unsynced_bytes() >= kSyncBytes) return true;
    return clock_ != nullptr ? clock_->steady() - synced_at_ >= kSyncTime : applies_ >= kSyncApplies;
  }

  std::string path_;
  base::Clock* clock_;
  Shape shape_;
  base::Worker& worker_;
  // The worker's alone.
  LineFile file_;
  bool open_ = false;
  int applies_ = 0;
  base::Steady synced_at_{};
  base::Result<> broken_;
};

}  // namespace

std::unique_ptr<Target> make_target(Options options, base::Worker& worker, base::Executor, base::Log&) {
  return std::make_unique<FileTarget>(std::move(options), worker);
}

}  // namespace moveout::target::file
