// Server: the simulated DynamoDB behind its wire protocol. Stricter than the real one where that finds mistakes.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "http/http.h"
#include "sim/dynamodb/table.h"

namespace moveout::sim {

struct ServerOptions {
  std::string region = "us-east-1";
  std::string account = "123456789012";
  std::size_t page_bytes = 1 << 20;    // of a Scan or a GetRecords answer
  std::size_t page_items = 1'000'000;  // … at most so many
  Micros stale_max{2'000'000};         // how old an eventually consistent read may be
  Micros enabling_max{5'000'000};      // ENABLING → ENABLED
  Micros creating_max{0};              // a table or an index is CREATING
  bool float_times = false;            // ApproximateCreationDateTime as 1767225600.0
  bool capital_message = false;        // "Message" instead of "message" in error bodies
  bool knows_capacity = true;          // false: ReturnConsumedCapacity is refused, as by some stand-ins
};

// What a request is refused with.
struct ApiError {
  int status = 400;
  std::string type;  // after the '#'
  std::string message;
  bool streams = false;
};
template <class T>
using Api = std::expected<T, ApiError>;
inline std::unexpected<ApiError> refuse(std::string type, std::string message, int status = 400) {
  return std::unexpected(ApiError{status, std::move(type), std::move(message)});
}

// Access keys the server knows.
struct Identity {
  Micros expires{INT64_MAX};
  std::set<std::string> denied;  // actions, for instance "GetRecords"
};

class Expressions;

class Server {
 public:
  Server(Scheduler& scheduler, Faults& faults, base::Rng rng, ServerOptions options);

  // The whole server: one request in, one answer out, at the present instant.
  http::Response handle(const http::Request& request);

  Table& make_table(TableSpec spec);
  void drop_table(const std::string& name);
  Table* find(std::string_view name_or_arn);
  // By the ARN of one of a table's streams, dropped tables' too.
  Stream* find_stream(std::string_view arn);
  std::map<std::string, Identity>& identities() { return identities_; }
  std::map<std::string, std::uint64_t>& calls() { return calls_; }  // by operation
  const ServerOptions& options() const { return options_; }

  using Object = base::json::object;

 private:
  using Operation = Api<std::string> (Server::*)(const Object&);
  static const std::map<std::string, Operation, std::less<>>& operations();
  Api<std::string> act(const http::Request& request);
  Api<std::string> authorise(const http::Request& request, std::string_view operation);

  // server.cc: tables
  Api<std::string> create_table(const Object& args);
  Api<std::string> delete_table(const Object& args);
  Api<std::string> describe_table(const Object& args);
  Api<std::string> update_table(const Object& args);
  Api<std::string> list_tables(const Object& args);
  Api<std::string> describe_ttl(const Object& args);
  Api<std::string> update_ttl(const Object& args);
  // shape.cc: what a table has beside its items
  Api<std::string> tag_resource(const Object& args);
  Api<std::string> list_tags(const Object& args);
  Api<std::string> add_index(const Object& args, Table& table);
  Api<Trimmings> trimmings_of(const Object& args);
  void describe_trimmings(Table& table, Object& out);
  Micros creating();
  // items.cc
  Api<std::string> write_one(
      const Object& args, Table& table, const item::Key& key,
      const std::function<Api<std::optional<item::Item>>(const item::Item*, Expressions&)>& change);
  Api<std::string> put_item(const Object& args);
  Api<std::string> delete_item(const Object& args);
  Api<std::string> update_item(const Object& args);
  Api<std::string> get_item(const Object& args);
  Api<std::string> batch_get_item(const Object& args);
  Api<std::string> batch_write_item(const Object& args);
  Api<std::string> scan(const Object& args);
  // streams.cc
  Api<std::string> list_streams(const Object& args);
  Api<std::string> describe_stream(const Object& args);
  Api<std::string> get_shard_iterator(const Object& args);
  Api<std::string> get_records(const Object& args);

  Api<Table*> table_of(const Object& args);
  // The same for items: a table in the making has none.
  Api<Table*> active_table_of(const Object& args);
  Api<Table*> active(Table* table);
  std::string describe(Table& table);
  // The state of a row that a read at this moment sees.
  Text read(const Row& row, bool consistent, Micros stale_by);

  Scheduler& scheduler_;
  Faults& faults_;
  base::Rng rng_;
  ServerOptions options_;
  std::map<std::string, std::unique_ptr<Table>> tables_;
  std::vector<std::unique_ptr<Table>> dropped_;  // their streams live on for a day
  std::map<std::string, Identity> identities_;
  std::map<std::string, std::uint64_t> calls_;
  std::uint64_t request_number_ = 0;
  std::uint64_t table_number_ = 0;
  std::map<std::string, Micros> updating_until_;
  std::vector<Micros> describes_;  // the instants of the last DescribeStream calls: ten a second
};

// Arguments: each of the members there is one of `known`, and they have the types asked for.
Api<std::string> check_members(const Server::Object& args, std::initializer_list<std::string_view> known);
Api<std::string> string_arg(const Server::Object& args, std::string_view name, std::string fallback);
Api<std::int64_t> int_arg(const Server::Object& args, std::string_view name, std::int64_t fallback);
Api<bool> bool_arg(const Server::Object& args, std::string_view name, bool fallback);
// An item or a key in the request.
Api<item::Item> item_arg(const base::json::value* value, std::string_view what);
Api<item::Key> whole_key(const item::KeySchema& schema, const item::Item& item, bool only_key);

}  // namespace moveout::sim
