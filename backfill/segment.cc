#include "backfill/segment.h"

#include <fmt/format.h>

#include <cmath>

#include "backfill/words.h"

namespace moveout::backfill {
namespace {

constexpr std::string_view kPrefix = "segment/";

}  // namespace

std::string segment_name(int segment) { return fmt::format("{}{}", kPrefix, segment); }

base::Result<int> segment_of_name(std::string_view name) {
  int segment = 0;
  if (!name.starts_with(kPrefix) || !number(name.substr(kPrefix.size()), &segment) || segment < 0) {
    return base::fail(base::ErrorKind::Corrupt, fmt::format("'{}' is not the checkpoint of a segment", name));
  }
  return segment;
}

std::string format_segment(const SegmentAt& at) {
  return fmt::format("1 {} {} {} {}\n{}", at.items, at.bytes, at.rcu, at.done ? "done" : "open", at.last_key);
}

base::Result<SegmentAt> parse_segment(std::string_view text) {
  SegmentAt at;
  std::string_view rest = text;
  const bool version = word(&rest) == "1";
  const bool numbers = number(word(&rest), &at.items) && number(word(&rest), &at.bytes) && number(word(&rest), &at.rcu);
  const std::string_view state = word(&rest);
  at.done = state == "done";
  at.last_key = rest;
  // An open segment without a key would start again from its beginning with its counts kept.
  const bool sound = at.done ? rest.empty() : state == "open" && !rest.empty();
  if (!version || !numbers || !sound || !std::isfinite(at.rcu)) {
    return base::fail(base::ErrorKind::Corrupt, "the checkpoint of a segment cannot be read");
  }
  return at;
}

}  // namespace moveout::backfill
