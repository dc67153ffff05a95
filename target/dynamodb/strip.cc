// TargetTable::finish(): the version attributes and tombstone items go, item by item, each only if it is still what was
// seen (docs/consistency.md §3).
#include <vector>

#include "base/mutant.h"
#include "target/dynamodb/crew.h"
#include "target/dynamodb/table.h"

namespace moveout::target::dynamodb {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// After so many passes that each found something, somebody is still writing.
constexpr int kPassesMax = 5;

struct Marked {
  item::Key key;
  Mark mark;
};

class StripWork final : public Work {
 public:
  StripWork(aws::ItemWrites& writes, const Layout& layout, std::vector<Marked> marked)
      : writes_(writes), layout_(layout), marked_(std::move(marked)) {}

  std::optional<Piece> take() override {
    if (next_ == marked_.size()) return std::nullopt;
    return Piece{next_++, 1, 1024};
  }

  Task<Result<Spent>> send(Piece piece) override {
    const Marked& one = marked_[piece.from];
    Spent spent{1, 0};
    std::string body = strip_body(layout_.table, one.key, layout_.key, one.mark);
    Result<aws::Sent> sent = co_await writes_.one(one.mark.tombstone ? "DeleteItem" : "UpdateItem", std::move(body));
    if (!sent) co_return fail(sent.error());
    if (sent->fate == aws::Fate::Refused) co_return fail(ErrorKind::Usage, sent->why);
    // What was not applied, or is not what was seen any more, the next pass looks at again.
    if (sent->throttled) spent.refused = 1;
    co_return spent;
  }

  base::Micros patience() const override { return std::chrono::hours(1); }
  void give_back(const Piece&) override {}

 private:
  aws::ItemWrites& writes_;
  const Layout& layout_;
  std::vector<Marked> marked_;
  std::size_t next_ = 0;
};

}  // namespace

// How many marked items it found.
Task<Result<std::uint64_t>> TargetTable::strip_pass() {
  std::uint64_t seen = 0;
  aws::ItemWrites writes(writes_client_, layout_.table);
  std::string cursor;
  do {
    aws::ScanRequest request;
    request.table = layout_.table;
    request.start_key = cursor;
    const Result<aws::ItemsPage> page = co_await table_calls_.scan(std::move(request));
    if (!page) co_return fail(page.error());
    Result<std::vector<Found>> found = found_in(*page);
    if (!found) co_return fail(found.error());
    std::vector<Marked> marked;
    for (Found& one : *found) {
      if (one.mark) marked.push_back({std::move(one.key), *one.mark});
    }
    seen += marked.size();
    cursor = page->last_key;
    StripWork work(writes, layout_, std::move(marked));
    if (Result<> sent = co_await send_all(work, pacer_, clock_); !sent) co_return fail(sent.error());
    log_.debug("target.stripping", {{"table", layout_.table}, {"items", seen}});
  } while (!cursor.empty());
  co_return seen;
}

Task<Result<>> TargetTable::finish() {
  if (!readable_) co_return fail(ErrorKind::Usage, "table " + layout_.table + ": it is not open");
  writable_ = false;  // nothing guarded is written from here on
  if (!guarded()) co_return Result<>();
  if (!options_.late_max) {
    co_return fail(ErrorKind::Usage,
                   "table " + layout_.table +
                       ": how long may a request land at this endpoint after it was signed? Say it with "
                       "target.late (docs/dynamodb-target.md); an old write after the version attributes are gone "
                       "would undo a newer one");
  }
  // A guarded write of a process that died may still land; without the attribute nothing would hold it back.
  log_.info("target.strip", {{"table", layout_.table}, {"waits_ms", options_.late_max->count()}});
  if (!base::mutant("strip_at_once")) co_await clock_.sleep_for(*options_.late_max);
  std::uint64_t stripped = 0;
  for (int pass = 0;; ++pass) {
    const Result<std::uint64_t> seen = co_await strip_pass();
    if (!seen) co_return fail(seen.error());
    if (*seen == 0) break;
    stripped += *seen;
    if (pass == kPassesMax) {
      co_return fail(ErrorKind::TargetChanged, "table " + layout_.table +
                                                   ": items with a version attribute keep coming: something still "
                                                   "moves into it; stop that, then `finish` again");
    }
  }
  log_.info("target.stripped", {{"table", layout_.table}, {"items", stripped}});
  co_return Result<>();
}

}  // namespace moveout::target::dynamodb
