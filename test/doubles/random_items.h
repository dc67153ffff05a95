// Random items of every type, and the smallest changes that make another item of one. All from base::Rng.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "item/key.h"
#include "item/value.h"

namespace moveout::test {

inline std::string random_text(base::Rng& rng) {
  static constexpr const char* kPieces[] = {"", "a", "B", "\xC3\xA9", "\n", "\"", "\\", "\xF0\x9F\x8D\x8B", "zz"};
  std::string out;
  for (std::uint64_t n = rng.below(5); n > 0; --n) out += kPieces[rng.below(std::size(kPieces))];
  if (rng.chance(8)) out += '\0';
  return out;
}
inline std::string random_bytes(base::Rng& rng) {
  std::string out;
  for (std::uint64_t n = rng.below(9); n > 0; --n) out += static_cast<char>(rng.below(256));
  return out;
}
inline item::Number random_number(base::Rng& rng) {
  if (rng.chance(3)) return item::Number::of(static_cast<std::int64_t>(rng.below(20)) - 10);
  std::string text = rng.chance(2) ? "-" : "";
  text += static_cast<char>('1' + rng.below(9));
  for (std::uint64_t n = rng.below(37); n > 0; --n) text += static_cast<char>('0' + rng.below(10));
  text += "E" + std::to_string(static_cast<std::int64_t>(rng.below(120)) - 90);
  return item::Number::parse(text).value();
}

template <class T>
void sort_unique(std::vector<T>& members) {
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
}

inline item::Value random_value(base::Rng& rng, int depth = 0) {
  switch (rng.below(depth < 4 ? 10 : 8)) {
    case 0:
      return item::Value(random_text(rng));
    case 1:
      return item::Value(random_number(rng));
    case 2:
      return item::Value(item::Binary{random_bytes(rng)});
    case 3:
      return item::Value(rng.chance(2));
    case 4:
      return item::Value(item::Null{});
    case 5: {
      item::StringSet set;
      for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) set.members.push_back(random_text(rng));
      sort_unique(set.members);
      return item::Value(std::move(set));
    }
    case 6: {
      item::NumberSet set;
      for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) set.members.push_back(random_number(rng));
      sort_unique(set.members);
      return item::Value(std::move(set));
    }
    case 7: {
      item::BinarySet set;
      for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) set.members.push_back({random_bytes(rng)});
      sort_unique(set.members);
      return item::Value(std::move(set));
    }
    case 8: {
      item::List list;
      for (std::uint64_t n = rng.below(4); n > 0; --n) list.push_back(random_value(rng, depth + 1));
      return item::Value(std::move(list));
    }
    default: {
      item::Map map;
      for (std::uint64_t n = rng.below(4); n > 0; --n) map["m" + random_text(rng)] = random_value(rng, depth + 1);
      return item::Value(std::move(map));
    }
  }
}

// Partition S "id", sort N "n".
inline item::KeySchema two_part_key() { return {{"id", item::KeyType::S}, item::KeyAttribute{"n", item::KeyType::N}}; }

inline item::Item random_item(base::Rng& rng, std::uint64_t number) {
  item::Item item;
  for (std::uint64_t n = rng.below(6); n > 0; --n) item["a" + random_text(rng)] = random_value(rng);
  item["id"] = item::Value("k" + std::to_string(number / 3));
  item["n"] = item::Value(item::Number::of(static_cast<std::int64_t>(number % 3) - 1));
  return item;
}

// One small change somewhere outside the key; never equal to the item given.
inline item::Item changed_item(base::Rng& rng, const item::Item& item) {
  for (;;) {
    item::Item out = item;
    std::vector<std::string> names;
    for (const auto& [name, value] : item) {
      if (name != "id" && name != "n") names.push_back(name);
    }
    const std::uint64_t how = names.empty() ? 0 : rng.below(4);
    if (how == 0) {
      out["new" + random_text(rng)] = random_value(rng);
    } else if (how == 1) {
      out.erase(names[rng.below(names.size())]);
    } else if (how == 2) {
      out[names[rng.below(names.size())]] = random_value(rng);
    } else {
      const std::string name = names[rng.below(names.size())];
      item::Value value = out.at(name);
      out.erase(name);
      out[name + "x"] = std::move(value);
    }
    if (out != item) return out;
  }
}

}  // namespace moveout::test
