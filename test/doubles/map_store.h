// MapStore: state::Store as a map, for unit tests.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "state/store.h"

namespace moveout::test {

class MapStore final : public state::Store {
 public:
  base::Task<base::Result<state::Rows>> read(std::string prefix) override {
    state::Rows found;
    for (const auto& [name, value] : rows) {
      if (name.starts_with(prefix)) found[name] = value;
    }
    co_return found;
  }
  base::Task<base::Result<>> commit(std::vector<state::Put> puts, std::vector<state::Expect> expects) override {
    for (const state::Expect& expect : expects) {
      const auto at = rows.find(expect.name);
      if (expect.value != (at == rows.end() ? std::nullopt : std::optional(at->second))) {
        co_return base::fail(base::ErrorKind::Conflict, expect.name);
      }
    }
    for (const state::Put& put : puts) put.value ? void(rows[put.name] = *put.value) : void(rows.erase(put.name));
    ++commits;
    co_return base::Result<>();
  }

  state::Rows rows;
  int commits = 0;
};

}  // namespace moveout::test
