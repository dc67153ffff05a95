#include "schema/columns.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/json.h"
#include "item/json.h"

namespace moveout::schema {
namespace {

using base::ErrorKind;
using item::Type;

constexpr std::size_t kColumnsMax = 64;     // beside the keys
constexpr std::size_t kNameBytesMax = 255;  // longer names stay in the overflow: 64 of them must fit into one statement
constexpr std::size_t kNamesKeptMax = 16384;  // a bound for tables whose attribute names are data

// SQLite compares names so: ASCII letters without case, all else as bytes.
std::string folded(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// What moveout needs for itself in every table.
bool is_ours(std::string_view folded_name) {
  return folded_name == "attributes" || folded_name.starts_with("_moveout_");
}

// Besides: the names by which SQLite's rows are counted, of which the scan needs one.
bool can_be_column(std::string_view name) {
  const std::string low = folded(name);
  return !name.empty() && name.size() <= kNameBytesMax && name.find('\0') == std::string_view::npos && !is_ours(low) &&
         low != "rowid" && low != "oid" && low != "_rowid_";
}

Type type_of(item::KeyType type) {
  switch (type) {
    case item::KeyType::S:
      return Type::S;
    case item::KeyType::N:
      return Type::N;
    case item::KeyType::B:
      return Type::B;
  }
  return Type::S;
}

bool is_scalar(Type type) { return type == Type::S || type == Type::N || type == Type::B || type == Type::Bool; }

std::optional<Type> scalar_of(std::string_view tag) {
  for (const Type type : {Type::S, Type::N, Type::B, Type::Bool}) {
    if (tag == item::tag_of(type)) return type;
  }
  return std::nullopt;
}

std::uint64_t total_of(const std::map<Type, std::uint64_t>& counts) {
  std::uint64_t total = 0;
  for (const auto& [type, count] : counts) total += count;
  return total;
}

}  // namespace

std::string to_text(const Columns& columns) {
  base::json::array array;
  for (const Column& column : columns.columns) {
    base::json::object object;
    object["name"] = column.attribute;
    object["type"] = item::tag_of(column.type);
    if (column.key) object["key"] = true;
    array.push_back(std::move(object));
  }
  return base::json::serialize(array);
}

base::Result<Columns> from_text(std::string_view text) {
  const auto damaged = [] { return base::fail(ErrorKind::Corrupt, "the kept list of columns is not one"); };
  auto json = base::parse_json(text);
  if (!json || !json->is_array()) return damaged();
  Columns columns;
  for (const auto& entry : json->as_array()) {
    if (!entry.is_object()) return damaged();
    const auto* name = entry.as_object().if_contains("name");
    const auto* type = entry.as_object().if_contains("type");
    const auto* key = entry.as_object().if_contains("key");
    if (!name || !name->is_string() || !type || !type->is_string() || (key && !key->is_bool())) return damaged();
    const std::optional<Type> scalar = scalar_of(std::string_view(type->as_string()));
    if (!scalar) return damaged();
    columns.columns.push_back({std::string(std::string_view(name->as_string())), *scalar, key && key->as_bool()});
  }
  return columns;
}

base::Result<> Sampler::see(std::string_view item_json) {
  auto walked = item::for_each_attribute(
      item_json, [this](std::string_view name, Type type, std::string_view) { ++counts_[std::string(name)][type]; });
  if (!walked) return walked;
  ++seen_;
  if (counts_.size() > kNamesKeptMax) {
    // Rare names: at most ten times the attributes of an item can be in every tenth one.
    std::erase_if(counts_, [this](const auto& entry) { return total_of(entry.second) * 10 < seen_; });
  }
  return {};
}

Columns Sampler::columns(Dialect dialect) const {
  MOVEOUT_ASSERT(dialect == Dialect::Sqlite);
  Columns columns = keys_only(key_);
  struct Candidate {
    std::uint64_t count;
    std::string_view name;
    Type type;
  };
  std::vector<Candidate> candidates;
  for (const auto& [name, counts] : counts_) {
    const std::uint64_t total = total_of(counts);
    if (total * 10 < seen_ || !can_be_column(name)) continue;
    const auto most = std::max_element(counts.begin(), counts.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (is_scalar(most->first)) candidates.push_back({total, name, most->first});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.count != b.count ? a.count > b.count : a.name < b.name;
  });
  std::set<std::string> taken;
  for (const Column& column : columns.columns) taken.insert(folded(column.attribute));
  std::vector<Column> chosen;
  for (const Candidate& candidate : candidates) {
    if (chosen.size() == kColumnsMax) break;
    if (taken.insert(folded(candidate.name)).second) {
      chosen.push_back({std::string(candidate.name), candidate.type, /*key=*/false});
    }
  }
  std::sort(chosen.begin(), chosen.end(), [](const Column& a, const Column& b) { return a.attribute < b.attribute; });
  columns.columns.insert(columns.columns.end(), chosen.begin(), chosen.end());
  return columns;
}

Columns keys_only(const item::KeySchema& key) {
  Columns columns;
  columns.columns.push_back({key.partition.name, type_of(key.partition.type), /*key=*/true});
  if (key.sort) columns.columns.push_back({key.sort->name, type_of(key.sort->type), /*key=*/true});
  return columns;
}

base::Result<> check_keys(const item::KeySchema& key, Dialect dialect) {
  MOVEOUT_ASSERT(dialect == Dialect::Sqlite);
  const auto refuse = [](const std::string& name, const std::string& why) {
    return base::fail(ErrorKind::Usage, "key attribute \"" + name + "\" cannot be a column in SQLite: " + why +
                                            ". It would have to be renamed on its way (transform), which this version "
                                            "does not do");
  };
  std::vector<const item::KeyAttribute*> attributes{&key.partition};
  if (key.sort) attributes.push_back(&*key.sort);
  for (const item::KeyAttribute* attribute : attributes) {
    if (is_ours(folded(attribute->name))) return refuse(attribute->name, "moveout needs that name for itself");
    if (attribute->name.find('\0') != std::string::npos) {
      return base::fail(ErrorKind::Usage, "a key attribute's name holds U+0000: it cannot be a column in SQLite");
    }
  }
  if (key.sort && folded(key.partition.name) == folded(key.sort->name)) {
    return refuse(key.sort->name, "it differs from \"" + key.partition.name + "\" in case only");
  }
  return {};
}

base::Result<> check_table_name(std::string_view table, Dialect dialect) {
  MOVEOUT_ASSERT(dialect == Dialect::Sqlite);
  const std::string low = folded(table);
  std::string why;
  if (table.empty()) why = "it is empty";
  if (table.find('\0') != std::string_view::npos) why = "it holds U+0000";
  if (low.starts_with("sqlite_")) why = "SQLite keeps names that begin with sqlite_ for itself";
  if (low.starts_with("_moveout_")) why = "moveout keeps names that begin with _moveout_ for itself";
  if (why.empty()) return {};
  return base::fail(ErrorKind::Usage, "SQLite cannot hold a table named \"" + std::string(table) + "\": " + why +
                                          "; name another with to: (or ?table= in the URL)");
}

}  // namespace moveout::schema
