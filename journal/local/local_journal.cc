#include "journal/local/local_journal.h"

#include <deque>
#include <optional>
#include <utility>

#include "base/signal.h"

namespace moveout::journal::local {
namespace {

using base::Result;
using base::Task;

// Written in one piece at most.
constexpr std::size_t kPagesAtOnce = 64;

struct Waiting {
  Page page;
  std::optional<Result<Position>> result;
};

}  // namespace

// Shared with the calls under way: a frame that is torn down late must not touch what is gone. Only `segments` is
// touched on the worker, by one call at a time.
struct LocalJournal::State : std::enable_shared_from_this<State> {
  State(base::Disk& disk, base::Worker& w, std::string name, std::uint32_t generation, Options options)
      : worker(w), segments(disk, std::move(name), generation, options) {}

  base::Worker& worker;
  Segments segments;
  Position end;
  bool opened = false;
  std::deque<std::shared_ptr<Waiting>> waiting;
  bool busy = false;
  std::optional<base::Signal> freed;

  Task<Result<>> write_waiting();
  // Waits until nobody is at the segments, or `one` has been answered.
  Task<> turn(std::shared_ptr<Waiting> one = nullptr) {
    if (!freed) freed.emplace(co_await base::this_executor);
    while (busy && !(one && one->result)) co_await freed->wait();
  }
};

namespace {

// Marks the segments as taken, and lets the next one in.
template <class State>
class Turn {
 public:
  explicit Turn(std::shared_ptr<State> state) : state_(std::move(state)) { state_->busy = true; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    state_->busy = false;
    state_->freed->notify_all();
  }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace

// The oldest pages that wait, in one write. An error of the write is each page's own.
Task<Result<>> LocalJournal::State::write_waiting() {
  const std::shared_ptr<State> state = shared_from_this();
  const Turn<State> turn(state);
  std::vector<std::shared_ptr<Waiting>> taken;
  std::vector<Page> pages;
  while (!waiting.empty() && pages.size() < kPagesAtOnce) {
    pages.push_back(std::move(waiting.front()->page));
    taken.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
  // Whoever took the caller's page was cancelled in the middle.
  if (taken.empty()) co_return base::fail(base::ErrorKind::Unavailable, "the journal is being closed");
  const Result<> appended = co_await worker.call([&] { return segments.append(pages); });
  for (const std::shared_ptr<Waiting>& one : taken) {
    if (!appended) {
      one->result = base::fail(appended.error());
      continue;
    }
    one->result = end;
    end = end.next();
  }
  co_return Result<>();
}

LocalJournal::LocalJournal(base::Disk& disk, base::Worker& worker, std::string name, std::uint32_t generation,
                           Options options)
    : state_(std::make_shared<State>(disk, worker, std::move(name), generation, options)) {}
LocalJournal::~LocalJournal() = default;

Position LocalJournal::end() const { return state_->end; }

Task<Result<Opened>> LocalJournal::open(std::int64_t owner, Position replayed) {
  const std::shared_ptr<State> state = state_;
  co_await state->turn();
  const Turn<State> turn(state);
  Result<Opened> opened = co_await state->worker.call([&] { return state->segments.open(owner, replayed); });
  state->opened = opened.has_value();
  if (opened) state->end = opened->end;
  co_return opened;
}

Task<Result<Position>> LocalJournal::append(Page page) {
  const std::shared_ptr<State> state = state_;
  MOVEOUT_ASSERT(state->opened);
  const auto mine = std::make_shared<Waiting>();
  mine->page = std::move(page);
  state->waiting.push_back(mine);
  for (;;) {
    co_await state->turn(mine);
    if (mine->result) break;
    if (Result<> written = co_await state->write_waiting(); !written) co_return base::fail(written.error());
  }
  co_return *mine->result;
}

Task<Result<std::vector<Entry>>> LocalJournal::read(Position from, std::size_t bytes) {
  const std::shared_ptr<State> state = state_;
  co_await state->turn();
  const Turn<State> turn(state);
  co_return co_await state->worker.call([&] { return state->segments.read(from, bytes); });
}

Task<Result<>> LocalJournal::trim(Position until) {
  const std::shared_ptr<State> state = state_;
  co_await state->turn();
  const Turn<State> turn(state);
  co_return co_await state->worker.call([&] { return state->segments.trim(until); });
}

}  // namespace moveout::journal::local
