// FakeStream: DynamoDB Streams behind http::Transport, as awkward as the test asks. For tests of capture/.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "aws/scripted_transport.h"
#include "base/json.h"
#include "base/manual_clock.h"
#include "capture/fold.h"
#include "http/http.h"

namespace moveout::test {

struct FakeRecord {
  std::string seq;
  base::Instant created{};
  std::string event = "INSERT";
  std::string keys;   // JSON text
  std::string image;  // JSON text; empty: none
};

struct FakeShard {
  std::string id;
  std::string parent;
  std::vector<FakeRecord> records;
  bool closed = false;
  bool listed = true;        // shown by DescribeStream
  bool listed_open = false;  // shown without its end although closed
  bool gone = false;         // its calls answer ResourceNotFoundException
  base::Instant closed_at{};
  bool no_horizon = false;  // DynamoDB Local: TRIM_HORIZON is refused where records are trimmed
  std::size_t trimmed = 0;  // records at the front that are no longer there
};

class FakeStream final : public http::Transport {
 public:
  explicit FakeStream(base::ManualClock& clock) : clock_(clock) {}

  FakeShard& shard(const std::string& id) { return shards.at(id); }
  FakeShard& add(const std::string& id, const std::string& parent = "");
  // One put of key `pk`; its image carries the sequence number. Sequence numbers rise over the whole stream.
  void put(const std::string& shard, const std::string& key) { write(shard, key, "MODIFY"); }
  void remove(const std::string& shard, const std::string& key) { write(shard, key, "REMOVE"); }
  void close(const std::string& id);
  // What DynamoDB does with records of more than 24 hours, and with shards that ended so long ago.
  void trim();

  base::Task<base::Result<http::Response>> send(http::Request request) override;

  std::map<std::string, FakeShard> shards;
  std::string status = "ENABLED";
  bool stream_gone = false;
  std::string view = "NEW_AND_OLD_IMAGES";
  std::size_t list_limit = 100;
  std::size_t page_records = 3;
  int empty_before_records = 0;  // empty pages that an iterator passes before it shows records
  base::Millis iterator_life{15 * 60 * 1000};
  std::uint64_t next_seq = 95;  // so that lengths change early
  std::string table_json;       // answer to DescribeTable; empty: the table is unknown
  // Called after each answered call with its name and shard: the place to change the world between two calls.
  std::function<void(const std::string& operation, const std::string& shard)> after;
  std::map<std::string, int> calls;          // by operation
  std::vector<std::string> iterators_asked;  // "<shard> TRIM_HORIZON", "<shard> AFTER_SEQUENCE_NUMBER 12"
  std::set<std::string> reading;             // shards with a GetRecords under way; one at a time each

 private:
  struct Position {
    std::string shard;
    std::size_t at = 0;
    int empties = 0;
    base::Steady made{};
  };
  void write(const std::string& shard, const std::string& key, const std::string& event);
  std::string iterator_for(Position position);
  http::Response describe(const base::json::object& ask);
  http::Response get_iterator(const base::json::object& ask);
  http::Response get_records(const base::json::object& ask);

