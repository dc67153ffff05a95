// SmallDynamoDb: Scan, BatchGetItem, GetItem and DescribeTable of one table behind http::Transport, for unit tests.
// The simulator has the whole of it, with streams and faults of the network.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/rng.h"
#include "http/http.h"
#include "item/hash.h"
#include "item/json.h"
#include "item/key.h"

namespace moveout::test {

class SmallDynamoDb final : public http::Transport {
 public:
  struct Options {
    std::size_t page_items = 7;
    std::uint64_t throttle_one_in = 0;     // 400 ProvisionedThroughputExceeded
    std::uint64_t empty_page_one_in = 0;   // a page without items that is not the end
    std::uint64_t unprocessed_one_in = 0;  // keys of a BatchGetItem that come back
    bool capacity = true;                  // answers say what they cost
  };

  explicit SmallDynamoDb(item::KeySchema key, std::uint64_t seed = 1) : schema(std::move(key)), rng(seed) {}

  void put(const item::Item& item) { items[item::Key::of(schema, item).encoded()] = item; }
  void erase(const item::Key& key) { items.erase(key.encoded()); }

  base::Task<base::Result<http::Response>> send(http::Request request) override {
    co_await boost::asio::post(boost::asio::use_awaitable);  // others get their turn, as with a real one
    const std::string target(request.headers.get("X-Amz-Target"));
    const std::string operation = target.substr(target.find('.') + 1);
    ++calls[operation];
    const base::Result<base::json::value> body = base::parse_json(request.body);
    MOVEOUT_ASSERT(body.has_value());
    if (before) {
      const std::optional<base::Error> error = before(operation);
      if (error) co_return base::fail(*error);
    }
    if (rng.chance(options.throttle_one_in)) {
      ++throttled;
      co_return answer(400, R"({"__type":"x#ProvisionedThroughputExceededException","message":"slower"})");
    }
    const base::json::object& ask = body->as_object();
    if (operation == "Scan") co_return answer(200, scan(ask));
    if (operation == "BatchGetItem") co_return answer(200, batch_get(ask));
    if (operation == "DescribeTable") co_return answer(200, describe());
    if (operation == "DescribeTimeToLive" && ttl_attribute) {
      co_return answer(200, R"({"TimeToLiveDescription":{"TimeToLiveStatus":")" +
                                (ttl_attribute->empty() ? std::string("DISABLED\"")
                                                        : "ENABLED\",\"AttributeName\":\"" + *ttl_attribute + "\"") +
                                "}}");
    }
    co_return answer(400, R"({"__type":"x#UnknownOperationException","message":"no"})");
  }

  item::KeySchema schema;
  base::Rng rng;
  Options options;
  std::map<std::string, item::Item> items;  // by Key::encoded()
  std::string stream_arn;                   // empty: no stream
  // Texts to answer with instead of the canonical one, by Key::encoded().
  std::map<std::string, std::string> raw;
  // What eventual reads see; empty = the same.
  std::map<std::string, item::Item> stale;
  // Before each call, by its name: to change the table between two calls, or to fail.
  std::function<std::optional<base::Error>(const std::string& operation)> before;
  std::optional<std::string> ttl_attribute;  // empty: off; nothing: the server does not know the call
  std::map<std::string, int> calls;
  int throttled = 0;
  double consumed = 0;
  std::vector<std::pair<int, int>> segments_asked;  // Segment, TotalSegments

 private:
  static http::Response answer(int status, std::string body) {
    http::Response response;
    response.status = status;
    response.headers.add("Content-Type", "application/x-amz-json-1.0");
    response.body = std::make_shared<std::string>(std::move(body));
    return response;
  }
  std::string text_of(const std::string& key, const item::Item& item) const {
    const auto text = raw.find(key);
    return text != raw.end() ? text->second : item::to_json(item);
  }
  static std::uint64_t place(const std::string& key) { return item::hash_of(key, 42).high; }

  // A unit for each 4 KB read strongly, half of it else.
  std::string capacity(std::size_t bytes, bool strong) {
    const double units = static_cast<double>((bytes + 4095) / 4096) * (strong ? 1 : 0.5);
    consumed += units;
    if (!options.capacity) return "";
    return ",\"ConsumedCapacity\":{\"TableName\":\"t\",\"CapacityUnits\":" + std::to_string(units) + "}";
  }

  std::string scan(const base::json::object& ask) {
    const auto number = [&](const char* name, std::int64_t otherwise) {
      const base::json::value* value = ask.if_contains(name);
      return value != nullptr ? value->to_number<std::int64_t>() : otherwise;
    };
    const auto segments = static_cast<std::uint64_t>(number("TotalSegments", 1));
    const auto segment = static_cast<std::uint64_t>(number("Segment", 0));
    segments_asked.emplace_back(static_cast<int>(segment), static_cast<int>(segments));
    const base::json::value* strong = ask.if_contains("ConsistentRead");
    const bool consistent = strong != nullptr && strong->as_bool();
    const std::map<std::string, item::Item>& table = consistent || stale.empty() ? items : stale;
    std::size_t limit = options.page_items;
    if (ask.contains("Limit")) limit = std::min(limit, static_cast<std::size_t>(number("Limit", 0)));

    // Ranges of the hash, as partitions are.
    std::vector<std::pair<std::uint64_t, std::string>> order;
    for (const auto& [key, item] : table) {
      const std::uint64_t at = place(key);
      if (segments == 1 || at / (~0ULL / segments + 1) == segment) order.emplace_back(at, key);
    }
    std::sort(order.begin(), order.end());
    std::string start;
    if (const base::json::value* after = ask.if_contains("ExclusiveStartKey")) {
      start = item::key_of_json(schema, base::json::serialize(*after)).value().encoded();
    }
    auto at =
        start.empty() ? order.begin() : std::upper_bound(order.begin(), order.end(), std::pair(place(start), start));
    std::string out = "{\"Items\":[";
    std::size_t count = 0, bytes = 0;
    std::string last = start;
    const bool empty = rng.chance(options.empty_page_one_in);
    for (; !empty && at != order.end() && count < limit; ++at, ++count) {
      const std::string text = text_of(at->second, table.at(at->second));
      if (count > 0) out += ',';
      out += text;
      bytes += text.size();
      last = at->second;
    }
    out += "],\"Count\":" + std::to_string(count) + ",\"ScannedCount\":" + std::to_string(count);
    // As the real one, it does not always see that the end was reached.
    const bool more = at != order.end() || (count == limit && rng.chance(2));
    if (more && !last.empty()) {
      out += ",\"LastEvaluatedKey\":" + item::to_json(item::Key::from_encoded(last).value().attributes(schema));
    } else if (more) {
      // An empty first page: start before the first item.
      return scan(ask);
    }
    return out + capacity(bytes, consistent) + "}";
  }

  std::string batch_get(const base::json::object& ask) {
    const base::json::object& tables = ask.at("RequestItems").as_object();
    MOVEOUT_ASSERT(tables.size() == 1);
    const std::string name(tables.begin()->key());
    const base::json::object& table = tables.begin()->value().as_object();
    const base::json::array& keys = table.at("Keys").as_array();
    MOVEOUT_ASSERT(keys.size() >= 1 && keys.size() <= 100);
    MOVEOUT_ASSERT(table.at("ConsistentRead").as_bool());
    std::string found, left;
    std::size_t bytes = 0;
    std::map<std::string, bool> asked;
    for (const base::json::value& value : keys) {
      const std::string text = base::json::serialize(value);
      const std::string key = item::key_of_json(schema, text).value().encoded();
      MOVEOUT_ASSERT(asked.emplace(key, true).second);  // DynamoDB refuses a key twice
      if (rng.chance(options.unprocessed_one_in)) {
        left += (left.empty() ? "" : ",") + text;
        continue;
      }
      const auto item = items.find(key);
      if (item == items.end()) continue;
      const std::string image = text_of(key, item->second);
      bytes += image.size();
      found += (found.empty() ? "" : ",") + image;
    }
    std::string quoted;
    item::append_json_string(quoted, name);
    std::string out = "{\"Responses\":{" + quoted + ":[" + found + "]},\"UnprocessedKeys\":{";
    if (!left.empty()) out += quoted + ":{\"Keys\":[" + left + "],\"ConsistentRead\":true}";
    out += '}';
    if (!options.capacity) return out + "}";
    const double units = static_cast<double>((bytes + 4095) / 4096);
    consumed += units;
    return out + ",\"ConsumedCapacity\":[{\"TableName\":\"t\",\"CapacityUnits\":" + std::to_string(units) + "}]}";
  }

  std::string describe() {
    const auto attribute = [](const item::KeyAttribute& key) {
      return "{\"AttributeName\":\"" + key.name + "\",\"AttributeType\":\"" + static_cast<char>(key.type) + "\"}";
    };
    std::string out = "{\"Table\":{\"TableName\":\"t\",\"TableArn\":\"arn\",\"TableStatus\":\"ACTIVE\",\"ItemCount\":" +
                      std::to_string(items.size()) + ",\"TableSizeBytes\":0,\"CreationDateTime\":1.7e9,";
    out += "\"AttributeDefinitions\":[" + attribute(schema.partition);
    if (schema.sort) out += "," + attribute(*schema.sort);
    out += "],\"KeySchema\":[{\"AttributeName\":\"" + schema.partition.name + "\",\"KeyType\":\"HASH\"}";
    if (schema.sort) out += ",{\"AttributeName\":\"" + schema.sort->name + "\",\"KeyType\":\"RANGE\"}";
    out += "]";
    if (!stream_arn.empty()) {
      out +=
          R"(,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"},"LatestStreamArn":")" +
          stream_arn + "\"";
    }
    return out + "}}";
  }
};

}  // namespace moveout::test
