// The DynamoDB Streams calls, typed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "item/batch.h"

namespace moveout::aws {

struct Shard {
  std::string id;
  std::string parent;  // empty: none
  std::string start_sequence;
  std::string end_sequence;  // empty: open
};

struct StreamPage {
  std::string arn;
  std::string label;
  std::string status;     // ENABLING, ENABLED, DISABLING, DISABLED
  std::string view_type;  // NEW_IMAGE, NEW_AND_OLD_IMAGES, OLD_IMAGE, KEYS_ONLY
  std::string table;
  std::vector<Shard> shards;
  std::string last_shard;  // for the next page; empty = the last page
};

// Views lie in the page's body.
struct StreamRecord {
  std::string_view event_name;  // INSERT, MODIFY, REMOVE; DynamoDB Local names TTL deletes UNKNOWN_TO_SDK_VERSION
  std::string sequence;         // decimal, 21–40 digits
  base::Instant created{};      // ApproximateCreationDateTime: whole seconds
  std::string_view keys;        // JSON text
  std::string_view new_image;   // JSON text of an object, empty when absent; not always an item that is understood
  std::string_view old_image;   // likewise
  bool ttl_delete = false;      // userIdentity is the TTL service
};

struct RecordsPage {
  item::Buffer body;
  std::vector<StreamRecord> records;
  std::string next_iterator;  // empty: a closed shard, drained
};

enum class IteratorAt { TrimHorizon, At, After };

// Errors beyond aws/client.h: Expired (iterator), Trimmed, NotFound (stream or shard gone).
class Streams {
 public:
  explicit Streams(Client& client) : client_(client) {}
  base::Task<base::Result<StreamPage>> describe(std::string stream_arn, std::string after_shard);
  base::Task<base::Result<std::string>> iterator(std::string stream_arn, std::string shard, IteratorAt at,
                                                 std::string sequence);
  // At most 1,000 records or 1 MB.
  base::Task<base::Result<RecordsPage>> records(std::string iterator, int limit = 1000);

 private:
  Client& client_;
};

}  // namespace moveout::aws
