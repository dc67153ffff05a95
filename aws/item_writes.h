// ItemWrites: the requests that write items, and exactly what became of each. Whether they are sent again is the
// client's policy: never with RetryPolicy.retry = false.
#pragma once

#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "item/key.h"

namespace moveout::aws {

// What is known of one request when its call returns.
enum class Fate {
  Done,             // acted on; of a batch, what is not `unprocessed`
  ConditionFailed,  // certainly not applied: the condition does not hold
  NotApplied,       // certainly not applied, for now: throttled, not reached, in conflict with a transaction
  Refused,          // certainly not applied, and never will be: `why`
  Unknown           // may have been applied, or may yet be
};

struct Sent {
  Fate fate = Fate::Unknown;
  base::Steady signed_at{};              // the last attempt
  std::vector<std::string> unprocessed;  // Done batches: Key::encoded() of what was certainly not applied
  bool throttled = false;                // the server said that it is too much
  std::string why;                       // the server's sentence, never item data
};

// Single executor. An Error is one that no sending again helps (Denied, CredentialsExpired, NotFound, …): the request
// was certainly not applied. The texts of requests are made by the caller.
class ItemWrites {
 public:
  // permit: asked at each signing; when it says no, NotApplied. Null: nobody is asked. Outlives this.
  ItemWrites(Client& client, std::string table, const base::Permit* permit = nullptr);
  // BatchWriteItem into the one table; the keys of the batch differ.
  base::Task<base::Result<Sent>> batch(std::string body, item::KeySchema schema);
  // PutItem, UpdateItem, DeleteItem: one item each.
  base::Task<base::Result<Sent>> one(std::string operation, std::string body);

 private:
  base::Result<Sent> sent_of(base::Error error, base::Steady signed_at);
  base::Task<base::Result<Sent>> call(std::string operation, std::string body, CallOptions options);

  Client& client_;
  std::string subject_;
  const base::Permit* permit_;
};

}  // namespace moveout::aws
