// Table: one simulated DynamoDB table: its items, every state each key ever had, and its streams.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "item/json.h"
#include "item/key.h"
#include "sim/dynamodb/stream.h"

namespace moveout::sim {

// A state of one key, from `at` on.
struct Past {
  Micros at;
  Text json;  // canonical DynamoDB JSON; null: no such item
};

struct Row {
  Text keys;               // canonical JSON of the key attributes
  std::vector<Past> past;  // oldest first
  const Text& now() const { return past.back().json; }
  // The state at `when`; null before the first.
  Text at(Micros when) const;
};

// What a table has beside its items, as CreateTable asked for it and DescribeTable tells it.
struct Trimmings {
  base::json::array attributes;  // AttributeDefinitions of the indexes' keys
  struct Index {
    base::json::object asked;  // IndexName, KeySchema, Projection
    bool global = false;
    Micros active_at{0};
  };
  std::vector<Index> indexes;
  std::int64_t read_units = 0, write_units = 0;  // 0: on demand
  std::map<std::string, std::string> tags;
};

struct TableSpec {
  std::string name;
  item::KeySchema key;
  std::string ttl_attribute;  // empty: off
  StreamOptions stream;
  Trimmings trimmings = {};
  Micros creating{0};  // so long it is CREATING
};

// Where an item stands in a scan: by the hash of its partition key, then by its key.
struct Place {
  std::uint64_t hash;
  std::string key;  // item::Key::encoded()
  friend auto operator<=>(const Place&, const Place&) = default;
};
Place place_of(const std::string& encoded_key);

class Table {
 public:
  Table(Scheduler& scheduler, Faults& faults, base::Rng rng, TableSpec spec, std::string arn, std::string id);

  // What writers do; each is one atomic write at the present instant. A write that changes nothing leaves no record.
  // The item must hold its key (asserted).
  void put(const item::Item& item);
  void erase(const item::Key& key, bool ttl = false);
  Text get(const item::Key& key) const;

  void enable_stream(View view, Micros ready_at);
  void disable_stream();
  Stream* stream();  // the newest, on or off; null: none ever
  // Newest last. Those that were switched off can be read for as long as records are kept.
  std::vector<std::unique_ptr<Stream>>& streams() { return streams_; }
  bool stream_ready() const { return stream_ready_; }
  void trim();

  void set_ttl(std::string attribute) { spec_.ttl_attribute = std::move(attribute); }
  const TableSpec& spec() const { return spec_; }
  Trimmings& trimmings() { return spec_.trimmings; }
  bool active(Micros now) const { return now >= created_ + spec_.creating; }
  const std::string& arn() const { return arn_; }
  const std::string& id() const { return id_; }
  Micros created() const { return created_; }
  const std::map<Place, Row>& rows() const { return rows_; }
  std::uint64_t writes() const { return writes_; }
  std::uint64_t live_items() const { return live_items_; }

 private:
  void write(const std::string& encoded_key, Text keys, Text json, bool ttl);

  Scheduler& scheduler_;
  Faults& faults_;
  base::Rng rng_;
  TableSpec spec_;
  std::string arn_, id_;
  Micros created_;
  std::map<Place, Row> rows_;
  std::vector<std::unique_ptr<Stream>> streams_;
  bool stream_ready_ = false;
  Micros stream_ready_at_{0};
  std::uint64_t writes_ = 0;
  std::uint64_t live_items_ = 0;
};

}  // namespace moveout::sim
