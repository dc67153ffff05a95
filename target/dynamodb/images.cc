#include "target/dynamodb/images.h"

#include <fmt/format.h>

#include <charconv>

#include "item/json.h"

namespace moveout::target::dynamodb {
namespace {

// The largest number of mark_text(): 20 digits.
constexpr std::size_t kMarkBytesMax = kVersionAttribute.size() + 12;

void append_key(std::string& out, std::string_view encoded, const item::KeySchema& schema) {
  const auto key = item::Key::from_encoded(std::string(encoded));
  MOVEOUT_ASSERT(key.has_value());
  item::append_json(out, key->attributes(schema));
}

bool has_version_attribute(std::string_view image) {
  // Nearly every item is let through by this search alone: without escapes a name stands as it is.
  if (image.find(kVersionAttribute) == std::string_view::npos && image.find('\\') == std::string_view::npos)
    return false;
  bool found = false;
  const auto walked = item::for_each_attribute(
      image, [&found](std::string_view name, item::Type, std::string_view) { found |= name == kVersionAttribute; });
  return walked && found;
}

// A stream image of DynamoDB Local shows the empty map {"M":{}} as {}, which no server takes: such a text is written
// anew, into `place`. Scanned items go as they came.
std::string_view writable(const item::Write& write, std::string& place) {
  if (write.version.band != item::Band::Change || write.image.find("{}") == std::string_view::npos) return write.image;
  const auto parsed = item::parse_item(write.image);
  if (!parsed) return write.image;  // for the server to refuse
  place.clear();
  item::append_json(place, *parsed);
  return place;
}

// The text of an item with one more attribute at its end.
void append_marked(std::string& out, std::string_view image, std::string_view mark) {
  const std::size_t end = image.find_last_of('}');
  MOVEOUT_ASSERT(end != std::string_view::npos);
  out += image.substr(0, end);
  // An item has its key: there is always an attribute before.
  out += ",\"";
  out += kVersionAttribute;
  out += R"(":{"N":")";
  out += mark;
  out += "\"}}";
}

}  // namespace

std::string mark_text(const Mark& mark) {
  const std::uint64_t packed = static_cast<std::uint64_t>(mark.version.packed());
  return std::to_string(packed * 2 + (mark.tombstone ? 1 : 0));
}

std::optional<Mark> mark_of_text(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  const auto packed = static_cast<std::int64_t>(number / 2);
  // The band has three values of the four that its bits allow.
  if (((packed >> 53) & 3) > static_cast<int>(item::Band::Change)) return std::nullopt;
  return Mark{item::Version::unpacked(packed), number % 2 == 1};
}

std::optional<std::string> refusal_of(const item::Write& write, bool with_mark) {
  if (write.is_delete()) return std::nullopt;
  if (with_mark && has_version_attribute(write.image)) {
    return fmt::format("it has an attribute named {}, where moveout keeps the version", kVersionAttribute);
  }
  // An item is never larger than its text: only a long one must be measured.
  const std::size_t more = with_mark ? kMarkBytesMax : 0;
  if (write.image.size() + more <= item::kItemBytesMax) return std::nullopt;
  auto parsed = item::parse_item(write.image);
  if (!parsed) return "its text is no DynamoDB item: " + parsed.error().what;
  if (with_mark) {
    const auto number = item::Number::parse(mark_text({write.version, false}));
    MOVEOUT_ASSERT(number.has_value());
    parsed->emplace(kVersionAttribute, item::Value(*number));
  }
  const std::size_t size = item::item_size(*parsed);
  if (size <= item::kItemBytesMax) return std::nullopt;
  return fmt::format("it has {} bytes{}, and a table holds items of at most {}", size,
                     with_mark ? " with its version attribute" : "", item::kItemBytesMax);
}

void append_write(std::string& out, const item::Write& write, const item::KeySchema& schema) {
  if (write.is_delete()) {
    out += R"({"DeleteRequest":{"Key":)";
    append_key(out, write.key, schema);
  } else {
    std::string place;
    out += R"({"PutRequest":{"Item":)";
    out += writable(write, place);
  }
  out += "}}";
}

std::string guarded_put(const std::string& table, const item::Write& write, const item::KeySchema& schema) {
  const std::string mark = mark_text({write.version, write.is_delete()});
  std::string body;
  body.reserve(write.image.size() + write.key.size() + table.size() + 320);
  body += R"({"TableName":)";
  item::append_json_string(body, table);
  body += R"(,"Item":)";
  if (write.is_delete()) {
    std::string key;
    append_key(key, write.key, schema);
    append_marked(body, key, mark);
  } else {
    std::string place;
    append_marked(body, writable(write, place), mark);
  }
  body += R"(,"ConditionExpression":"attribute_not_exists(#v) OR #v < :v","ExpressionAttributeNames":{"#v":")";
  body += kVersionAttribute;
  body += R"("},"ExpressionAttributeValues":{":v":{"N":")";
  body += mark;
  body += "\"}}}";
  return body;
}

std::string strip_body(const std::string& table, const item::Key& key, const item::KeySchema& schema,
                       const Mark& seen) {
  std::string body = R"({"TableName":)";
  item::append_json_string(body, table);
  body += R"(,"Key":)";
  append_key(body, key.encoded(), schema);
  if (!seen.tombstone) body += R"(,"UpdateExpression":"REMOVE #v")";
  body += fmt::format(R"(,"ConditionExpression":"#v = :seen","ExpressionAttributeNames":{{"#v":"{}"}},)"
                      R"("ExpressionAttributeValues":{{":seen":{{"N":"{}"}}}}}})",
                      kVersionAttribute, mark_text(seen));
  return body;
}

std::optional<Mark> take_mark(item::Item& item) {
  const auto at = item.find(std::string(kVersionAttribute));
  if (at == item.end() || at->second.type() != item::Type::N) return std::nullopt;
  std::optional<Mark> mark = mark_of_text(at->second.as<item::Number>().to_string());
  if (mark) item.erase(at);
  return mark;
}

}  // namespace moveout::target::dynamodb
