// MapTarget: a guarded target that is a map, for unit tests. Newest version wins; what it hears can be inspected.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "item/json.h"
#include "target/target.h"

namespace moveout::test {

class MapTarget final : public target::Target {
 public:
  struct Row {
    std::optional<item::Item> item;  // nothing: a tombstone
    item::Version version;
  };

  void put(const item::Key& key, item::Item item, item::Version version = {}) {
    rows[key] = Row{std::move(item), version};
  }

  base::Task<base::Result<target::Opened>> open(std::string, std::int64_t, target::Layout, target::Mode,
                                                bool) override {
    co_return target::Opened{};
  }
  base::Task<base::Result<target::Opened>> open_reader(target::Layout) override { co_return target::Opened{}; }

  base::Task<base::Result<std::optional<std::string>>> checkpoint(std::string name) override {
    if (before) {
      if (const std::optional<base::Error> error = before("checkpoint")) co_return base::fail(*error);
    }
    const auto found = checkpoints.find(name);
    co_return found == checkpoints.end() ? std::nullopt : std::optional(found->second);
  }

  base::Task<base::Result<target::Outcomes>> apply(item::Batch batch, target::Checkpoints moved) override {
    if (before) {
      if (const std::optional<base::Error> error = before("apply")) co_return base::fail(*error);
    }
    if (delay) co_await delay();
    target::Outcomes outcomes;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const item::Write write = batch[i];
      if (on_write) on_write(write);
      const item::Key key = item::Key::from_encoded(std::string(write.key)).value();
      const auto row = rows.find(key);
      if (row != rows.end() && row->second.version >= write.version) {
        outcomes.each.push_back(target::Outcome::Stale);
        continue;
      }
      std::optional<item::Item> item;
      if (!write.is_delete()) item = item::parse_item(write.image).value();
      rows[key] = Row{std::move(item), write.version};
      outcomes.each.push_back(target::Outcome::Applied);
    }
    for (const target::Checkpoint& checkpoint : moved) {
      checkpoints[checkpoint.name] = checkpoint.value;
      if (on_checkpoint) on_checkpoint(checkpoint);
    }
    batches.push_back(batch.size());
    co_return outcomes;
  }

  base::Task<base::Result<std::vector<std::optional<target::Stored>>>> read(std::vector<item::Key> keys) override {
    if (before) {
      if (const std::optional<base::Error> error = before("read")) co_return base::fail(*error);
    }
    std::vector<std::optional<target::Stored>> out;
    for (const item::Key& key : keys) {
      const auto row = rows.find(key);
      if (row == rows.end() || !row->second.item) {
        out.emplace_back();
      } else {
        out.push_back(target::Stored{*row->second.item, row->second.version});
      }
    }
    co_return out;
  }

  base::Task<base::Result<std::vector<std::optional<item::Version>>>> versions(std::vector<item::Key> keys) override {
    if (before) {
      if (const std::optional<base::Error> error = before("versions")) co_return base::fail(*error);
    }
    std::vector<std::optional<item::Version>> out;
    for (const item::Key& key : keys) {
      const auto row = rows.find(key);
      out.push_back(row == rows.end() ? std::nullopt : std::optional(row->second.version));
    }
    co_return out;
  }

  base::Task<base::Result<target::StoredPage>> scan(std::string cursor, std::size_t limit) override {
    if (before) {
      if (const std::optional<base::Error> error = before("scan")) co_return base::fail(*error);
    }
    target::StoredPage page;
    auto row = cursor.empty() ? rows.begin() : rows.upper_bound(item::Key::from_encoded(cursor).value());
    for (; row != rows.end() && page.items.size() < std::min(limit, page_rows); ++row) {
      if (!row->second.item) continue;
      page.items.emplace_back(row->first, target::Stored{*row->second.item, row->second.version});
      page.next = row->first.encoded();
    }
    if (row == rows.end()) {
      page.next.clear();
      for (const auto& [key, extra] : twice) page.items.emplace_back(key, extra);
    }
    co_return page;
  }

  base::Task<base::Result<std::optional<std::uint64_t>>> live_rows() override {
    co_return std::optional<std::uint64_t>(rows.size());
  }
  base::Task<base::Result<>> seal() override { co_return base::Result<>(); }
  base::Task<base::Result<>> finish() override { co_return base::Result<>(); }
  std::optional<std::string> refusal(const item::Write&) const override { return std::nullopt; }
  target::Guard guard() const override { return target::Guard::PerWrite; }
  bool commits_checkpoints() const override { return true; }

  std::map<item::Key, Row> rows;
  std::map<std::string, std::string> checkpoints;
  std::vector<std::size_t> batches;
  std::size_t page_rows = 11;
  // Rows that a scan shows beside those of the map: what a target without a key could hold.
  std::vector<std::pair<item::Key, target::Stored>> twice;
  std::function<std::optional<base::Error>(const std::string& call)> before;
  std::function<base::Task<>()> delay;  // of an apply
  std::function<void(const item::Write& write)> on_write;
  std::function<void(const target::Checkpoint& checkpoint)> on_checkpoint;
};

}  // namespace moveout::test
