#include "target/sqlite/database.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace moveout::target::sqlite {
namespace {

using base::ErrorKind;

// What one transaction takes at most: enough that every leaf of the key is written seldom, and a change that waits
// behind it waits for well under a second.
constexpr std::size_t kGroupBytesMax = 32 << 20;

// A write of a group, by the place of its key in the table.
struct Slot {
  std::uint64_t prefix;  // compares as the key does, as far as it goes
  std::string_view key;  // type letter, 4 bytes of length, bytes; then the sort value likewise
  std::uint32_t request;
  std::uint32_t index;
};

constexpr std::size_t kPartHead = 5;

std::uint64_t prefix_of(std::string_view key) {
  std::uint64_t prefix = 0;
  const std::size_t size = key.size() - kPartHead;
  // Whole numbers order by their length first. It is only for locality: fractions and signs may stand anywhere.
  const bool number = key[0] == 'N';
  const std::size_t bytes = number ? 7 : 8;
  for (std::size_t i = 0; i < bytes; ++i) {
    prefix = prefix << 8 | (i < size ? static_cast<unsigned char>(key[kPartHead + i]) : 0);
  }
  return number ? (std::uint64_t{static_cast<unsigned char>(key[4])} << 56) | prefix : prefix;
}

bool before(const Slot& a, const Slot& b) {
  if (a.prefix != b.prefix) return a.prefix < b.prefix;
  if (const int order = a.key.substr(kPartHead).compare(b.key.substr(kPartHead)); order != 0) return order < 0;
  return a.request != b.request ? a.request < b.request : a.index < b.index;
}

}  // namespace

// Takes the request back when its caller is cancelled before it began.
class FileDatabase::Waiting {
 public:
  Waiting(FileDatabase& database, std::shared_ptr<Request> request)
      : database_(database), request_(std::move(request)) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    request_->abandoned = true;
    std::erase(database_.queue_, request_);
  }

 private:
  FileDatabase& database_;
  std::shared_ptr<Request> request_;
};

// The one caller that commits for all who wait. When it is cancelled another takes over.
class FileDatabase::Leading {
 public:
  Leading(FileDatabase& database, std::shared_ptr<Group> group) : database_(database), group_(std::move(group)) {
    database_.leading_ = true;
  }
  Leading(const Leading&) = delete;
  Leading& operator=(const Leading&) = delete;
  ~Leading() {
    for (auto it = group_->requests.rbegin(); it != group_->requests.rend(); ++it) {
      if (group_->ran) {
        (*it)->done = true;
      } else if (!(*it)->abandoned) {
        database_.queue_.push_front(*it);
      }
    }
    database_.leading_ = false;
    database_.changed_.notify_all();
  }

 private:
  FileDatabase& database_;
  std::shared_ptr<Group> group_;
};

FileDatabase::FileDatabase(DatabaseOptions options, base::Worker& worker, base::Executor executor, base::Log& log)
    : options_(std::move(options)), worker_(worker), log_(log), changed_(std::move(executor)) {}

FileDatabase::~FileDatabase() = default;

base::Task<base::Result<Outcomes>> FileDatabase::apply(std::string table, item::Batch batch, Checkpoints checkpoints) {
  auto request = std::make_shared<Request>();
  request->table = std::move(table);
  request->batch = std::move(batch);
  request->checkpoints = std::move(checkpoints);
  queue_.push_back(request);
  const Waiting waiting(*this, request);
  while (!request->done) {
    if (leading_) {
      co_await changed_.wait();
    } else {
      co_await lead();
    }
  }
  co_return std::move(request->result);
}