  base::ManualClock& clock_;
  std::map<std::string, Position> iterators_;
};

inline std::string text_of(const base::json::object& object, std::string_view name) {
  const base::json::value* value = object.if_contains(name);
  return value == nullptr ? std::string() : std::string(value->as_string());
}

inline http::Response refused(const char* name) {
  return aws::ScriptedTransport::response(400, aws::ScriptedTransport::error_body(name, "as the test asked"));
}

inline FakeShard& FakeStream::add(const std::string& id, const std::string& parent) {
  FakeShard& shard = shards[id];
  shard.id = id;
  shard.parent = parent;
  return shard;
}

inline void FakeStream::write(const std::string& id, const std::string& key, const std::string& event) {
  FakeRecord record;
  record.seq = std::to_string(next_seq++);
  record.created = std::chrono::floor<std::chrono::seconds>(clock_.now());
  record.event = event;
  record.keys = R"({"pk":{"S":")" + key + R"("}})";
  if (event != "REMOVE") record.image = R"({"pk":{"S":")" + key + R"("},"seq":{"N":")" + record.seq + R"("}})";
  shard(id).records.push_back(std::move(record));
}

inline void FakeStream::close(const std::string& id) {
  shard(id).closed = true;
  shard(id).closed_at = clock_.now();
}

inline void FakeStream::trim() {
  const base::Instant kept = clock_.now() - std::chrono::hours(24);
  for (auto& [id, shard] : shards) {
    while (shard.trimmed < shard.records.size() && shard.records[shard.trimmed].created < kept) ++shard.trimmed;
    if (!shard.closed || shard.closed_at >= kept) continue;
    shard.gone = true;
    shard.listed = false;
  }
}

inline std::string FakeStream::iterator_for(Position position) {
  position.made = clock_.steady();
  std::string name = "iterator-" + std::to_string(iterators_.size());
  iterators_[name] = std::move(position);
  return name;
}

inline base::Task<base::Result<http::Response>> FakeStream::send(http::Request request) {
  const std::string target(request.headers.get("x-amz-target"));
  const std::string operation = target.substr(target.find('.') + 1);
  base::Result<base::json::value> body = base::parse_json(request.body);
  MOVEOUT_ASSERT(body && body->is_object());
  const base::json::object ask = body->get_object();
  ++calls[operation];
  std::string id = text_of(ask, "ShardId");
  if (operation == "GetRecords") id = iterators_.at(text_of(ask, "ShardIterator")).shard;
  if (operation == "GetRecords") MOVEOUT_ASSERT(reading.insert(id).second);
  co_await clock_.sleep_for(base::Millis(5));
  http::Response response;
  if (operation == "DescribeTable") {
    response =
        table_json.empty() ? refused("ResourceNotFoundException") : aws::ScriptedTransport::response(200, table_json);
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

inline http::Response FakeStream::describe(const base::json::object& ask) {
  base::json::array listed;
  std::string last;
  const std::string from = text_of(ask, "ExclusiveStartShardId");
  bool more = false;
  for (const auto& [id, shard] : shards) {
    if (!shard.listed || id <= from) continue;
    if (listed.size() == list_limit) {
      more = true;
      break;
    }
    base::json::object range{{"StartingSequenceNumber", "1"}};
    if (shard.closed && !shard.listed_open) range["EndingSequenceNumber"] = "99999999";
    base::json::object entry{{"ShardId", id}, {"SequenceNumberRange", range}};
    if (!shard.parent.empty()) entry["ParentShardId"] = shard.parent;
    listed.push_back(entry);
    last = id;
  }
  base::json::object stream{{"StreamArn", text_of(ask, "StreamArn")},
                            {"StreamStatus", status},
                            {"StreamViewType", view},
                            {"TableName", "orders"},
                            {"Shards", listed}};
  if (more) stream["LastEvaluatedShardId"] = last;
  return aws::ScriptedTransport::response(200,
                                          base::json::serialize(base::json::object{{"StreamDescription", stream}}));
}

inline http::Response FakeStream::get_iterator(const base::json::object& ask) {
  const std::string type = text_of(ask, "ShardIteratorType");
  const std::string seq = text_of(ask, "SequenceNumber");
  const std::string id = text_of(ask, "ShardId");
  iterators_asked.push_back(id + " " + type + (seq.empty() ? "" : " " + seq));
  if (!shards.contains(id) || shard(id).gone) return refused("ResourceNotFoundException");
  const FakeShard& of = shard(id);
  Position position{id, of.trimmed, 0, {}};
  if (type == "AFTER_SEQUENCE_NUMBER") {
    while (position.at < of.records.size() && !capture::sequence_less(seq, of.records[position.at].seq)) ++position.at;
    // The record itself must still be there.
    if (of.trimmed > 0 && position.at <= of.trimmed) return refused("TrimmedDataAccessException");
  } else {
    MOVEOUT_ASSERT(type == "TRIM_HORIZON");
  }
  return aws::ScriptedTransport::response(
      200, base::json::serialize(base::json::object{{"ShardIterator", iterator_for(std::move(position))}}));
}

inline http::Response FakeStream::get_records(const base::json::object& ask) {
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
  return aws::ScriptedTransport::response(200, body + "}");
}

}  // namespace moveout::test
