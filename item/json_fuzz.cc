// libFuzzer over everything that reads bytes from outside: items, pages, numbers, keys, base64. What is accepted must
// come back the same from every other way of reading it, and be JSON by simdjson's reading.
#include <simdjson.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/rng.h"
#include "item/cursor.h"
#include "item/gen.h"
#include "item/hash.h"
#include "item/index.h"
#include "item/json.h"
#include "item/slice.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace moveout::item {
namespace {

const KeySchema kSchema{{"pk", KeyType::S}, KeyAttribute{"sk", KeyType::N}};

void check_json(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  // simdjson holds numbers in 64 bits and refuses what does not fit.
  const auto error = parser.parse(text.data(), text.size()).get(root);
  MOVEOUT_ASSERT(error == simdjson::SUCCESS || error == simdjson::NUMBER_ERROR);
}

template <class AnyCursor>
bool walks(AnyCursor cursor) {
  AnyCursor any = cursor;
  const bool item = cursor.attributes([](const RawString&, Type, std::string_view) { return true; }) && cursor.finish();
  const bool json = any.any_value() && any.finish();
  MOVEOUT_ASSERT(json || !item);
  return item;
}

void fuzz_cursors(std::string_view text) {
  const bool by_text = find_invalid_utf8(text) == std::string_view::npos && walks(Cursor(text));
  Index index;
  const bool by_index = index.build(text) && walks(IndexCursor(text, index));
  MOVEOUT_ASSERT(by_text == by_index);
}

void fuzz_item(std::string_view text) {
  fuzz_cursors(text);
  const auto item = parse_item(text);
  Item walked;
  bool values_good = true;
  const auto walk = for_each_attribute(text, [&](std::string_view name, Type type, std::string_view raw) {
    auto value = parse_value("{\"" + std::string(tag_of(type)) + "\":" + std::string(raw) + "}");
    values_good = values_good && value.has_value();
    if (value) MOVEOUT_ASSERT(walked.emplace(name, std::move(*value)).second);
  });
  MOVEOUT_ASSERT(item.has_value() == (walk.has_value() && values_good));
  const auto key_by_text = key_of_json(kSchema, text);
  if (!item) return;
  check_json(text);
  MOVEOUT_ASSERT(walked == *item);
  const std::string canonical = to_json(*item);
  const auto again = parse_item(canonical);
  MOVEOUT_ASSERT(again && *again == *item && to_json(*again) == canonical);
  MOVEOUT_ASSERT(canonical_hash(*again, 1) == canonical_hash(*item, 1));
  MOVEOUT_ASSERT(item_size(*again) == item_size(*item));
  const auto key = key_of(kSchema, *item);
  MOVEOUT_ASSERT(key.has_value() == key_by_text.has_value());
  if (!key) return;
  MOVEOUT_ASSERT(*key == *key_by_text && *Key::from_encoded(key->encoded()) == *key);
  const std::string page_text = "{\"Items\":[" + std::string(text) + "]}";
  Page page;
  MOVEOUT_ASSERT(slice_page(page_text, kSchema, page) && page.items.size() == 1 && page.key(0) == key->encoded());
}

void fuzz_page(std::string_view text) {
  Page page;
  Page unkeyed;
  const bool good = slice_page(text, kSchema, page).has_value();
  const bool good_unkeyed = slice_page(text, unkeyed).has_value();
  Page loose;
  if (slice_page_loosely(text, loose)) {
    for (const std::string_view item : loose.items) {
      std::string strict, loosely;
      if (!append_key_of_json(kSchema, item, strict))
        (void)append_key_of_unreadable(kSchema, item, loosely).has_value();
      if (!strict.empty()) MOVEOUT_ASSERT(append_key_of_unreadable(kSchema, item, loosely) && strict == loosely);
    }
  } else {
    MOVEOUT_ASSERT(!good);
  }
  if (!good) return;
  MOVEOUT_ASSERT(good_unkeyed && unkeyed.items == page.items && unkeyed.last_evaluated_key == page.last_evaluated_key);
  check_json(text);
  const auto ignore = [](std::string_view, Type, std::string_view) {};
  for (std::size_t i = 0; i < page.items.size(); ++i) {
    const auto key = key_of_json(kSchema, page.items[i]);
    MOVEOUT_ASSERT(key && key->encoded() == page.key(i));
    if (const auto item = parse_item(page.items[i])) {
      MOVEOUT_ASSERT(for_each_attribute(page.items[i], ignore) && Key::of(kSchema, *item) == *key);
    }
  }
  if (!page.last_evaluated_key.empty()) check_json(page.last_evaluated_key);
}

void fuzz_scalars(std::string_view text) {
  if (const auto number = Number::parse(text)) {
    const auto again = Number::parse(number->to_string());
    MOVEOUT_ASSERT(again && *again == *number && (*again <=> *number) == std::strong_ordering::equal);
    std::int64_t whole = 0;
    if (number->to_int64(&whole)) MOVEOUT_ASSERT(Number::of(whole) == *number);
  }
  if (const auto key = Key::from_encoded(std::string(text))) {
    const std::size_t first =
        5 + (static_cast<std::size_t>(static_cast<unsigned char>(text[3])) << 8) + static_cast<unsigned char>(text[4]);
    KeySchema schema{{"p", static_cast<KeyType>(text[0])}, {}};
    if (first < text.size()) schema.sort = KeyAttribute{"s", static_cast<KeyType>(text[first])};
    MOVEOUT_ASSERT(Key::of(schema, key->attributes(schema)) == *key);
  }
  if (const auto bytes = decode_base64(text); bytes && !text.starts_with('"')) {
    MOVEOUT_ASSERT(encode_base64(*bytes) == text);
  }
}

// Something well-formed to go on from, so that mutations start beyond the first brace.
std::string fresh(char kind, base::Rng& rng) {
  if (kind == 'n') return random_spelling(rng, random_number(rng));
  if (kind == 'i') return random_json(rng, random_item(rng, kSchema));
  std::string body = R"({"Count":)";
  const std::size_t count = rng.below(4);
  body += std::to_string(count) + ",\"Items\":[";
  for (std::size_t i = 0; i < count; ++i) {
    const Item item = random_item(rng, kSchema);
    body += (i == 0 ? "" : ",") + (rng.chance(2) ? to_json(item) : random_json(rng, item));
  }
  return body + R"(],"LastEvaluatedKey":{"pk":{"S":"a"}},"ConsumedCapacity":{"CapacityUnits":1.5},"ScannedCount":1})";
}

// One token put in, taken out, or put in another's place: what random bytes take long to hit upon.
std::string altered(std::string text, base::Rng& rng) {
  constexpr std::string_view kTokens[] = {
      "\"S\"",   "\"N\"", "\"B\"", "\"M\"", "\"L\"",     "\"SS\"", "\"NS\"", "\"BS\"", "\"BOOL\"", "\"NULL\"",
      "true",    "false", "null",  "1",     "\"1\"",     "\"\"",   "\"pk\"", "\"sk\"", "{",        "}",
      "[",       "]",     ",",     ":",     " ",         "\n",     "\"",     "\\",     "\\u0031",  "\\ud800",
      "\\udc00", "{}",    "[]",    "x",     "\"Items\"", "-0",     "1e40"};
  constexpr std::string_view kBorders = "{}[],:\"\\";
  const auto border = [&](std::size_t from) { return std::min(text.find_first_of(kBorders, from), text.size()); };
  const std::size_t at = border(rng.below(text.size() + 1));
  const std::size_t end = rng.chance(2) ? at : std::min(text.size(), border(at + 1) + rng.below(2));
  const std::string_view token = kTokens[rng.below(std::size(kTokens))];
  return text.replace(at, end - at, rng.chance(4) ? "" : token);
}

}  // namespace
}  // namespace moveout::item

// The first byte chooses what the rest is: 'i' an item, 'p' a page, anything else a number, a key or base64.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // A copy of its own, so that a read beyond its end is seen.
  const std::vector<char> bytes(data + 1, data + size);
  const std::string_view text(bytes.data(), bytes.size());
  switch (data[0]) {
    case 'i':
      moveout::item::fuzz_item(text);
      break;
    case 'p':
      moveout::item::fuzz_page(text);
      break;
    default:
      moveout::item::fuzz_scalars(text);
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t size_max,
                                               unsigned int seed) {
  moveout::base::Rng rng(seed);
  if (size > 1 && rng.chance(2)) return 1 + LLVMFuzzerMutate(data + 1, size - 1, size_max - 1);
  char kind = static_cast<char>(size > 0 ? data[0] : 0);
  std::string text;
  if (size > 1 && !rng.chance(8)) {
    text = moveout::item::altered({reinterpret_cast<const char*>(data) + 1, size - 1}, rng);
  } else {
    kind = "ipn"[rng.below(3)];
    text = moveout::item::fresh(kind, rng);
  }
  size = std::min(size_max, text.size() + 1);
  data[0] = static_cast<std::uint8_t>(kind);
  std::memcpy(data + 1, text.data(), size - 1);
  return size;
}
