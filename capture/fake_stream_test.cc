// What FakeStream answers (its tests are those of what reads it).
#include "capture/fake_stream.h"

#include <algorithm>

#include "aws/scripted_transport.h"
#include "capture/fold.h"

namespace moveout::capture {

namespace json = base::json;
using aws::ScriptedTransport;

namespace {

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? std::string() : std::string(value->as_string());
}

http::Response refused(const char* name) {
  return ScriptedTransport::response(400, ScriptedTransport::error_body(name, "as the test asked"));
}

}  // namespace

FakeShard& FakeStream::add(const std::string& id, const std::string& parent) {
  FakeShard& shard = shards[id];
  shard.id = id;
  shard.parent = parent;
  return shard;
}

void FakeStream::write(const std::string& id, const std::string& key, const std::string& event) {
  FakeRecord record;
  record.seq = std::to_string(next_seq++);
  record.created = std::chrono::floor<std::chrono::seconds>(clock_.now());
  record.event = event;
  record.keys = R"({"pk":{"S":")" + key + R"("}})";
  if (event != "REMOVE") record.image = R"({"pk":{"S":")" + key + R"("},"seq":{"N":")" + record.seq + R"("}})";
  shard(id).records.push_back(std::move(record));
}

void FakeStream::close(const std::string& id) {
  shard(id).closed = true;
  shard(id).closed_at = clock_.now();
}

void FakeStream::trim() {
  const base::Instant kept = clock_.now() - std::chrono::hours(24);
  for (auto& [id, shard] : shards) {
    while (shard.trimmed < shard.records.size() && shard.records[shard.trimmed].created < kept) ++shard.trimmed;
    if (!shard.closed || shard.closed_at >= kept) continue;
    shard.gone = true;
    shard.listed = false;
  }
}

std::string FakeStream::iterator_for(Position position) {
  position.made = clock_.steady();
  std::string name = "iterator-" + std::to_string(iterators_.size());
  iterators_[name] = std::move(position);
  return name;
}

base::Task<base::Result<http::Response>> FakeStream::send(http::Request request) {
  const std::string target(request.headers.get("x-amz-target"));
  const std::string operation = target.substr(target.find('.') + 1);
  base::Result<json::value> body = base::parse_json(request.body);
  MOVEOUT_ASSERT(body && body->is_object());
  const json::object ask = body->get_object();
  ++calls[operation];
  std::string id = text_of(ask, "ShardId");
  if (operation == "GetRecords") id = iterators_.at(text_of(ask, "ShardIterator")).shard;
  if (operation == "GetRecords") MOVEOUT_ASSERT(reading.insert(id).second);
  co_await clock_.sleep_for(base::Millis(5));
  http::Response response;
  if (operation == "DescribeTable") {
    response = table_json.empty() ? refused("ResourceNotFoundException") : ScriptedTransport::response(200, table_json);
  } else if (stream_gone) {
    response = refused("ResourceNotFoundException");
  } else if (operation == "DescribeStream") {
    response = describe(ask);
  } else if (operation == "GetShardIterator") {
    response = get_iterator(ask);
  } else {
    MOVEOUT_ASSERT(operation == "GetRecords");
    response = get_records(ask);
  }
  if (operation == "GetRecords") reading.erase(id);
  if (after) after(operation, id);
  co_return response;
}

http::Response FakeStream::describe(const json::object& ask) {
  json::array listed;
  std::string last;
  const std::string from = text_of(ask, "ExclusiveStartShardId");
  bool more = false;
  for (const auto& [id, shard] : shards) {
    if (!shard.listed || id <= from) continue;
    if (listed.size() == list_limit) {
      more = true;
      break;
    }
    json::object range{{"StartingSequenceNumber", "1"}};
    if (shard.closed && !shard.listed_open) range["EndingSequenceNumber"] = "99999999";
    json::object entry{{"ShardId", id}, {"SequenceNumberRange", range}};
    if (!shard.parent.empty()) entry["ParentShardId"] = shard.parent;
    listed.push_back(entry);
    last = id;
  }
  json::object stream{{"StreamArn", text_of(ask, "StreamArn")},
                      {"StreamStatus", status},
                      {"StreamViewType", view},
                      {"TableName", "orders"},
                      {"Shards", listed}};
  if (more) stream["LastEvaluatedShardId"] = last;
  return ScriptedTransport::response(200, json::serialize(json::object{{"StreamDescription", stream}}));
}

http::Response FakeStream::get_iterator(const json::object& ask) {
  const std::string type = text_of(ask, "ShardIteratorType");
  const std::string seq = text_of(ask, "SequenceNumber");
  const std::string id = text_of(ask, "ShardId");
  iterators_asked.push_back(id + " " + type + (seq.empty() ? "" : " " + seq));
  if (!shards.contains(id) || shard(id).gone) return refused("ResourceNotFoundException");
  const FakeShard& of = shard(id);
  Position position{id, of.trimmed, 0, {}};
  if (type == "AFTER_SEQUENCE_NUMBER") {
    while (position.at < of.records.size() && !sequence_less(seq, of.records[position.at].seq)) ++position.at;
    // The record itself must still be there.
    if (of.trimmed > 0 && position.at <= of.trimmed) return refused("TrimmedDataAccessException");
  } else {
    MOVEOUT_ASSERT(type == "TRIM_HORIZON");
  }
  return ScriptedTransport::response(
      200, json::serialize(json::object{{"ShardIterator", iterator_for(std::move(position))}}));
}

http::Response FakeStream::get_records(const json::object& ask) {
  const Position from = iterators_.at(text_of(ask, "ShardIterator"));
  if (clock_.steady() - from.made > iterator_life) return refused("ExpiredIteratorException");
  const FakeShard& of = shard(from.shard);
  if (of.gone) return refused("ResourceNotFoundException");
  if (from.at < of.trimmed || (of.no_horizon && of.trimmed > 0 && from.at == of.trimmed))
    return refused("TrimmedDataAccessException");
  Position next = from;
  std::string records;
  if (from.empties < empty_before_records) {
    ++next.empties;
  } else {
    for (std::size_t n = 0; n < page_records && next.at < of.records.size(); ++n, ++next.at) {
      const FakeRecord& r = of.records[next.at];
      if (!records.empty()) records += ',';
      records += R"({"eventName":")" + r.event + R"(","dynamodb":{"ApproximateCreationDateTime":)" +
                 std::to_string(base::micros_of(r.created) / 1'000'000) + R"(,"Keys":)" + r.keys +
                 (r.image.empty() ? "" : R"(,"NewImage":)" + r.image) + R"(,"SequenceNumber":")" + r.seq + R"("}})";
    }
    next.empties = 0;
  }
  std::string body = "{\"Records\":[" + records + "]";
  if (!of.closed || next.at < of.records.size()) body += R"(,"NextShardIterator":")" + iterator_for(next) + "\"";
  return ScriptedTransport::response(200, body + "}");
}

}  // namespace moveout::capture
