#include "move/names.h"

#include <fmt/format.h>

#include "item/hash.h"

namespace moveout::move {

std::string file_name(const std::string& table) {
  constexpr std::size_t kBytesMax = 200;
  std::string name = table.substr(0, kBytesMax);
  for (char& c : name) {
    if (c == '/' || c == ':') c = '_';
  }
  return name == table ? name : name + fmt::format("-{:016x}", item::hash_of(table, 0).high);
}

std::map<std::string, std::string> checkpoints_of(const std::map<std::string, std::string>& all, const std::string& era,
                                                  const std::string& kind) {
  std::map<std::string, std::string> some;
  for (auto it = all.lower_bound(era + kind); it != all.end() && it->first.starts_with(era + kind); ++it) {
    some.emplace(it->first.substr(era.size()), it->second);
  }
  return some;
}

}  // namespace moveout::move
