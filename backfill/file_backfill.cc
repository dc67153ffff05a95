#include "backfill/file_backfill.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backfill/part_at.h"
#include "base/channel.h"
#include "base/mutant.h"
#include "base/task_group.h"

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

// Read ahead by each worker, beside the page that is being written and the one that is being read.
constexpr std::size_t kPagesAhead = 1;

struct Page {
  std::size_t part = 0;
  Result<FilePage> page;  // an error: the pages before it are written first
  PartAt after;
};

// Of writes of one key the highest version, else the first.
item::Batch with_distinct_keys(item::Batch batch) {
  std::unordered_map<std::string_view, std::size_t> best;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto [at, fresh] = best.emplace(batch[i].key, i);
    if (!fresh && batch[at->second].version < batch[i].version) at->second = i;
  }
  if (best.size() == batch.size()) return batch;
  std::vector<std::size_t> chosen;
  for (const auto& [key, index] : best) chosen.push_back(index);
  std::ranges::sort(chosen);
  return batch.only(chosen);
}

}  // namespace

struct FileBackfill::State {
  State(FileConfig c, FileSource& s, target::Writer& w, base::Log& l)
      : config(std::move(c)), source(s), writer(w), log(l) {}

  FileConfig config;
  FileSource& source;
  target::Writer& writer;
  base::Log& log;

  std::optional<base::Error> refused;  // checkpoints that cannot be this run's
  std::map<std::size_t, PartAt> at;    // begun or done
  std::size_t next_part = 0;
  FileProgress progress;
  bool paused = false;
  std::optional<base::Signal> resumed;
  std::vector<std::unique_ptr<base::Channel<Page>>> lanes;

  void load(const std::map<std::string, std::string>& checkpoints);
  Task<Result<>> run();
  Task<Result<>> read_parts(base::Channel<Page>& pages);
  Task<bool> read_part(std::size_t part, base::Channel<Page>& pages);
  Task<Result<>> write_pages(base::Channel<Page>& pages);
  Task<Result<>> write(Page page);
  Task<Result<>> check_ends();
};

void FileBackfill::State::load(const std::map<std::string, std::string>& checkpoints) {
  MOVEOUT_ASSERT(config.workers >= 1 && source.parts() >= 1);
  progress.parts = source.parts();
  for (const auto& [name, value] : checkpoints) {
    if (!name.starts_with("file/")) continue;  // capture's, of the same era
    Result<std::size_t> part = part_of_row(name);
    Result<PartAt> row = parse_part(value);
    if (!part || !row || *part >= progress.parts) {
      refused = {ErrorKind::Corrupt,
                 fmt::format("the checkpoint '{}' is none of this run's {} files", name, progress.parts)};
      return;
    }
    progress.items += row->items;
    progress.bytes += row->bytes;
    if (row->done) ++progress.parts_done;
    at.emplace(*part, std::move(*row));
  }
}

Task<Result<>> FileBackfill::State::run() {
  if (refused) co_return base::fail(*refused);
  const base::Executor executor = co_await base::this_executor;
  resumed.emplace(executor);
  base::TaskGroup group(executor);
  lanes.clear();
  const std::size_t count = std::min(progress.parts - progress.parts_done, static_cast<std::size_t>(config.workers));
  for (std::size_t i = 0; i < count; ++i) {
    lanes.push_back(std::make_unique<base::Channel<Page>>(executor, kPagesAhead));
    group.start(read_parts(*lanes.back()));
    group.start(write_pages(*lanes.back()));
  }
  co_return co_await group.wait_or_stop();
}

Task<Result<>> FileBackfill::State::read_parts(base::Channel<Page>& pages) {
  while (next_part < progress.parts) {
    const std::size_t part = next_part++;
    if (const auto begun = at.find(part); begun != at.end() && begun->second.done) continue;
    if (!co_await read_part(part, pages)) break;
  }
  pages.close();
  co_return Result<>();
}

// False when it ended in an error, which the writer meets behind the pages before it.
Task<bool> FileBackfill::State::read_part(std::size_t part, base::Channel<Page>& pages) {
  PartAt after;
  if (const auto begun = at.find(part); begun != at.end()) after = begun->second;
  const std::unique_ptr<PartReader> reader = source.open(part, after.at);
  while (!after.done) {
    while (paused) co_await resumed->wait();
    Page page{part, co_await reader->next(), {}};
    const bool good = page.page.has_value();
    if (good) {
      after.at = page.page->at;
      after.items += page.page->items;
      after.bytes += page.page->bytes;
      after.done = page.page->last;
      page.after = after;
    }
    const bool taken = co_await pages.push(std::move(page));
    MOVEOUT_ASSERT(taken);
    if (!good) co_return false;
  }
  co_return true;
}

Task<Result<>> FileBackfill::State::write_pages(base::Channel<Page>& pages) {
  while (std::optional<Page> page = co_await pages.pop()) {
    if (!page->page) co_return base::fail(page->page.error());
    if (Result<> written = co_await write(std::move(*page)); !written) co_return written;
  }
  co_return Result<>();
}

Task<Result<>> FileBackfill::State::write(Page page) {
  item::Batch batch = std::move(page.page->writes);
  if (writer.target().guard() == target::Guard::OrderedOnly) batch = with_distinct_keys(std::move(batch));
  target::Checkpoints checkpoints{{config.checkpoint_prefix + part_row(page.part), format_part(page.after)}};
  if (base::mutant("checkpoint_before_ack")) {
    const Result<target::Written> moved = co_await writer.write({}, std::exchange(checkpoints, {}));
    if (!moved) co_return base::fail(moved.error());
  }
  const Result<target::Written> written = co_await writer.write(std::move(batch), std::move(checkpoints));
  if (!written) co_return base::fail(written.error());
  progress.items += page.page->items;
  progress.bytes += page.page->bytes;
  if (page.after.done) ++progress.parts_done;
  at[page.part] = std::move(page.after);
  co_return Result<>();
}

Task<Result<>> FileBackfill::State::check_ends() {
  if (refused) co_return base::fail(*refused);
  for (const auto& [part, after] : at) {
    if (!after.done) continue;
    const std::unique_ptr<PartReader> reader = source.open(part, after.at);
    const Result<FilePage> page = co_await reader->next();
    if (!page && page.error().kind != ErrorKind::Corrupt) co_return base::fail(page.error());
    if (page && page->last && page->items == 0) continue;
    co_return base::fail(ErrorKind::Usage, source.part_name(part) +
                                               " was loaded to its end before, and is another one now" +
                                               (page ? "" : " (" + page.error().what + ")") +
                                               ": load it with a --state of its own, into a target of its own");
  }
  co_return Result<>();
}

FileBackfill::FileBackfill(FileConfig config, FileSource& source, target::Writer& writer, base::Log& log,
                           std::map<std::string, std::string> checkpoints)
    : state_(std::make_unique<State>(std::move(config), source, writer, log)) {
  state_->load(checkpoints);
}

FileBackfill::~FileBackfill() = default;

Task<Result<>> FileBackfill::run() { return state_->run(); }
Task<Result<>> FileBackfill::check_ends() { return state_->check_ends(); }
FileProgress FileBackfill::progress() const { return state_->progress; }

void FileBackfill::pause(bool on) {
  state_->paused = on;
  if (state_->resumed) state_->resumed->notify_all();
}

}  // namespace moveout::backfill
