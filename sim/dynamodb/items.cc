// Server: the operations on items.
#include <fmt/format.h>

#include <cmath>
#include <set>

#include "sim/dynamodb/expressions.h"
#include "sim/dynamodb/server.h"

namespace moveout::sim {

namespace json = base::json;

namespace {

constexpr std::size_t kBatchGetMax = 100;
constexpr std::size_t kBatchWriteMax = 25;

// Read units: a strong read costs one for each 4 KB begun, an eventual one half.
double read_units(std::size_t bytes, bool consistent) {
  const double units = std::max<double>(1, std::ceil(static_cast<double>(bytes) / 4096));
  return consistent ? units : units / 2;
}

Api<std::string> consumed(const Server::Object& args, std::string_view table, double units, bool in_array) {
  auto wanted = string_arg(args, "ReturnConsumedCapacity", "NONE");
  if (!wanted) return wanted;
  if (*wanted == "NONE") return std::string();
  if (*wanted != "TOTAL") return refuse("ValidationException", "ReturnConsumedCapacity: TOTAL or NONE");
  const std::string one = fmt::format(R"({{"TableName":"{}","CapacityUnits":{}}})", table, units);
  return in_array ? fmt::format(R"(,"ConsumedCapacity":[{}])", one) : R"(,"ConsumedCapacity":)" + one;
}

Api<item::Item> checked_item(const item::KeySchema& schema, const json::value* value) {
  auto item = item_arg(value, "Item");
  if (!item) return item;
  if (auto key = whole_key(schema, *item, false); !key) return std::unexpected(key.error());
  if (item::item_size(*item) > item::kItemBytesMax) {
    return refuse("ValidationException", "Item size has exceeded the maximum allowed size");
  }
  return item;
}

}  // namespace

// A write of one item: its condition is looked at and it is written in one step. `change`: what stands (null: nothing)
// → what stands afterwards.
Api<std::string> Server::write_one(
    const Object& args, Table& table, const item::Key& key,
    const std::function<Api<std::optional<item::Item>>(const item::Item*, Expressions&)>& change) {
  auto wanted = string_arg(args, "ReturnValues", "NONE");
  if (!wanted) return wanted;
  if (*wanted != "NONE" && *wanted != "ALL_OLD") return refuse("ValidationException", "ReturnValues: NONE or ALL_OLD");
  const Text old = table.get(key);
  std::optional<item::Item> standing;
  if (old) standing = *item::parse_item(*old);
  Expressions expressions(args);
  auto holds = expressions.holds(standing ? &*standing : nullptr);
  if (!holds) return std::unexpected(holds.error());
  auto next = change(standing ? &*standing : nullptr, expressions);
  if (!next) return std::unexpected(next.error());
  if (auto used = expressions.all_used(); !used) return used;
  if (!*holds) return refuse("ConditionalCheckFailedException", "The conditional request failed");
  if (*next && item::item_size(**next) > item::kItemBytesMax) {
    return refuse("ValidationException", "Item size has exceeded the maximum allowed size");
  }
  if (*next) {
    table.put(**next);
  } else {
    table.erase(key);
  }
  return *wanted == "ALL_OLD" && old ? fmt::format(R"({{"Attributes":{}}})", *old) : std::string("{}");
}

Api<std::string> Server::put_item(const Object& args) {
  if (auto known =
          check_members(args, {"TableName", "Item", "ReturnValues", "ReturnConsumedCapacity", "ConditionExpression",
                               "ExpressionAttributeNames", "ExpressionAttributeValues"});
      !known) {
    return known;
  }
  auto table = active_table_of(args);
  if (!table) return std::unexpected(table.error());
  auto item = checked_item((*table)->spec().key, args.if_contains("Item"));
  if (!item) return std::unexpected(item.error());
  return write_one(args, **table, item::Key::of((*table)->spec().key, *item), [&item](const item::Item*, Expressions&) {
    return Api<std::optional<item::Item>>(std::move(*item));
  });
}

Api<std::string> Server::delete_item(const Object& args) {
  if (auto known =
          check_members(args, {"TableName", "Key", "ReturnValues", "ReturnConsumedCapacity", "ConditionExpression",
                               "ExpressionAttributeNames", "ExpressionAttributeValues"});
      !known) {
    return known;
  }
  auto table = active_table_of(args);
  if (!table) return std::unexpected(table.error());
  auto attributes = item_arg(args.if_contains("Key"), "Key");
  if (!attributes) return std::unexpected(attributes.error());
  auto key = whole_key((*table)->spec().key, *attributes, true);
  if (!key) return std::unexpected(key.error());
  return write_one(args, **table, *key,
                   [](const item::Item*, Expressions&) { return Api<std::optional<item::Item>>(std::nullopt); });
}

Api<std::string> Server::update_item(const Object& args) {
  if (auto known = check_members(args, {"TableName", "Key", "UpdateExpression", "ConditionExpression",
                                        "ExpressionAttributeNames", "ExpressionAttributeValues"});
      !known) {
    return known;
  }
  auto table = active_table_of(args);
  if (!table) return std::unexpected(table.error());
  auto attributes = item_arg(args.if_contains("Key"), "Key");
  if (!attributes) return std::unexpected(attributes.error());
  auto key = whole_key((*table)->spec().key, *attributes, true);
  if (!key) return std::unexpected(key.error());
  return write_one(args, **table, *key, [&](const item::Item* standing, Expressions& expressions) {
    item::Item next = standing != nullptr ? *standing : *attributes;
    auto updated = expressions.update(next, (*table)->spec().key);
    if (!updated) return Api<std::optional<item::Item>>(std::unexpected(updated.error()));
    return Api<std::optional<item::Item>>(std::move(next));
  });
}

Api<std::string> Server::get_item(const Object& args) {
  if (auto known = check_members(args, {"TableName", "Key", "ConsistentRead", "ReturnConsumedCapacity"}); !known) {
    return known;
  }
  auto table = active_table_of(args);
  if (!table) return std::unexpected(table.error());
  auto attributes = item_arg(args.if_contains("Key"), "Key");
  if (!attributes) return std::unexpected(attributes.error());
  auto key = whole_key((*table)->spec().key, *attributes, true);
  if (!key) return std::unexpected(key.error());
  auto consistent = bool_arg(args, "ConsistentRead", false);
  if (!consistent) return std::unexpected(consistent.error());
  const bool stale = !*consistent && faults_.strikes(Fault::StaleRead);
  const Micros by(stale ? rng_.below(static_cast<std::uint64_t>(options_.stale_max.count())) : 0);
  const auto row = (*table)->rows().find(place_of(key->encoded()));
  const Text state = row == (*table)->rows().end() ? nullptr : read(row->second, !stale, by);
  auto units = consumed(args, (*table)->spec().name, read_units(state ? state->size() : 0, *consistent), false);
  if (!units) return units;
  std::string out = "{";
  if (state) out += fmt::format(R"("Item":{})", *state);
  if (!units->empty()) out += state ? *units : units->substr(1);
  return out + "}";
}

Api<std::string> Server::batch_get_item(const Object& args) {
  if (auto known = check_members(args, {"RequestItems", "ReturnConsumedCapacity"}); !known) return known;
  const json::value* requests = args.if_contains("RequestItems");
  if (requests == nullptr || !requests->is_object() || requests->as_object().size() != 1) {
    return refuse("ValidationException", "RequestItems: a map of one table");
  }
  const auto& [table_name, ask] = *requests->as_object().begin();
  auto found_table = active(find(std::string_view(table_name.data(), table_name.size())));
  if (!found_table) return std::unexpected(found_table.error());
  Table* table = *found_table;
  if (!ask.is_object()) return refuse("SerializationException", "KeysAndAttributes must be a map");
  if (auto known = check_members(ask.as_object(), {"Keys", "ConsistentRead"}); !known) return known;
  auto consistent = bool_arg(ask.as_object(), "ConsistentRead", false);
  if (!consistent) return std::unexpected(consistent.error());
  const json::value* keys = ask.as_object().if_contains("Keys");
  if (keys == nullptr || !keys->is_array() || keys->as_array().empty() || keys->as_array().size() > kBatchGetMax) {
    return refuse("ValidationException", "Keys: 1 to 100");
  }
  const bool stale = !*consistent && faults_.strikes(Fault::StaleRead);
  const Micros by(stale ? rng_.below(static_cast<std::uint64_t>(options_.stale_max.count())) : 0);
  const bool partial = faults_.strikes(Fault::PartialBatch);
  std::set<std::string> seen;
  std::vector<std::string> found, unprocessed;
  double units = 0;
  for (const json::value& each : keys->as_array()) {
    auto attributes = item_arg(&each, "Key");
    if (!attributes) return std::unexpected(attributes.error());
    auto key = whole_key(table->spec().key, *attributes, true);
    if (!key) return std::unexpected(key.error());
    if (!seen.insert(key->encoded()).second) {
      return refuse("ValidationException", "Provided list of item keys contains duplicates");
    }
    if (partial && rng_.chance(2)) {
      unprocessed.push_back(item::to_json(*attributes));
      continue;
    }
    const auto row = table->rows().find(place_of(key->encoded()));
    const Text state = row == table->rows().end() ? nullptr : read(row->second, !stale, by);
    units += read_units(state ? state->size() : 0, *consistent);
    if (state) found.push_back(*state);
  }
  rng_.shuffle(found);
  auto capacity = consumed(args, table->spec().name, units, true);
  if (!capacity) return capacity;
  std::string rest;
  if (!unprocessed.empty()) {
    rest = fmt::format(R"("{}":{{"Keys":[{}],"ConsistentRead":{}}})", table->spec().name, fmt::join(unprocessed, ","),
                       *consistent);
  }
  return fmt::format(R"({{"Responses":{{"{}":[{}]}},"UnprocessedKeys":{{{}}}{}}})", table->spec().name,
                     fmt::join(found, ","), rest, *capacity);
}

Api<std::string> Server::batch_write_item(const Object& args) {
  if (auto known = check_members(args, {"RequestItems", "ReturnConsumedCapacity"}); !known) return known;
  const json::value* requests = args.if_contains("RequestItems");
  if (requests == nullptr || !requests->is_object() || requests->as_object().size() != 1) {
    return refuse("ValidationException", "RequestItems: a map of one table");
  }
  const auto& [table_name, writes] = *requests->as_object().begin();
  auto found_table = active(find(std::string_view(table_name.data(), table_name.size())));
  if (!found_table) return std::unexpected(found_table.error());
  Table* table = *found_table;
  if (!writes.is_array() || writes.as_array().empty() || writes.as_array().size() > kBatchWriteMax) {
    return refuse("ValidationException", "1 to 25 writes");
  }
  std::set<std::string> seen;
  std::vector<std::function<void()>> acts;
  std::vector<std::string> unprocessed;
  const bool partial = faults_.strikes(Fault::PartialBatch);
  for (const json::value& each : writes.as_array()) {
    if (!each.is_object() || each.as_object().size() != 1)
      return refuse("ValidationException", "PutRequest or DeleteRequest");
    const auto& [kind, body] = *each.as_object().begin();
    if (!body.is_object()) return refuse("SerializationException", "a request is a map");
    const bool put = kind == "PutRequest";
    if (!put && kind != "DeleteRequest") return refuse("ValidationException", "PutRequest or DeleteRequest");
    auto item = put ? checked_item(table->spec().key, body.as_object().if_contains("Item"))
                    : item_arg(body.as_object().if_contains("Key"), "Key");
    if (!item) return std::unexpected(item.error());
    auto key = whole_key(table->spec().key, *item, !put);
    if (!key) return std::unexpected(key.error());
    if (!seen.insert(key->encoded()).second) {
      return refuse("ValidationException", "Provided list of item keys contains duplicates");
    }
    if (partial && rng_.chance(2)) {
      unprocessed.push_back(json::serialize(each));
    } else if (put) {
      acts.push_back([table, moved = std::move(*item)] { table->put(moved); });
    } else {
      acts.push_back([table, moved = std::move(*key)] { table->erase(moved); });
    }
  }
  rng_.shuffle(acts);
  for (auto& act : acts) act();
  std::string rest;
  if (!unprocessed.empty()) rest = fmt::format(R"("{}":[{}])", table->spec().name, fmt::join(unprocessed, ","));
  return fmt::format(R"({{"UnprocessedItems":{{{}}}}})", rest);
}

Api<std::string> Server::scan(const Object& args) {
  if (auto known = check_members(args, {"TableName", "Segment", "TotalSegments", "ExclusiveStartKey", "ConsistentRead",
                                        "Limit", "ReturnConsumedCapacity"});
      !known) {
    return known;
  }
  auto table = active_table_of(args);
  if (!table) return std::unexpected(table.error());
  auto segment = int_arg(args, "Segment", -1);
  auto total = int_arg(args, "TotalSegments", -1);
  auto limit = int_arg(args, "Limit", INT32_MAX);
  auto consistent = bool_arg(args, "ConsistentRead", false);
  if (!segment) return std::unexpected(segment.error());
  if (!total) return std::unexpected(total.error());
  if (!limit) return std::unexpected(limit.error());
  if (!consistent) return std::unexpected(consistent.error());
  if ((*segment < 0) != (*total < 0)) return refuse("ValidationException", "Segment and TotalSegments go together");
  if (*total == -1) *segment = 0, *total = 1;
  if (*total < 1 || *total > 1'000'000 || *segment >= *total) return refuse("ValidationException", "TotalSegments");
  if (*limit < 1) return refuse("ValidationException", "Limit");
  const auto segment_of = [&](std::uint64_t hash) {
    return static_cast<std::int64_t>((static_cast<unsigned __int128>(hash) * static_cast<std::uint64_t>(*total)) >> 64);
  };
  const auto& rows = (*table)->rows();
  // The first hash of the segment, rounded up.
  const auto first = static_cast<std::uint64_t>(
      ((static_cast<unsigned __int128>(*segment) << 64) + static_cast<std::uint64_t>(*total) - 1) /
      static_cast<std::uint64_t>(*total));
  auto at = rows.lower_bound(Place{first, ""});
  if (const json::value* start = args.if_contains("ExclusiveStartKey")) {
    auto attributes = item_arg(start, "ExclusiveStartKey");
    if (!attributes) return std::unexpected(attributes.error());
    auto key = whole_key((*table)->spec().key, *attributes, true);
    if (!key) return std::unexpected(key.error());
    const Place place = place_of(key->encoded());
    if (segment_of(place.hash) != *segment) {
      return refuse("ValidationException",
                    "Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment.");
    }
    at = rows.upper_bound(place);
  }
  const bool stale = !*consistent && faults_.strikes(Fault::StaleRead);
  const Micros by(stale ? rng_.below(static_cast<std::uint64_t>(options_.stale_max.count())) : 0);
  std::string items, last;
  std::int64_t count = 0;
  std::size_t bytes = 0;
  std::int64_t page = std::min(*limit, static_cast<std::int64_t>(options_.page_items));
  if (faults_.strikes(Fault::ShortPage))
    page = std::min<std::int64_t>(page, 1 + static_cast<std::int64_t>(rng_.below(3)));
  // A page may be empty and still not the last: it names the key it began after.
  if (args.contains("ExclusiveStartKey") && faults_.strikes(Fault::EmptyPage)) {
    last = fmt::format(R"(,"LastEvaluatedKey":{})", json::serialize(args.at("ExclusiveStartKey")));
    page = 0;
  }
  for (; page > 0 && at != rows.end() && segment_of(at->first.hash) == *segment; ++at) {
    const Text state = read(at->second, !stale, by);
    if (!state) continue;
    if (count != 0) items += ',';
    items += *state;
    bytes += state->size();
    ++count;
    // As the real one: a page that is full names its last key even when nothing follows.
    if (count >= page || bytes >= options_.page_bytes) {
      last = fmt::format(R"(,"LastEvaluatedKey":{})", *at->second.keys);
      break;
    }
  }
  auto units = consumed(args, (*table)->spec().name, read_units(bytes, *consistent), false);
  if (!units) return units;
  return fmt::format(R"({{"Items":[{}],"Count":{},"ScannedCount":{}{}{}}})", items, count, count, last, *units);
}

}  // namespace moveout::sim
