// Pages in a journal's frames: what a segment's payloads say (docs/journal.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/frames.h"
#include "journal/journal.h"

namespace moveout::journal::local {

// A page is cut into pieces of about this size; one change is never cut (400 KB of item, escaped sixfold).
inline constexpr std::size_t kPieceBytes = 256 << 10;
inline constexpr base::FrameKind kFrames{"MJL1", 0x6a6f75726e616c, 8 << 20};

// One segment that stands before another one: which, its pages, and how many of its bytes count.
struct Kept {
  std::uint64_t owner = 0;
  std::uint64_t number = 0;
  Position first;
  Position end;
  std::uint64_t bytes = 0;
};

// What one payload is. O: an owner claims the journal. H: head, what stands before this segment. P: a piece of a page.
// C: the segment counts from here on.
struct Payload {
  char kind = 0;
  Position position;       // H: of the segment's first page; P: of this page
  std::vector<Kept> kept;  // H
  bool begins = false;     // P: an append begins here; all before it were durable then
  bool last = false;       // P: the page is complete, and the checkpoint is here
  std::string_view body;   // P: changes, not decoded
  std::string_view name;   // P, last
  std::string_view value;  // P, last
};

std::string claim_payload(std::uint64_t owner);
std::string complete_payload();
std::string head_payload(Position first, const std::vector<Kept>& kept);
// The frames' payloads of one page, in order. begins: the first page of an append.
std::vector<std::string> page_payloads(Position position, const Page& page, bool begins);

// Nothing for bytes that no encoder wrote.
std::optional<Payload> parse_payload(std::string_view bytes);
// Corrupt for the same.
base::Result<> take_changes(std::string_view body, std::vector<item::Change>& changes);

}  // namespace moveout::journal::local
