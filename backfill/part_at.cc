#include "backfill/part_at.h"

#include <fmt/format.h>

#include "backfill/words.h"

namespace moveout::backfill {
namespace {

constexpr std::string_view kPrefix = "file/";

}  // namespace

std::string part_row(std::size_t part) { return fmt::format("{}{}", kPrefix, part); }

base::Result<std::size_t> part_of_row(std::string_view name) {
  std::size_t part = 0;
  if (!name.starts_with(kPrefix) || !number(name.substr(kPrefix.size()), &part)) {
    return base::fail(base::ErrorKind::Corrupt, fmt::format("'{}' is not the checkpoint of a file", name));
  }
  return part;
}

std::string format_part(const PartAt& at) {
  return fmt::format("1 {} {} {}\n{}", at.items, at.bytes, at.done ? "done" : "open", at.at);
}

base::Result<PartAt> parse_part(std::string_view text) {
  PartAt at;
  std::string_view rest = text;
  const bool version = word(&rest) == "1";
  const bool numbers = number(word(&rest), &at.items) && number(word(&rest), &at.bytes);
  const std::string_view state = word(&rest);
  at.done = state == "done";
  at.at = rest;
  // Without a place it would begin again with its counts kept.
  if (!version || !numbers || (!at.done && state != "open") || at.at.empty()) {
    return base::fail(base::ErrorKind::Corrupt, "the checkpoint of a file cannot be read");
  }
  return at;
}

}  // namespace moveout::backfill
