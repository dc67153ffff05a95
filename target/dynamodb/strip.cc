// TargetTable::finish(): the version attributes and tombstone items go, item by item, each only if it is still what was
// seen (docs/consistency.md §3).
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/mutant.h"
#include "target/dynamodb/crew.h"
#include "target/dynamodb/table.h"
#include "target/writer.h"

namespace moveout::target::dynamodb {

namespace json = base::json;
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

std::string TargetTable::Stripping::encode() const {
  return json::serialize(
      json::object{{"quiet", quiet}, {"pass", pass}, {"cursor", cursor}, {"seen", seen}, {"marked", marked}});
}

Result<TargetTable::Stripping> TargetTable::Stripping::decode(std::string_view text) {
  Stripping at;
  if (text.empty()) return at;
  const Result<json::value> value = base::parse_json(text);
  const json::object* row = value ? value->if_object() : nullptr;
  const auto find = [row](const char* name) { return row == nullptr ? nullptr : row->if_contains(name); };
  const json::value *quiet = find("quiet"), *pass = find("pass"), *cursor = find("cursor"), *seen = find("seen"),
                    *marked = find("marked");
  if (!quiet || !quiet->is_bool() || !pass || !pass->is_int64() || !cursor || !cursor->is_string() || !seen ||
      !seen->is_int64() || !marked || !marked->is_int64()) {
    return fail(ErrorKind::Corrupt, "state: how far `finish` is cannot be read");
  }
  at.quiet = quiet->get_bool();
  at.pass = static_cast<int>(pass->get_int64());
  at.cursor = std::string(cursor->get_string());
  at.seen = static_cast<std::uint64_t>(seen->get_int64());
  at.marked = static_cast<std::uint64_t>(marked->get_int64());
  return at;
}

void TargetTable::finish_from(std::string known, CheckpointSink& sink) {
  finished_until_ = std::move(known);
  finish_sink_ = &sink;
}

Task<Result<>> TargetTable::keep(Stripping at) {
  if (finish_sink_ == nullptr) co_return Result<>();
  Checkpoints checkpoints{{kFinishName, at.encode()}};
  co_return co_await finish_sink_->commit(std::move(checkpoints));
}

// The next page of the pass.
Task<Result<>> TargetTable::strip_page(Stripping* at) {
  aws::ItemWrites writes(writes_client_, layout_.table);
  aws::ScanRequest request;
  request.table = layout_.table;
  request.start_key = at->cursor;
  const Result<aws::ItemsPage> page = co_await table_calls_.scan(std::move(request));
  if (!page) co_return fail(page.error());
  Result<std::vector<Found>> found = found_in(*page);
  if (!found) co_return fail(found.error());
  std::vector<Marked> marked;
  for (Found& one : *found) {
    if (one.mark) marked.push_back({std::move(one.key), *one.mark});
  }
  at->seen += marked.size();
  at->cursor = page->last_key;
  StripWork work(writes, layout_, std::move(marked));
  co_return co_await send_all(work, pacer_, clock_);
}

// It ends with a whole pass that finds nothing. Each page is kept as done only after its answers, and what was not
// applied of it the next pass finds.
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
  Result<Stripping> known = Stripping::decode(finished_until_);
  if (!known) co_return fail(known.error());
  Stripping at = std::move(*known);
  if (!at.quiet) {
    // From now on no run goes on with this state. A guarded write of a process that died may still land; without the
    // attribute nothing would hold it back.
    if (Result<> kept = co_await keep(at); !kept) co_return kept;
    log_.info("target.strip", {{"table", layout_.table}, {"waits_ms", options_.late_max->count()}});
    if (!base::mutant("strip_at_once")) co_await clock_.sleep_for(*options_.late_max);
    at.quiet = true;
  }
  for (;;) {
    if (Result<> kept = co_await keep(at); !kept) co_return kept;
    if (Result<> stripped = co_await strip_page(&at); !stripped) co_return stripped;
    log_.debug("target.stripping", {{"table", layout_.table}, {"items", at.marked + at.seen}});
    if (!at.cursor.empty()) continue;
    at.marked += at.seen;
    if (std::exchange(at.seen, 0) == 0) break;
    if (at.pass++ < kPassesMax) continue;
    at.pass = 0;
    if (Result<> kept = co_await keep(at); !kept) co_return kept;
    co_return fail(ErrorKind::TargetChanged, "table " + layout_.table +
                                                 ": items with a version attribute keep coming: something still "
                                                 "moves into it; stop that, then `finish` again");
  }
  log_.info("target.stripped", {{"table", layout_.table}, {"items", at.marked}});
  co_return Result<>();
}

}  // namespace moveout::target::dynamodb
