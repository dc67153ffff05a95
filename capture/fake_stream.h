// FakeStream: DynamoDB Streams behind http::Transport, as awkward as the test asks. For tests of capture/.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/manual_clock.h"
#include "http/http.h"

namespace moveout::capture {

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

}  // namespace moveout::capture
