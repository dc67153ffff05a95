// PoisonStore: what was set aside because the target can never hold it; one row a key, the newest image.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "item/version.h"
#include "state/store.h"

namespace moveout::state {

struct PoisonRow {
  std::string key;  // item::Key::encoded()
  item::Version version;
  std::string reason;
  std::string image;  // DynamoDB JSON; empty for a delete
  friend bool operator==(const PoisonRow&, const PoisonRow&) = default;
};

// Rows "quarantine/<table>/<key hash>", each a JSON object {version, reason, key (base64), image}. Single executor.
class PoisonStore {
 public:
  PoisonStore(Store& store, std::string_view table);
  // Reads what an earlier process set aside. Before anything else. Corrupt as Store::read, or for a row not ours.
  base::Task<base::Result<>> load();
  // Durable when it returns. An older image, or one of the same version, never replaces another.
  base::Task<base::Result<>> put(std::vector<PoisonRow> rows);
  // A newer write of the key was applied: what was set aside before it no longer matters. Durable when it returns;
  // costs nothing while nothing is set aside.
  base::Task<base::Result<>> resolve(std::vector<std::pair<std::string, item::Version>> applied);
  // Whether put() would keep it: nothing of the key stands there, or something older.
  bool is_news(const PoisonRow& row) const;
  // Both sides were seen to hold the same for these keys: what was set aside by these versions is history, a newer one
  // is not. Durable when it returns.
  base::Task<base::Result<>> forget(std::vector<std::pair<std::string, item::Version>> keys);
  // The keys, encoded, and the version that was set aside of each.
  std::vector<std::pair<std::string, item::Version>> held() const;
  // Whether resolve() would have anything to do for this key.
  bool holds(std::string_view key) const;
  std::size_t count() const { return versions_.size(); }
  // How many rows of before were replaced or removed since load().
  std::uint64_t replaced() const { return replaced_; }
  base::Task<base::Result<std::vector<PoisonRow>>> list();

 private:
  std::string row_name(std::string_view key) const;
  base::Task<base::Result<>> remove(std::vector<std::pair<std::string, item::Version>> rows);

  Store& store_;
  std::string prefix_;
  std::map<std::string, item::Version, std::less<>> versions_;  // by encoded key
  std::uint64_t replaced_ = 0;
};

}  // namespace moveout::state
