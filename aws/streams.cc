#include "aws/streams.h"

#include <fmt/format.h>

#include <optional>

#include "aws/answers.h"
#include "aws/walk.h"
#include "item/json.h"
#include "item/slice.h"

namespace moveout::aws {
namespace {

namespace json = base::json;
using base::ErrorKind;
using Body = std::shared_ptr<const std::string>;

// DynamoDB's have 21–40 digits, DynamoDB Local's 21; longer ones are no sequence numbers.
constexpr std::size_t kSequenceDigitsMax = 64;

std::string json_text(std::string_view text) {
  std::string out;
  item::append_json_string(out, text);
  return out;
}

std::string subject_of(const std::string& stream_arn) { return "stream " + json_text(stream_arn); }

base::Result<Shard> shard_of(const json::value& value) {
  if (!value.is_object()) return base::fail(ErrorKind::Corrupt, "Shards holds something else than objects");
  const json::object& object = value.as_object();
  Shard shard;
  auto id = required_text_in(object, "ShardId");
  auto parent = text_in(object, "ParentShardId");
  if (!id) return base::fail(id.error());
  if (!parent) return base::fail(parent.error());
  shard.id = std::move(*id);
  shard.parent = std::move(*parent);
  if (const json::object* range = object_in(object, "SequenceNumberRange")) {
    auto start = text_in(*range, "StartingSequenceNumber");
    auto end = text_in(*range, "EndingSequenceNumber");
    if (!start) return base::fail(start.error());
    if (!end) return base::fail(end.error());
    shard.start_sequence = std::move(*start);
    shard.end_sequence = std::move(*end);
  }
  return shard;
}

base::Result<StreamPage> stream_page_of(std::string_view body) {
  const auto top = read_object(body);
  if (!top) return base::fail(top.error());
  const json::object* stream = object_in(*top, "StreamDescription");
  if (stream == nullptr) return base::fail(ErrorKind::Corrupt, "an answer without StreamDescription");
  StreamPage out;
  struct Text {
    std::string_view name;
    std::string& out;
  };
  for (const Text& text : {Text{"StreamArn", out.arn}, Text{"StreamLabel", out.label}, Text{"StreamStatus", out.status},
                           Text{"StreamViewType", out.view_type}, Text{"TableName", out.table},
                           Text{"LastEvaluatedShardId", out.last_shard}}) {
    auto value = text_in(*stream, text.name);
    if (!value) return base::fail(value.error());
    text.out = std::move(*value);
  }
  if (const json::array* shards = array_in(*stream, "Shards")) {
    for (const json::value& value : *shards) {
      auto shard = shard_of(value);
      if (!shard) return base::fail(shard.error());
      out.shards.push_back(std::move(*shard));
    }
  }
  return out;
}

// A text without escapes, as it lies in the body.
simdjson::error_code plain(ondemand::value value, std::string_view* out) {
  std::string_view token = value.raw_json_token();
  while (!token.empty() &&
         (token.back() == ' ' || token.back() == '\t' || token.back() == '\r' || token.back() == '\n')) {
    token.remove_suffix(1);
  }
  if (token.size() < 2 || token.front() != '"' || token.back() != '"') return simdjson::INCORRECT_TYPE;
  token = token.substr(1, token.size() - 2);
  if (token.find('\\') != std::string_view::npos) return simdjson::STRING_ERROR;
  *out = token;
  return simdjson::SUCCESS;
}

simdjson::error_code sequence(ondemand::value value, StreamRecord& out) {
  std::string_view text;
  if (const auto error = plain(value, &text)) return error;
  if (text.empty() || text.size() > kSequenceDigitsMax || text.find_first_not_of("0123456789") != text.npos) {
    return simdjson::NUMBER_ERROR;
  }
  out.sequence = text;
  return simdjson::SUCCESS;
}

// Seconds, written 1700000000, 1700000000.0 or 1.7E9.
simdjson::error_code created(ondemand::value value, StreamRecord& out) {
  double seconds = 0;
  if (const auto error = value.get_double().get(seconds)) return error;
  out.created = instant_of_seconds(seconds);
  return out.created == base::Instant{} ? simdjson::NUMBER_OUT_OF_RANGE : simdjson::SUCCESS;
}

// An image may hold what nobody understands: then it is for the reader of the record to set it aside.
simdjson::error_code raw_image(ondemand::value value, std::string_view* out) {
  if (const auto error = raw_object(value, out)) return error;
  return out->empty() || item::is_object_loosely(*out) ? simdjson::SUCCESS : simdjson::TAPE_ERROR;
}

bool is_sound(std::string_view item_json) {
  return item::for_each_attribute(item_json, [](std::string_view, item::Type, std::string_view) {}).has_value();
}

simdjson::error_code change(ondemand::value value, StreamRecord& out) {
  return each_member(value, [&out](std::string_view name, ondemand::value member) {
    if (name == "SequenceNumber") return sequence(member, out);
    if (name == "ApproximateCreationDateTime") return created(member, out);
    if (name == "Keys") return raw_object(member, &out.keys);
    if (name == "NewImage") return raw_image(member, &out.new_image);
    if (name == "OldImage") return raw_image(member, &out.old_image);
    return simdjson::SUCCESS;
  });
}

// The names are written Type, type, PrincipalId, principalId.
simdjson::error_code identity(ondemand::value value, StreamRecord& out) {
  if (is_null(value)) return simdjson::SUCCESS;
  bool service = false;
  bool dynamodb = false;
  const auto error = each_member(value, [&](std::string_view name, ondemand::value member) {
    std::string_view text;
    if (member.get_string().get(text)) return simdjson::SUCCESS;
    if (name == "Type" || name == "type") service = text == "Service";
    if (name == "PrincipalId" || name == "principalId") dynamodb = text == "dynamodb.amazonaws.com";
    return simdjson::SUCCESS;
  });
  out.ttl_delete = service && dynamodb;
  return error;
}

simdjson::error_code record(ondemand::value value, StreamRecord& out) {
  const auto error = each_member(value, [&out](std::string_view name, ondemand::value member) {
    if (name == "eventName") return plain(member, &out.event_name);
    if (name == "dynamodb") return change(member, out);
    return name == "userIdentity" ? identity(member, out) : simdjson::SUCCESS;
  });
  if (error) return error;
  // Without them nobody could say what the record changed, and when.
  const bool whole =
      !out.event_name.empty() && !out.sequence.empty() && !out.keys.empty() && out.created != base::Instant{};
  return whole ? simdjson::SUCCESS : simdjson::NO_SUCH_FIELD;
}

base::Result<RecordsPage> records_page_of(const Body& body) {
  RecordsPage page;
  page.body = with_padding(body);
  bool has_records = false;
  std::string unsound;  // the record whose key cannot be understood
  const auto read = [&](std::string_view name, ondemand::value value) {
    if (name == "NextShardIterator") {
      std::string_view text;
      if (is_null(value)) return simdjson::SUCCESS;
      const auto error = value.get_string().get(text);
      page.next_iterator = text;
      return error;
    }
    if (name != "Records") return simdjson::SUCCESS;
    has_records = true;
    return each_element(value, [&](ondemand::value one) {
      StreamRecord& taken = page.records.emplace_back();
      if (const auto error = record(one, taken)) return error;
      if (is_sound(taken.keys)) return simdjson::SUCCESS;
      unsound = taken.sequence;
      return simdjson::TAPE_ERROR;
    });
  };
  const base::Result<> walked = walk_answer("a GetRecords answer", *page.body, read);
  if (!walked && !unsound.empty()) {
    return base::fail(ErrorKind::Corrupt, "record " + unsound + ": its key cannot be understood");
  }
  if (!walked) return base::fail(walked.error());
  if (!has_records) return base::fail(ErrorKind::Corrupt, "a GetRecords answer without Records");
  return page;
}

std::string_view name_of(IteratorAt at) {
  switch (at) {
    case IteratorAt::TrimHorizon:
      return "TRIM_HORIZON";
    case IteratorAt::At:
      return "AT_SEQUENCE_NUMBER";
    case IteratorAt::After:
      return "AFTER_SEQUENCE_NUMBER";
  }
  return "TRIM_HORIZON";
}

}  // namespace

base::Task<base::Result<StreamPage>> Streams::describe(std::string stream_arn, std::string after_shard) {
  base::Result<StreamPage> page;
  CallOptions options;
  options.subject = subject_of(stream_arn);
  options.check = [&page](const Body& body) -> base::Result<> {
    page = stream_page_of(*body);
    if (!page) return base::fail(page.error());
    return {};
  };
  std::string body = fmt::format("{{\"StreamArn\":{},\"Limit\":100", json_text(stream_arn));
  if (!after_shard.empty()) body += ",\"ExclusiveStartShardId\":" + json_text(after_shard);
  body += '}';
  const base::Result<Answer> answer = co_await client_.call("DescribeStream", std::move(body), std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return std::move(page);
}

base::Task<base::Result<std::string>> Streams::iterator(std::string stream_arn, std::string shard, IteratorAt at,
                                                        std::string sequence) {
  base::Result<std::string> iterator;
  CallOptions options;
  options.subject = fmt::format("shard {} of {}", json_text(shard), subject_of(stream_arn));
  options.check = [&iterator](const Body& body) -> base::Result<> {
    const auto top = read_object(*body);
    if (!top) return base::fail(top.error());
    iterator = required_text_in(*top, "ShardIterator");
    if (!iterator) return base::fail(iterator.error());
    return {};
  };
  std::string body = fmt::format("{{\"StreamArn\":{},\"ShardId\":{},\"ShardIteratorType\":\"{}\"",
                                 json_text(stream_arn), json_text(shard), name_of(at));
  if (at != IteratorAt::TrimHorizon) body += ",\"SequenceNumber\":" + json_text(sequence);
  body += '}';
  const base::Result<Answer> answer = co_await client_.call("GetShardIterator", std::move(body), std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return std::move(iterator);
}

base::Task<base::Result<RecordsPage>> Streams::records(std::string iterator, int limit) {
  base::Result<RecordsPage> page;
  CallOptions options;
  options.subject = "the shard";
  options.check = [&page](const Body& body) -> base::Result<> {
    page = records_page_of(body);
    if (!page) return base::fail(page.error());
    return {};
  };
  const base::Result<Answer> answer = co_await client_.call(
      "GetRecords", fmt::format("{{\"ShardIterator\":{},\"Limit\":{}}}", json_text(iterator), limit),
      std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return std::move(page);
}

}  // namespace moveout::aws
