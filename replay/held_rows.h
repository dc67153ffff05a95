// HeldRows: changes that the position of replay has moved over although nobody knows yet what became of them, each in a
// row beside the position: its key is held, and the others' pages need not wait for it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "item/change.h"
#include "target/target.h"

namespace moveout::replay {

// Before the names of such rows.
inline constexpr std::string_view kHeldPrefix = "journal/held/";

std::string held_row_name(std::string_view key);
std::string held_row_text(const item::Change& change);
base::Result<item::Change> held_row_of(std::string_view text);  // Corrupt

// Which rows stand. Keys are item::Key::encoded().
class HeldRows {
 public:
  // So many keys and bytes at most: the rows are read at each start.
  static constexpr std::size_t kKeysMax = 1000;
  static constexpr std::size_t kBytesMax = 4 << 20;

  // Rows that an earlier process left: of page 0.
  void found(const std::string& key, std::size_t bytes) { rows_[key] = {0, bytes}; }
  bool holds(const std::string& key) const { return rows_.contains(key); }
  bool empty() const { return rows_.empty(); }
  bool holds(const std::string& key, std::uint64_t page) const {
    const auto at = rows_.find(key);
    return at != rows_.end() && at->second.page == page;
  }
  std::vector<std::string> keys() const;

  // What a commit is to change: rows of these (key, page) pairs, and no others. False: that would be too much.
  struct Wanted {
    const item::Change* change = nullptr;
    std::uint64_t page = 0;
  };
  bool plan(const std::map<std::string, Wanted>& wanted, target::Checkpoints& changes);
  // The planned changes are durable.
  void committed() { rows_ = std::move(planned_); }

 private:
  struct Row {
    std::uint64_t page = 0;
    std::size_t bytes = 0;
  };
  std::map<std::string, Row> rows_, planned_;
};

}  // namespace moveout::replay
