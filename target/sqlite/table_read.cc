// Reading: rows back into items, with the version that stands for each.
#include <sqlite3.h>

#include <charconv>
#include <utility>

#include "schema/sqlite_ddl.h"
#include "target/sqlite/table.h"

namespace moveout::target::sqlite {
namespace {

using base::ErrorKind;
using item::Version;

// Rows of a page are kept as trees: a page of 400 KB items stays small too.
constexpr std::size_t kScanBytesMax = 4 << 20;

std::string lowered(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

// Inferred columns never take these names; keys may, but not all three.
std::string Table::rowid_name() const {
  for (const char* name : {"rowid", "_rowid_", "oid"}) {
    bool taken = false;
    for (const schema::Column& column : mapper_->columns().columns) taken = taken || lowered(column.attribute) == name;
    if (!taken) return name;
  }
  const bool one_is_free = false;
  MOVEOUT_ASSERT(one_is_free);
  return "";
}

// A reader takes no ownership: the run may write its first row, or finish, between two calls.
base::Result<> Table::look_again() {
  if (!run_id_.empty()) return {};
  auto found = marks();
  if (!found) return base::fail(std::move(found.error()));
  base_ = *found ? (*found)->base : std::nullopt;
  auto guards = exists("_moveout_guard_" + name_);
  if (!guards) return base::fail(std::move(guards.error()));
  guard_table_ = *guards;
  return {};
}

base::Result<Version> Table::version_of_row(std::string_view key) {
  auto guard = guard_of(key);
  if (!guard) return base::fail(std::move(guard.error()));
  return *guard ? **guard : Version{.t = base_.value_or(0)};
}

base::Result<item::Item> Table::item_in(Statement& row, int first_column, std::size_t* bytes) {
  const std::size_t count = mapper_->columns().columns.size();
  std::vector<schema::Cell> cells(count);
  for (std::size_t i = 0; i < count; ++i) cells[i] = row.cell(first_column + static_cast<int>(i));
  const std::string_view overflow = row.bytes(first_column + static_cast<int>(count));
  if (bytes != nullptr) {
    *bytes += overflow.size();
    for (const schema::Cell& cell : cells) *bytes += sizeof cell + cell.bytes.size();
  }
  auto item = schema::item_of_row(mapper_->columns(), cells, overflow);
  // Nothing of ours writes such a row: someone else changed the table.
  if (!item) {
    return base::fail(ErrorKind::TargetChanged,
                      "table \"" + name_ + "\" holds a row that moveout did not write: " + item.error().what);
  }
  return item;
}

base::Result<std::optional<Stored>> Table::read_one(const item::Key& key) {
  if (auto mapped = mapper_->map_key(key.encoded()); !mapped) return base::fail(std::move(mapped.error()));
  auto statement = use(Select);
  if (!statement) return base::fail(std::move(statement.error()));
  const Reset reset(**statement);
  int parameter = 0;
  for (std::size_t i = 0; i < mapper_->cells().size() && mapper_->columns().columns[i].key; ++i) {
    (*statement)->bind(++parameter, mapper_->cells()[i]);
  }
  const int code = (*statement)->step();
  if (code == SQLITE_DONE) return std::nullopt;
  if (code != SQLITE_ROW) return base::fail(connection_.error(code, "cannot read"));
  auto item = item_in(**statement, 0, nullptr);
  if (!item) return base::fail(std::move(item.error()));
  auto version = version_of_row(key.encoded());
  if (!version) return base::fail(std::move(version.error()));
  return Stored{std::move(*item), *version};
}

base::Result<std::vector<std::optional<Stored>>> Table::read(const std::vector<item::Key>& keys) {
  if (auto looked = look_again(); !looked) return base::fail(std::move(looked.error()));
  std::vector<std::optional<Stored>> all;
  all.reserve(keys.size());
  for (const item::Key& key : keys) {
    auto one = read_one(key);
    if (!one) return base::fail(std::move(one.error()));
    all.push_back(std::move(*one));
  }
  return all;
}

base::Result<std::vector<std::optional<Version>>> Table::versions(const std::vector<item::Key>& keys) {
  if (auto looked = look_again(); !looked) return base::fail(std::move(looked.error()));
  std::vector<std::optional<Version>> all;
  all.reserve(keys.size());
  for (const item::Key& key : keys) {
    auto guard = guard_of(key.encoded());
    if (!guard) return base::fail(std::move(guard.error()));
    if (!*guard) {
      auto there = row_there(key.encoded());
      if (!there) return base::fail(std::move(there.error()));
      if (*there) *guard = Version{.t = base_.value_or(0)};
    }
    all.push_back(*guard);
  }
  return all;
}

base::Result<StoredPage> Table::scan(const std::string& cursor, std::size_t limit) {
  std::int64_t after = INT64_MIN;
  if (!cursor.empty()) {
    const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), after);
    if (error != std::errc() || end != cursor.data() + cursor.size()) {
      return base::fail(ErrorKind::Usage, "a scan cursor that is none of this target");
    }
  }
  if (auto looked = look_again(); !looked) return base::fail(std::move(looked.error()));
  auto statement = use(Scan);
  if (!statement) return base::fail(std::move(statement.error()));
  const Reset reset(**statement);
  (*statement)->bind(1, after);
  (*statement)->bind(2, static_cast<std::int64_t>(limit));
  StoredPage page;
  std::size_t bytes = 0;
  int code = SQLITE_ROW;
  while (bytes < kScanBytesMax && (code = (*statement)->step()) == SQLITE_ROW) {
    auto item = item_in(**statement, 1, &bytes);
    if (!item) return base::fail(std::move(item.error()));
    auto key = item::key_of(key_, *item);
    if (!key)
      return base::fail(ErrorKind::TargetChanged, "table \"" + name_ + "\" holds a row without a key of the source");
    auto version = version_of_row(key->encoded());
    if (!version) return base::fail(std::move(version.error()));
    after = (*statement)->integer(0);
    page.items.emplace_back(std::move(*key), Stored{std::move(*item), *version});
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) return base::fail(connection_.error(code, "cannot scan"));
  if (page.items.size() == limit || code == SQLITE_ROW) page.next = std::to_string(after);
  return page;
}

base::Result<std::uint64_t> Table::live_rows() {
  auto statement = connection_.prepare("SELECT count(*) FROM " + schema::sqlite_quoted(name_));
  if (!statement) return base::fail(std::move(statement.error()));
  const int code = statement->step();
  if (code != SQLITE_ROW) return base::fail(connection_.error(code, "cannot count"));
  return static_cast<std::uint64_t>(statement->integer(0));
}

}  // namespace moveout::target::sqlite