std::shared_ptr<FileDatabase::Group> FileDatabase::take_group() {
  auto group = std::make_shared<Group>();
  std::size_t bytes = 0;
  while (!queue_.empty() && (group->requests.empty() || bytes + queue_.front()->batch.bytes() <= kGroupBytesMax)) {
    bytes += queue_.front()->batch.bytes();
    group->requests.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return group;
}

base::Task<> FileDatabase::lead() {
  std::shared_ptr<Group> group = take_group();
  const Leading leading(*this, group);
  co_await worker_.run([this, &group] {
    std::vector<std::shared_ptr<Request>> requests = group->requests;
    commit_group(requests);
    group->ran = true;
  });
}

base::Result<> FileDatabase::connect(Connection::Access access) {
  if (!broken_) {
    for (const auto& [name, table] : tables_) table->forget_statements();
    connection_.close();
    broken_ = {};
  }
  if (connection_.is_open()) return {};
  writable_ = false;
  return connection_.open(options_.path, options_.vfs, options_.cache_mb, access);
}

Table& FileDatabase::table_of(const std::string& name) {
  std::unique_ptr<Table>& table = tables_[name];
  if (!table) table = std::make_unique<Table>(connection_, name);
  return *table;
}

base::Result<Table*> FileDatabase::begin(const std::string& table, const char* how, Opening opening) {
  if (!broken_) return base::fail(broken_.error());
  const auto found = tables_.find(table);
  const bool there = found != tables_.end() && connection_.is_open();
  if (!there || (opening == Opening::Before && !found->second->is_open())) {
    return base::fail(ErrorKind::Usage, "table \"" + table + "\" was not opened");
  }
  if (auto begun = connection_.exec(how, "cannot begin"); !begun) return base::fail(std::move(begun.error()));
  return found->second.get();
}

void FileDatabase::roll_back() {
  // SQLite may have rolled back itself; then there is nothing left to undo.
  if (connection_.in_transaction()) {
    if (auto undone = connection_.exec("ROLLBACK", "cannot roll back"); !undone) broken_ = std::move(undone);
  }
  for (const auto& [name, table] : tables_) table->rolled_back();
}

// `work` and what it changed, in one transaction of one table.
template <class Work>
base::Result<> FileDatabase::transact(const std::string& table, const char* doing, Work&& work, Opening opening) {
  auto begun = begin(table, "BEGIN IMMEDIATE", opening);
  if (!begun) return base::fail(std::move(begun.error()));
  if (base::Result<> done = work(**begun); !done) {
    roll_back();
    return done;
  }
  if (auto committed = connection_.exec("COMMIT", doing); !committed) {
    roll_back();
    return committed;
  }
  (*begun)->committed();
  return {};
}

base::Task<base::Result<Opened>> FileDatabase::open(std::string run_id, std::int64_t owner, Layout layout, Mode mode,
                                                    bool resuming) {
  MOVEOUT_ASSERT(!run_id.empty());
  co_return co_await worker_.call([&]() -> base::Result<Opened> {
    auto connected = connect(resuming ? Connection::Access::Read : Connection::Access::Write);
    if (!connected) {
      if (connected.error().kind != ErrorKind::NotFound) return base::fail(std::move(connected.error()));
      return base::fail(ErrorKind::TargetChanged, connected.error().what + ", though this run has written to it");
    }
    Table& table = table_of(layout.table);
    // What is not ours stays as it is: not even its journal mode changes.
    if (auto may = table.check(run_id, owner, layout, resuming); !may) return base::fail(std::move(may.error()));
    if (!writable_) {
      auto ready = connection_.prepare_for_writing();
      if (ready) ready = connection_.make_durable();
      if (!ready) return base::fail(std::move(ready.error()));
      writable_ = true;
    }
    base::Result<Opened> opened = Opened();
    auto done = transact(
        layout.table, "cannot take ownership",
        [&](Table& of) -> base::Result<> {
          opened = of.open(run_id, owner, layout, mode, resuming);
          return opened ? base::Result<>() : base::fail(opened.error());
        },
        Opening::Now);
    if (!done) return base::fail(std::move(done.error()));
    return opened;
  });
}

base::Task<base::Result<Opened>> FileDatabase::open_reader(Layout layout) {
  co_return co_await worker_.call([&]() -> base::Result<Opened> {
    if (auto connected = connect(Connection::Access::Read); !connected) {
      return base::fail(std::move(connected.error()));
    }
    table_of(layout.table);
    auto table = begin(layout.table, "BEGIN", Opening::Now);
    if (!table) return base::fail(std::move(table.error()));
    base::Result<Opened> opened = (*table)->open_reader(layout);
    if (auto ended = connection_.exec("COMMIT", "cannot read"); !ended && opened) return base::fail(ended.error());
    return opened;
  });
}

base::Task<base::Result<std::optional<item::KeySchema>>> FileDatabase::key_of_table(std::string table) {
  co_return co_await worker_.call([&]() -> base::Result<std::optional<item::KeySchema>> {
    if (auto connected = connect(Connection::Access::Read); !connected) {
      if (connected.error().kind == ErrorKind::NotFound) return std::nullopt;
      return base::fail(std::move(connected.error()));
    }
    auto key = Table(connection_, table).key_there();
    // Opened for reading; whoever writes opens it anew.
    connection_.close();
    return key;
  });
}

base::Task<base::Result<>> FileDatabase::seal(std::string table) {
  co_return co_await worker_.call([&]() -> base::Result<> {
    return transact(table, "cannot seal", [](Table& of) {
      base::Result<> entered = of.enter();
      return entered ? of.seal() : entered;
    });
  });
}

base::Task<base::Result<>> FileDatabase::finish(std::string table) {
  co_return co_await worker_.call([&]() -> base::Result<> {
    bool last = false;
    auto done = transact(table, "cannot finish", [&](Table& of) -> base::Result<> {
      auto finished = of.finish();
      if (!finished) return base::fail(std::move(finished.error()));
      last = *finished;
      return {};
    });
    if (!done || !last) return done;
    // The file alone is the database again: no -wal beside it, readable from read-only media.
    for (const auto& [name, of] : tables_) of->forget_statements();
    writable_ = false;
    std::string mode;
    auto alone = connection_.query_text("PRAGMA journal_mode=DELETE", {}, &mode);
    if (!alone || mode != "delete") {
      log_.info("sqlite.wal_stays", {{"why", alone ? "another connection has the file open" : alone.error().what}});
    }
    return {};
  });
}

void FileDatabase::enter_all(std::vector<std::shared_ptr<Request>>& requests) {
  std::erase_if(requests, [this](const std::shared_ptr<Request>& request) {
    const auto found = tables_.find(request->table);
    auto entered = found != tables_.end() && found->second->is_open()
                       ? found->second->enter()
                       : base::fail(ErrorKind::Usage, "table \"" + request->table + "\" was not opened");
    if (entered) return false;
    request->result = base::fail(std::move(entered.error()));
    return true;
  });
}

// One transaction for all of them. Whoever cannot be part of it is answered and taken out; then anew for the others.
void FileDatabase::commit_group(std::vector<std::shared_ptr<Request>>& requests) {
  const auto fail_all = [&](const base::Error& error) {
    for (const auto& request : requests) request->result = base::fail(error);
  };
  if (base::mutant("checkpoint_before_data")) {
    for (const auto& request : requests) {
      auto early = transact(request->table, "cannot commit", [&](Table& of) {
        base::Result<> entered = of.enter();
        return entered ? of.put(request->checkpoints) : entered;
      });
      if (!early) return fail_all(early.error());
    }
  }
  for (bool again = true; again;) {
    if (!broken_) return fail_all(broken_.error());
    if (!connection_.is_open()) return fail_all({ErrorKind::Usage, "the target was not opened"});
    if (auto begun = connection_.exec("BEGIN IMMEDIATE", "cannot begin"); !begun) return fail_all(begun.error());
    enter_all(requests);
    if (requests.empty()) return roll_back();
    const std::size_t before_refusals = requests.size();
    auto written = write_group(requests);
    again = requests.size() != before_refusals;
    if (again) {
      roll_back();
      again = !requests.empty();
    } else if (!written) {
      roll_back();
      return fail_all(written.error());
    } else if (auto ended = end_group(requests); !ended) {
      return fail_all(ended.error());
    }
  }
}

// Fills the results. A request that holds what can never be held is answered and taken out; the caller rolls back then.
base::Result<> FileDatabase::write_group(std::vector<std::shared_ptr<Request>>& requests) {
  std::vector<Slot> slots;
  for (std::uint32_t r = 0; r < requests.size(); ++r) {
    Request& request = *requests[r];
    request.result = Outcomes::all(Outcome::Stale, request.batch.size());
    const bool sort = tables_.at(request.table)->keyed();
    for (std::uint32_t i = 0; i < request.batch.size(); ++i) {
      const std::string_view key = request.batch[i].key;
      MOVEOUT_ASSERT(key.size() > kPartHead);
      slots.push_back({sort ? prefix_of(key) : 0, key, r, i});
    }
  }
  // Into a keyed table in the order of its key: a leaf is found and split once for all its rows.
  const bool any_keyed =
      std::any_of(requests.begin(), requests.end(), [&](const auto& r) { return tables_.at(r->table)->keyed(); });
  if (any_keyed) std::sort(slots.begin(), slots.end(), before);
  for (const Slot& slot : slots) {
    Request& request = *requests[slot.request];
    Table& table = *tables_.at(request.table);
    auto outcome = table.write(request.batch[slot.index]);
    if (!outcome) return base::fail(std::move(outcome.error()));
    if (*outcome == Outcome::Refused) {
      refuse(table, request, slot.index);
      requests.erase(requests.begin() + slot.request);
      return {};
    }
    request.result->each[slot.index] = *outcome;
  }
  for (const auto& request : requests) {
    if (auto put = tables_.at(request->table)->put(request->checkpoints); !put) return put;
  }
  return {};
}

// Nothing of the request is applied: the caller sets aside what is Refused and sends the rest again, with the
// checkpoints.
void FileDatabase::refuse(Table& table, Request& request, std::size_t index) {
  Outcomes outcomes = Outcomes::all(Outcome::Throttled, request.batch.size());
  for (std::size_t i = 0; i < request.batch.size(); ++i) {
    std::string reason = i == index ? table.reason() : table.why_not(request.batch[i]);
    if (reason.empty()) continue;
    outcomes.each[i] = Outcome::Refused;
    outcomes.why.emplace_back(i, std::move(reason));
  }
  request.result = std::move(outcomes);
}

base::Result<> FileDatabase::end_group(const std::vector<std::shared_ptr<Request>>& requests) {
  if (auto committed = connection_.exec("COMMIT", "cannot commit"); !committed) {
    return settle(requests, std::move(committed.error()));
  }
  for (const auto& [name, table] : tables_) table->committed();
  return {};
}

// A commit that ended in an error is rolled back by SQLite. Its frames may stand in the WAL all the same (a sync that
// failed), but only a crash would bring them back, rows and checkpoints together; the next commit writes over them.
// The marks are asked nevertheless: a second insert of the same rows into a table without a key would double them.
base::Result<> FileDatabase::settle(const std::vector<std::shared_ptr<Request>>& requests, base::Error error) {
  log_.warn("sqlite.commit_failed", {{"error", error.what}});
  if (connection_.in_transaction()) {
    if (auto undone = connection_.exec("ROLLBACK", "cannot roll back"); !undone) broken_ = std::move(undone);
  }
  base::Result<bool> landed = false;
  if (broken_) landed = tables_.at(requests.front()->table)->landed();
  if (!landed) broken_ = base::fail(landed.error());
  if (!broken_) {
    broken_ = base::fail(ErrorKind::Unavailable, error.what + "; and then: " + broken_.error().what);
    return broken_;
  }
  for (const auto& [name, table] : tables_) *landed ? table->committed() : table->rolled_back();
  if (*landed) return {};
  return base::fail(std::move(error));
}

}  // namespace moveout::target::sqlite
