// Change: one record of a stream, versioned by capture, applied by replay. ChangeBatch: what one page gave.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "item/key.h"
#include "item/version.h"

namespace moveout::item {

enum class ChangeKind : std::uint8_t {
  Put,     // image is the whole new item
  Delete,  // the item is gone
  Touched  // level-triggered: the key changed, read the source for its state
};

struct Change {
  Key key;
  ChangeKind kind = ChangeKind::Put;
  Version version;              // unset for Touched: replay allots it
  std::string image;            // DynamoDB JSON of the new item; empty unless Put
  base::Instant created{};      // ApproximateCreationDateTime
  bool ttl_delete = false;      // userIdentity says the TTL reaper did it
  std::string unreadable = {};  // why the image, unlike the key, cannot be understood; empty: it can
};

}  // namespace moveout::item
