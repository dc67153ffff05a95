#include "aws/dynamodb.h"

#include <fmt/format.h>

#include "aws/answers.h"
#include "aws/walk.h"
#include "base/mutant.h"
#include "item/json.h"
#include "item/slice.h"

namespace moveout::aws {
namespace {

namespace json = base::json;
using base::ErrorKind;
using Body = std::shared_ptr<const std::string>;

// So many answers without one item, and a batch counts as throttled.
constexpr int kEmptyAnswersMax = 10;

std::string json_text(std::string_view text) {
  std::string out;
  item::append_json_string(out, text);
  return out;
}

std::string subject_of(const std::string& table) { return "table " + json_text(table); }

std::string table_body(const std::string& table) { return "{\"TableName\":" + json_text(table) + "}"; }

// Some targets do not know ReturnConsumedCapacity: then the call is made without.
bool refuses_capacity(const base::Error& error) {
  if (base::mutant("capacity_refusal_is_final")) return false;
  return error.kind == ErrorKind::Usage && error.what.find("ConsumedCapacity") != std::string::npos;
}

base::Result<item::KeyType> key_type(std::string_view letter) {
  if (letter == "S") return item::KeyType::S;
  if (letter == "N") return item::KeyType::N;
  if (letter == "B") return item::KeyType::B;
  return base::fail(ErrorKind::Corrupt, "a key attribute that is neither S nor N nor B");
}

base::Result<item::KeySchema> key_schema_of(const json::object& table) {
  const json::array* keys = array_in(table, "KeySchema");
  const json::array* attributes = array_in(table, "AttributeDefinitions");
  if (keys == nullptr || attributes == nullptr) return base::fail(ErrorKind::Corrupt, "a table without its key schema");
  item::KeySchema schema;
  for (const json::value& key : *keys) {
    if (!key.is_object()) return base::fail(ErrorKind::Corrupt, "KeySchema holds something else than objects");
    const auto name = required_text_in(key.as_object(), "AttributeName");
    const auto role = required_text_in(key.as_object(), "KeyType");
    if (!name) return base::fail(name.error());
    if (!role) return base::fail(role.error());
    std::optional<item::KeyType> type;
    for (const json::value& attribute : *attributes) {
      if (!attribute.is_object() || text_in(attribute.as_object(), "AttributeName") != *name) continue;
      const auto letter = text_in(attribute.as_object(), "AttributeType");
      const auto parsed = key_type(letter ? *letter : "");
      if (!parsed) return base::fail(parsed.error());
      type = *parsed;
    }
    if (!type) return base::fail(ErrorKind::Corrupt, "a key attribute without a definition");
    if (*role == "HASH") {
      schema.partition = {*name, *type};
    } else {
      schema.sort = item::KeyAttribute{*name, *type};
    }
  }
  if (schema.partition.name.empty()) return base::fail(ErrorKind::Corrupt, "a table without a partition key");
  return schema;
}

base::Result<TableDescription> table_of(std::string_view body) {
  const auto top = read_object(body);
  if (!top) return base::fail(top.error());
  const json::object* table = object_in(*top, "Table");
  if (table == nullptr) return base::fail(ErrorKind::Corrupt, "an answer without Table");
  TableDescription out;
  struct Text {
    std::string_view name;
    std::string& out;
  };
  for (const Text& text : {Text{"TableName", out.name}, Text{"TableArn", out.arn}, Text{"TableId", out.id},
                           Text{"TableStatus", out.status}, Text{"LatestStreamArn", out.stream_arn}}) {
    auto value = text_in(*table, text.name);
    if (!value) return base::fail(value.error());
    text.out = std::move(*value);
  }
  if (out.name.empty()) return base::fail(ErrorKind::Corrupt, "a table without its name");
  auto key = key_schema_of(*table);
  if (!key) return base::fail(key.error());
  out.key = std::move(*key);
  out.created = instant_in(*table, "CreationDateTime");
  out.item_count = integer_in(*table, "ItemCount");
  out.size_bytes = integer_in(*table, "TableSizeBytes");
  if (const json::object* stream = object_in(*table, "StreamSpecification")) {
    out.stream_enabled = bool_in(*stream, "StreamEnabled");
    auto view = text_in(*stream, "StreamViewType");
    if (!view) return base::fail(view.error());
    out.stream_view_type = std::move(*view);
  }
  auto shape = shape_of(*table);
  if (!shape) return base::fail(shape.error());
  out.shape = std::make_shared<const TableShape>(std::move(*shape));
  return out;
}

std::string scan_body(const ScanRequest& request, bool ask_capacity) {
  std::string body = fmt::format("{{\"TableName\":{}", json_text(request.table));
  if (request.total_segments > 1) {
    body += fmt::format(",\"Segment\":{},\"TotalSegments\":{}", request.segment, request.total_segments);
  }
  if (request.consistent) body += ",\"ConsistentRead\":true";
  if (request.limit > 0) body += fmt::format(",\"Limit\":{}", request.limit);
  if (ask_capacity) body += ",\"ReturnConsumedCapacity\":\"TOTAL\"";
  if (!request.start_key.empty()) body += ",\"ExclusiveStartKey\":" + request.start_key;
  body += '}';
  return body;
}

// `page` is scratch memory.
base::Result<ItemsPage> items_page_of(const Body& body, const std::optional<item::KeySchema>& key, item::Page& page) {
  const bool keyed = key && item::slice_page(*body, *key, page);
  if (!keyed) {
    const base::Result<> sliced = item::slice_page(*body, page);
    // One item that nobody understands must not stop the others.
    if (!sliced && !item::slice_page_loosely(*body, page)) return base::fail(sliced.error());
  }
  // The next page has about as many items.
  std::vector<std::string_view> room;
  room.reserve(page.items.size());
  return ItemsPage{body, std::exchange(page.items, std::move(room)), std::string(page.last_evaluated_key),
                   page.consumed_capacity, page.take_keys()};
}

// ConsumedCapacity is an object, or a list of them in a batch's answer.
simdjson::error_code add_capacity(ondemand::value value, double* sum) {
  const auto add = [sum](ondemand::value one) {
    return each_member(one, [sum](std::string_view name, ondemand::value units) {
      double number = 0;
      if (name == "CapacityUnits" && units.get_double().get(number) == simdjson::SUCCESS) *sum += number;
      return simdjson::SUCCESS;
    });
  };
  ondemand::json_type type;
  if (const auto error = value.type().get(type)) return error;
  if (type == ondemand::json_type::array) return each_element(value, add);
  return type == ondemand::json_type::object ? add(value) : simdjson::SUCCESS;
}

struct BatchAnswer {
  Body body;  // holds the texts
  std::vector<std::string_view> items;
  std::string_view unprocessed;  // the text of UnprocessedKeys; empty when there are none
  double consumed = 0;
};

base::Result<BatchAnswer> batch_answer_of(const Body& body, const item::KeySchema& schema) {
  BatchAnswer out;
  out.body = with_padding(body);
  std::string_view items;
  const auto read = [&](std::string_view name, ondemand::value value) {
    if (name == "ConsumedCapacity") return add_capacity(value, &out.consumed);
    if (name == "UnprocessedKeys") return raw_object(value, &out.unprocessed);
    if (name != "Responses") return simdjson::SUCCESS;
    // One table was asked for, by its name or its ARN: whatever it is called, it is the only one.
    return each_member(value, [&items](std::string_view, ondemand::value table) {
      if (!items.empty()) return simdjson::INCORRECT_TYPE;
      ondemand::array array;
      if (const auto error = table.get_array().get(array)) return error;
      return array.raw_json().get(items);
    });
  };
  const base::Result<> walked = walk_answer("a BatchGetItem answer", *out.body, read);
  if (!walked) return base::fail(walked.error());
  if (out.unprocessed.find_first_not_of("{} \t\r\n") == std::string_view::npos) out.unprocessed = {};
  if (!items.empty()) {
    item::Page page;
    const base::Result<> sliced = item::slice_items(items, schema, page);
    if (!sliced && !item::slice_items_loosely(items, page)) return base::fail(sliced.error());
    // What cannot be understood must still be one of those that were asked for.
    for (const std::string_view one : sliced ? std::vector<std::string_view>() : page.items) {
      if (!item::key_of_json(schema, one) && !item::key_of_unreadable(schema, one)) return base::fail(sliced.error());
    }
    out.items = std::move(page.items);
  }
  return out;
}

std::string batch_body(std::string_view request_items, bool ask_capacity) {
  std::string body = "{\"RequestItems\":";
  body += request_items;
  if (ask_capacity) body += ",\"ReturnConsumedCapacity\":\"TOTAL\"";
  body += '}';
  return body;
}

struct ItemAnswer {
  std::optional<std::string> item;
  double consumed = 0;
};

base::Result<ItemAnswer> item_answer_of(const Body& body) {
  ItemAnswer out;
  const Body padded = with_padding(body);
  std::string_view found;
  const auto read = [&](std::string_view name, ondemand::value value) {
    if (name == "ConsumedCapacity") return add_capacity(value, &out.consumed);
    return name == "Item" ? raw_item(value, &found) : simdjson::SUCCESS;
  };
  const base::Result<> walked = walk_answer("a GetItem answer", *padded, read);
  if (!walked) return base::fail(walked.error());
  if (!found.empty()) out.item = std::string(found);
  return out;
}

}  // namespace

base::Task<base::Result<TableDescription>> DynamoDb::describe_table(std::string table) {
  base::Result<TableDescription> description;
  CallOptions options;
  options.subject = subject_of(table);
  options.check = [&description](const Body& body) -> base::Result<> {
    description = table_of(*body);
    if (!description) return base::fail(description.error());
    return {};
  };
  const base::Result<Answer> answer = co_await client_.call("DescribeTable", table_body(table), std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return std::move(description);
}

base::Task<base::Result<ItemsPage>> DynamoDb::scan(ScanRequest request) {
  for (;;) {
    base::Result<ItemsPage> page;
    CallOptions options;
    options.return_throttles = request.return_throttles;
    options.subject = subject_of(request.table);
    options.check = [this, &page, &request](const Body& body) -> base::Result<> {
      page = items_page_of(body, request.key, scratch_);
      if (!page) return base::fail(page.error());
      return {};
    };
    const bool asked = ask_capacity_;
    const base::Result<Answer> answer = co_await client_.call("Scan", scan_body(request, asked), std::move(options));
    if (answer) co_return std::move(page);
    if (!asked || !refuses_capacity(answer.error())) co_return base::fail(answer.error());
    ask_capacity_ = false;
  }
}

base::Task<base::Result<ItemsPage>> DynamoDb::batch_get(std::string table, item::KeySchema schema,
                                                        std::vector<item::Key> keys, bool return_throttles) {
  if (keys.empty()) co_return ItemsPage{std::make_shared<const std::string>(), {}, {}, 0, {}};
  MOVEOUT_ASSERT(keys.size() <= 100);
  std::string wanted = "{" + json_text(table) + ":{\"ConsistentRead\":true,\"Keys\":[";
  for (const item::Key& key : keys) {
    item::append_json(wanted, key.attributes(schema));
    wanted += ',';
  }
  wanted.back() = ']';
  wanted += "}}";

  std::string items;                                      // of all answers, one after the other
  std::vector<std::pair<std::size_t, std::size_t>> ends;  // where each lies
  double consumed = 0;
  for (int idle = 0, round = 0; !wanted.empty();) {
    base::Result<BatchAnswer> read;
    CallOptions options;
    options.return_throttles = return_throttles && ends.empty();
    options.subject = subject_of(table);
    options.check = [&read, &schema](const Body& body) -> base::Result<> {
      read = batch_answer_of(body, schema);
      if (!read) return base::fail(read.error());
      return {};
    };
    const bool asked = ask_capacity_;
    const base::Result<Answer> answer =
        co_await client_.call("BatchGetItem", batch_body(wanted, asked), std::move(options));
    if (!answer) {
      if (!asked || !refuses_capacity(answer.error())) co_return base::fail(answer.error());
      ask_capacity_ = false;
      continue;
    }
    for (const std::string_view one : read->items) {
      ends.emplace_back(items.size(), one.size());
      items += one;
    }
    consumed += read->consumed;
    idle = read->items.empty() ? idle + 1 : 0;
    wanted = read->unprocessed;
    if (wanted.empty() || base::mutant("unprocessed_keys_dropped")) break;
    if (idle == kEmptyAnswersMax || (idle > 0 && return_throttles && ends.empty())) {
      co_return base::fail(ErrorKind::Throttled, fmt::format("BatchGetItem of {}: no key of {} was processed",
                                                             subject_of(table), keys.size()));
    }
    co_await client_.pause_before_retry(++round);
  }
  ItemsPage page;
  page.body = std::make_shared<const std::string>(std::move(items));
  for (const auto& [at, size] : ends) page.items.push_back(std::string_view(*page.body).substr(at, size));
  page.consumed_rcu = consumed;
  co_return page;
}

base::Task<base::Result<std::optional<std::string>>> DynamoDb::get_item(std::string table, item::KeySchema schema,
                                                                        item::Key key, double* consumed_rcu) {
  for (;;) {
    const bool asked = ask_capacity_;
    std::string body = fmt::format("{{\"TableName\":{},\"ConsistentRead\":true,\"Key\":", json_text(table));
    item::append_json(body, key.attributes(schema));
    body += asked ? ",\"ReturnConsumedCapacity\":\"TOTAL\"}" : "}";
    base::Result<ItemAnswer> read;
    CallOptions options;
    options.subject = subject_of(table);
    options.check = [&read](const Body& text) -> base::Result<> {
      read = item_answer_of(text);
      if (!read) return base::fail(read.error());
      return {};
    };
    const base::Result<Answer> answer = co_await client_.call("GetItem", std::move(body), std::move(options));
    if (answer) {
      if (consumed_rcu != nullptr) *consumed_rcu += read->consumed;
      co_return std::move(read->item);
    }
    if (!asked || !refuses_capacity(answer.error())) co_return base::fail(answer.error());
    ask_capacity_ = false;
  }
}

namespace {

base::Task<base::Result<>> set_stream(Client& client, std::string table, std::string specification) {
  CallOptions options;
  options.subject = subject_of(table);
  const base::Result<Answer> answer = co_await client.call(
      "UpdateTable", fmt::format("{{\"TableName\":{},\"StreamSpecification\":{}}}", json_text(table), specification),
      std::move(options));
  if (answer) co_return base::Result<>();
  // "Table already has an enabled stream: …" is a ValidationException on AWS, a ResourceInUseException elsewhere.
  base::Error error = answer.error();
  if (error.kind == ErrorKind::Usage &&
      (error.what.find("stream") != std::string::npos || error.what.find("Stream") != std::string::npos)) {
    error.kind = ErrorKind::Conflict;
  }
  co_return base::fail(std::move(error));
}

}  // namespace

base::Task<base::Result<>> DynamoDb::enable_stream(std::string table) {
  co_return co_await set_stream(client_, std::move(table),
                                R"({"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"})");
}

base::Task<base::Result<>> DynamoDb::disable_stream(std::string table) {
  co_return co_await set_stream(client_, std::move(table), R"({"StreamEnabled":false})");
}

namespace {

base::Result<> read_tables(std::string_view body, std::vector<std::string>* names, std::string* last) {
  const auto top = read_object(body);
  if (!top) return base::fail(top.error());
  const json::array* tables = array_in(*top, "TableNames");
  if (tables == nullptr) return base::fail(ErrorKind::Corrupt, "an answer without TableNames");
  names->clear();
  for (const json::value& name : *tables) {
    if (!name.is_string()) return base::fail(ErrorKind::Corrupt, "a table name that is not a text");
    names->emplace_back(name.as_string());
  }
  auto next = text_in(*top, "LastEvaluatedTableName");
  if (!next) return base::fail(next.error());
  *last = std::move(*next);
  return {};
}

// The attribute is read while the TTL is being switched on or off, too: deletes may come either way.
base::Result<std::string> ttl_of(std::string_view body) {
  const auto top = read_object(body);
  if (!top) return base::fail(top.error());
  const json::object* ttl = object_in(*top, "TimeToLiveDescription");
  if (ttl == nullptr) return base::fail(ErrorKind::Corrupt, "an answer without TimeToLiveDescription");
  const auto status = text_in(*ttl, "TimeToLiveStatus");
  if (!status) return base::fail(status.error());
  if (status->empty() || *status == "DISABLED") return std::string();
  return required_text_in(*ttl, "AttributeName");
}

}  // namespace

base::Task<base::Result<std::vector<std::string>>> DynamoDb::list_tables() {
  std::vector<std::string> all;
  std::string last;
  do {
    std::vector<std::string> names;
    CallOptions options;
    std::string next;
    options.check = [&names, &next](const Body& body) { return read_tables(*body, &names, &next); };
    std::string body = last.empty() ? "{}" : "{\"ExclusiveStartTableName\":" + json_text(last) + "}";
    const base::Result<Answer> answer = co_await client_.call("ListTables", std::move(body), std::move(options));
    if (!answer) co_return base::fail(answer.error());
    all.insert(all.end(), names.begin(), names.end());
    // A page that leads to itself would never end.
    if (next == last) break;
    last = std::move(next);
  } while (!last.empty());
  co_return all;
}

base::Task<base::Result<std::string>> DynamoDb::ttl_attribute(std::string table) {
  base::Result<std::string> attribute;
  CallOptions options;
  options.subject = subject_of(table);
  options.check = [&attribute](const Body& body) -> base::Result<> {
    attribute = ttl_of(*body);
    if (!attribute) return base::fail(attribute.error());
    return {};
  };
  const base::Result<Answer> answer =
      co_await client_.call("DescribeTimeToLive", table_body(table), std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return std::move(attribute);
}

}  // namespace moveout::aws
