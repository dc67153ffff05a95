// DynamoDb: making tables like others.
#include <utility>

#include "aws/answers.h"
#include "aws/dynamodb.h"
#include "base/json.h"
#include "item/json.h"

namespace moveout::aws {

namespace json = base::json;
using base::ErrorKind;
using base::Result;

namespace {

std::string quoted(std::string_view word, const std::string& name) {
  std::string out(word);
  out += ' ';
  item::append_json_string(out, name);
  return out;
}

base::Task<Result<>> change(Client& client, std::string operation, std::string body, std::string subject) {
  CallOptions options;
  options.subject = std::move(subject);
  const Result<Answer> answer = co_await client.call(std::move(operation), std::move(body), std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return Result<>();
}

Result<> read_tags(std::string_view body, DynamoDb::Tags* tags, std::string* next) {
  const auto top = read_object(body);
  if (!top) return base::fail(top.error());
  tags->clear();
  if (const json::array* list = array_in(*top, "Tags")) {
    for (const json::value& each : *list) {
      if (!each.is_object()) return base::fail(ErrorKind::Corrupt, "a tag that is no object");
      Result<std::string> key = required_text_in(each.as_object(), "Key");
      Result<std::string> value = text_in(each.as_object(), "Value");
      if (!key || !value) return base::fail(ErrorKind::Corrupt, "a tag without its key or value");
      tags->emplace_back(std::move(*key), std::move(*value));
    }
  }
  Result<std::string> token = text_in(*top, "NextToken");
  if (!token) return base::fail(token.error());
  *next = std::move(*token);
  return {};
}

}  // namespace

base::Task<Result<>> DynamoDb::create_table(TableShape shape, MakeTable how) {
  std::string subject = quoted("table", how.name);
  return change(client_, "CreateTable", create_table_body(shape, how), std::move(subject));
}

base::Task<Result<>> DynamoDb::add_index(TableShape shape, std::string table, Index index) {
  std::string subject = quoted("table", table) + quoted(", index", index.name);
  return change(client_, "UpdateTable", add_index_body(shape, table, index), std::move(subject));
}

base::Task<Result<DynamoDb::Tags>> DynamoDb::tags(std::string arn) {
  Tags all;
  std::string token;
  do {
    Tags some;
    std::string next;
    CallOptions options;
    options.subject = quoted("table", arn);
    options.check = [&some, &next](const std::shared_ptr<const std::string>& body) {
      return read_tags(*body, &some, &next);
    };
    json::object body{{"ResourceArn", arn}};
    if (!token.empty()) body["NextToken"] = token;
    const Result<Answer> answer =
        co_await client_.call("ListTagsOfResource", json::serialize(body), std::move(options));
    if (!answer) co_return base::fail(answer.error());
    all.insert(all.end(), some.begin(), some.end());
    // A page that leads to itself would never end.
    if (next == token) break;
    token = std::move(next);
  } while (!token.empty());
  co_return all;
}

base::Task<Result<>> DynamoDb::add_tags(std::string arn, Tags tags) {
  json::array list;
  for (const auto& [key, value] : tags) list.push_back(json::object{{"Key", key}, {"Value", value}});
  return change(client_, "TagResource", json::serialize(json::object{{"ResourceArn", arn}, {"Tags", std::move(list)}}),
                quoted("table", arn));
}

}  // namespace moveout::aws
