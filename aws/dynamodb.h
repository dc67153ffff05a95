// The DynamoDB calls moveout makes, typed. Bodies stay as text where items are: see item/slice.h.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"
#include "aws/table_shape.h"
#include "base/clock.h"
#include "item/batch.h"
#include "item/key.h"
#include "item/slice.h"

namespace moveout::aws {

struct TableDescription {
  std::string name;
  std::string arn;
  std::string id;      // TableId; empty where the server has none
  std::string status;  // CREATING, ACTIVE, UPDATING, DELETING, …
  base::Instant created{};
  item::KeySchema key;
  std::int64_t item_count = 0;  // as DynamoDB estimates it, up to six hours old
  std::int64_t size_bytes = 0;
  std::string stream_arn;  // LatestStreamArn, empty when none
  bool stream_enabled = false;
  std::string stream_view_type;  // NEW_IMAGE, NEW_AND_OLD_IMAGES, OLD_IMAGE, KEYS_ONLY
  std::shared_ptr<const TableShape> shape;
};

struct ScanRequest {
  std::string table;
  int segment = 0;
  int total_segments = 1;
  std::string start_key;  // the text of ExclusiveStartKey, empty from the start
  bool consistent = true;
  int limit = 0;  // items a page, 0 = by size (1 MB)
  // A throttle comes back at once as Throttled, so that the caller (AIMD) paces; else the client waits and retries.
  bool return_throttles = false;
  // The table's: the page then comes with the items' keys.
  std::optional<item::KeySchema> key = std::nullopt;
};

// One page: the items' texts lie in `body`. Each is a JSON object; one that is no item of DynamoDB (a lone surrogate in
// a text, an unknown type) is among them all the same: item::append_key_of_json finds it.
struct ItemsPage {
  item::Buffer body;
  std::vector<std::string_view> items;
  std::string last_key;  // text of LastEvaluatedKey, empty at the end
  double consumed_rcu = 0;
  // Of the items, one each, if ScanRequest::key was given and all are sound; else none.
  item::PageKeys keys;
};

// One client serves many coroutines of one executor. Reads are retried by the client's policy; errors are those of
// aws/client.h, with the action named in Denied.
class DynamoDb {
 public:
  explicit DynamoDb(Client& client) : client_(client) {}
  base::Task<base::Result<TableDescription>> describe_table(std::string table);
  base::Task<base::Result<ItemsPage>> scan(ScanRequest request);
  // Strong reads. The items found (any order), at most 100 keys in, all different; UnprocessedKeys are asked for again
  // inside. Throttled when `return_throttles` and the first answer is a throttle, or when ten answers in a row give
  // nothing.
  base::Task<base::Result<ItemsPage>> batch_get(std::string table, item::KeySchema schema, std::vector<item::Key> keys,
                                                bool return_throttles = false);
  // Text of the item, strongly read; nothing when absent.
  base::Task<base::Result<std::optional<std::string>>> get_item(std::string table, item::KeySchema schema,
                                                                item::Key key, double* consumed_rcu = nullptr);
  // Switches a stream with NEW_AND_OLD_IMAGES on. Conflict when one is on already (ValidationException, ResourceInUse).
  base::Task<base::Result<>> enable_stream(std::string table);
  base::Task<base::Result<>> disable_stream(std::string table);
  base::Task<base::Result<std::vector<std::string>>> list_tables();
  // Attribute name of the table's TTL, empty when off.
  base::Task<base::Result<std::string>> ttl_attribute(std::string table);

  // tables.cc: making tables.
  // Conflict when there is one of that name, or one is being made or dropped.
  base::Task<base::Result<>> create_table(TableShape shape, MakeTable how);
  // Adds one global index, which takes its time. Conflict while another is being made.
  base::Task<base::Result<>> add_index(TableShape shape, std::string table, Index index);
  using Tags = std::vector<std::pair<std::string, std::string>>;
  base::Task<base::Result<Tags>> tags(std::string arn);
  base::Task<base::Result<>> add_tags(std::string arn, Tags tags);

 private:
  Client& client_;
  // False once the server has refused ReturnConsumedCapacity.
  bool ask_capacity_ = true;
  item::Page scratch_;  // its index serves every page
};

}  // namespace moveout::aws
