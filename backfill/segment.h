// SegmentAt: how far one segment has come, as its checkpoint keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::backfill {

struct SegmentAt {
  std::string last_key;  // text of LastEvaluatedKey; empty: at the start, or done
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  double rcu = 0;
  bool done = false;
  friend bool operator==(const SegmentAt&, const SegmentAt&) = default;
};

// "segment/17" and back; Corrupt for any other text.
std::string segment_name(int segment);
base::Result<int> segment_of_name(std::string_view name);

// A line "1 <items> <bytes> <rcu> <done|open>", then the last key's text. Corrupt for what format_segment never wrote.
std::string format_segment(const SegmentAt& at);
base::Result<SegmentAt> parse_segment(std::string_view text);

}  // namespace moveout::backfill
