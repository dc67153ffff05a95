// libFuzzer over DocumentReader: any text in any pieces gives the same items, or the same error at the same byte; from
// every place the rest comes out the same; what the reader of whole pages takes, it takes.
#include <algorithm>
#include <cstring>
#include <ranges>
#include <vector>

#include "base/rng.h"
#include "item/cursor.h"
#include "item/documents.h"
#include "item/gen.h"
#include "item/json.h"
#include "item/slice.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace moveout::item {
namespace {

const KeySchema kSchema{{"pk", KeyType::S}, KeyAttribute{"sk", KeyType::N}};

struct Read {
  std::vector<std::string> items;
  std::vector<DocumentPlace> places;
  DocumentPlace end;
  std::string wrong;
};

Read read(std::string_view text, DocumentPlace from, std::size_t piece_max, base::Rng& rng) {
  Read all;
  DocumentReader reader(from);
  base::Result<> result;
  const auto take = [&] {
    const DocumentPage page = reader.take();
    for (std::size_t i = 0; i < page.items.size(); ++i) {
      all.items.emplace_back(page[i]);
      MOVEOUT_ASSERT(text[page.offset_of(page.items[i].from)] == '{');
      MOVEOUT_ASSERT(text[page.offset_of(page.items[i].from + page.items[i].size - 1)] == '}');
    }
    all.places.push_back(page.after);
  };
  for (std::size_t at = from.offset; at < text.size() && result;) {
    const std::size_t size = std::min<std::size_t>(text.size() - at, 1 + rng.below(piece_max));
    const std::vector<char> piece(text.begin() + static_cast<std::ptrdiff_t>(at),
                                  text.begin() + static_cast<std::ptrdiff_t>(at + size));
    result = reader.feed({piece.data(), piece.size()});
    at += size;
    if (rng.chance(4)) take();
  }
  if (result) result = reader.finish();
  take();
  all.end = reader.place();
  if (!result) all.wrong = result.error().what;
  return all;
}

std::string without_space(std::string_view text) {
  std::string out;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (inside && text[i] == '\\') {
      out += text[i++];
    } else if (text[i] == '"') {
      inside = !inside;
    } else if (!inside && is_json_space(text[i])) {
      continue;
    }
    out += text[i];
  }
  return out;
}

void check_against_pages(std::string_view text, const Read& all) {
  Page page;
  // A count of "-0" is one that no server writes.
  if (!slice_page_loosely(text, page) || text.find("-0") != std::string_view::npos) return;
  MOVEOUT_ASSERT(all.wrong.empty() && all.items.size() == page.items.size());
  for (std::size_t i = 0; i < page.items.size(); ++i) {
    const std::string whole = without_space(page.items[i]);
    MOVEOUT_ASSERT(whole == all.items[i] || whole == "{\"Item\":" + all.items[i] + "}");
  }
}

void fuzz(std::string_view text, std::uint64_t seed) {
  base::Rng rng(seed);
  const Read whole = read(text, {}, text.size() + 1, rng);
  const Read pieces = read(text, {}, 7, rng);
  MOVEOUT_ASSERT(whole.items == pieces.items && whole.wrong == pieces.wrong && whole.end == pieces.end);
  MOVEOUT_ASSERT(whole.items.size() == whole.end.items);
  for (const DocumentPlace& place : pieces.places) {
    if (place.offset == 0 || rng.below(pieces.places.size()) > 3) continue;  // a few of them
    const Read rest = read(text, DocumentPlace::parse(place.to_text()).value(), 20, rng);
    MOVEOUT_ASSERT(rest.wrong == whole.wrong && rest.end == whole.end);
    MOVEOUT_ASSERT(std::ranges::equal(rest.items, whole.items | std::views::drop(place.items)));
  }
  if (find_invalid_utf8(text) == std::string_view::npos) check_against_pages(text, whole);
}

// Something well-formed to go on from.
std::string fresh(base::Rng& rng) {
  std::string out;
  for (std::uint64_t block = 1 + rng.below(3); block > 0; --block) {
    const std::uint64_t shape = rng.below(3);
    const std::uint64_t count = rng.below(3);
    if (shape == 1) out += "[";
    if (shape == 2) out += "{\"Count\":" + std::to_string(count) + ",\"Items\":[";
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string item = random_json(rng, random_item(rng, kSchema, {2, 2, 4, true}));
      out += (i == 0 || shape == 0 ? "\n" : ",") + (rng.chance(2) ? item : "{\"Item\":" + item + "}");
    }
    if (shape == 1) out += "]";
    if (shape == 2) out += rng.chance(2) ? "]}" : R"(],"NextToken":"x"})";
  }
  return out;
}

std::string altered(std::string text, base::Rng& rng) {
  constexpr std::string_view kTokens[] = {"{",         "}",         "[",
                                          "]",         ",",         ":",
                                          "\"",        "\\",        " ",
                                          "\n",        "1",         "null",
                                          "\"Item\"",  "\"Items\"", "{}",
                                          "[]",        "-1e2",      "\"S\"",
                                          "\"Count\"", "\\u0031",   "{\"Items\":[",
                                          "]}",        "true",      "\xEF\xBB\xBF",
                                          "{\"Item\":"};
  constexpr std::string_view kBorders = "{}[],:\"\\";
  const auto border = [&](std::size_t from) { return std::min(text.find_first_of(kBorders, from), text.size()); };
  const std::size_t at = border(rng.below(text.size() + 1));
  const std::size_t end = rng.chance(2) ? at : std::min(text.size(), border(at + 1) + rng.below(2));
  return text.replace(at, end - at, rng.chance(4) ? "" : kTokens[rng.below(std::size(kTokens))]);
}

}  // namespace
}  // namespace moveout::item

// The first byte is the seed of the pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  moveout::item::fuzz({reinterpret_cast<const char*>(data) + 1, size - 1}, data[0]);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t size_max,
                                               unsigned int seed) {
  moveout::base::Rng rng(seed);
  if (size > 1 && rng.chance(2)) return 1 + LLVMFuzzerMutate(data + 1, size - 1, size_max - 1);
  std::string text = size > 1 && !rng.chance(8)
                         ? moveout::item::altered({reinterpret_cast<const char*>(data) + 1, size - 1}, rng)
                         : moveout::item::fresh(rng);
  size = std::min(size_max, text.size() + 1);
  data[0] = static_cast<std::uint8_t>(rng.below(256));
  std::memcpy(data + 1, text.data(), size - 1);
  return size;
}
