// PartAt: how far one part of a FileSource is, as its checkpoint says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::backfill {

struct PartAt {
  std::string at;           // FilePage::at of the last acknowledged page
  std::uint64_t items = 0;  // acknowledged so far
  std::uint64_t bytes = 0;
  bool done = false;
  friend bool operator==(const PartAt&, const PartAt&) = default;
};

// "file/17" and back; Corrupt for any other text.
std::string part_row(std::size_t part);
base::Result<std::size_t> part_of_row(std::string_view name);

// A line "1 <items> <bytes> <done|open>", then the place. Corrupt for what format_part never wrote.
std::string format_part(const PartAt& at);
base::Result<PartAt> parse_part(std::string_view value);

}  // namespace moveout::backfill
