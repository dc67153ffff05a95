#include "backfill/export/lines.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>
#include <vector>

#include "aws/walk.h"
#include "base/mutant.h"
#include "item/json.h"
#include "item/slice.h"

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;
namespace ondemand = simdjson::ondemand;

std::unexpected<base::Error> corrupt(std::string what) { return base::fail(ErrorKind::Corrupt, std::move(what)); }

// The members of one line as their raw text; empty = absent.
struct Record {
  std::string_view item, keys, old_image, new_image;
  std::string_view micros;
  bool metadata = false;
};

simdjson::error_code read_micros(ondemand::value value, std::string_view* out) {
  return aws::each_member(value, [out](std::string_view name, ondemand::value member) {
    if (name != "WriteTimestampMicros") return simdjson::SUCCESS;
    ondemand::json_type type;
    if (const auto error = member.type().get(type)) return error;
    if (type != ondemand::json_type::object) {
      *out = member.raw_json_token();
      return simdjson::SUCCESS;
    }
    return aws::each_member(member, [out](std::string_view tag, ondemand::value number) {
      return tag == "N" ? number.get_string().get(*out) : simdjson::INCORRECT_TYPE;
    });
  });
}

// An object's text; blanks behind it belong to nobody.
simdjson::error_code read_object(ondemand::value value, std::string_view* out) {
  const auto error = aws::raw_object(value, out);
  while (!out->empty() && out->back() != '}') out->remove_suffix(1);
  return error;
}

// Any form of a record, by position.
Result<Record> walk_record(std::string_view line, std::size_t capacity) {
  Record record;
  thread_local ondemand::parser parser;
  ondemand::document document;
  ondemand::object top;
  simdjson::error_code error =
      parser.iterate(simdjson::padded_string_view(line.data(), line.size(), capacity)).get(document);
  if (!error) error = document.get_object().get(top);
  std::string unknown;
  if (!error) {
    error = aws::each_member(top, [&record, &unknown](std::string_view name, ondemand::value value) {
      if (name == "Item") return read_object(value, &record.item);
      if (name == "Keys") return read_object(value, &record.keys);
      if (name == "OldImage") return read_object(value, &record.old_image);
      if (name == "NewImage") return read_object(value, &record.new_image);
      if (name == "Metadata") {
        record.metadata = true;
        return read_micros(value, &record.micros);
      }
      unknown = "a member that no export has";
      return simdjson::INCORRECT_TYPE;
    });
  }
  if (!error && !document.current_location().error()) error = simdjson::TRAILING_CONTENT;
  if (!error) return record;
  return corrupt(unknown.empty() ? std::string("one JSON object a line was expected: ") + simdjson::error_message(error)
                                 : unknown);
}

std::optional<std::int64_t> micros_of(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value <= 0 || value >= (std::int64_t{1} << 53)) return std::nullopt;
  return value;
}

struct Reader {
  const item::Buffer& buffer;
  const RecordRules& rules;
  item::Batch& batch;
  LinesRead read;
  std::string key;

  Result<> add(std::string_view image, item::Version version) {
    key.clear();
    const Result<> decoded = item::append_key_of_json(rules.key, image, key);
    if (!decoded && !item::append_key_of_unreadable(rules.key, image, key)) {
      return corrupt(decoded.error().what + "; its key cannot be understood either, so it cannot be set aside");
    }
    batch.add(key, version, image, buffer);
    if (!decoded) batch.mark_unreadable(item::why_unreadable(image));
    read.bytes += image.size();
    return {};
  }

  Result<> full(std::string_view line, std::size_t capacity) {
    // As the service writes it; anything else is looked at in full.
    constexpr std::string_view head = "{\"Item\":";
    std::string_view image;
    if (line.starts_with(head) && line.ends_with("}}")) {
      image = line.substr(head.size(), line.size() - head.size() - 1);
      key.clear();
      if (item::append_key_of_json(rules.key, image, key)) {
        batch.add(key, rules.version, image, buffer);
        read.bytes += image.size();
        return {};
      }
    }
    const Result<Record> record = walk_record(line, capacity);
    if (!record) return base::fail(record.error());
    if (record->item.empty() || record->metadata || !record->keys.empty() || !record->new_image.empty()) {
      return corrupt("{\"Item\":{…}} was expected");
    }
    return add(record->item, rules.version);
  }

  Result<> incremental(std::string_view line, std::size_t capacity) {
    const Result<Record> record = walk_record(line, capacity);
    if (!record) return base::fail(record.error());
    if (!record->item.empty() || !record->metadata || record->keys.empty()) {
      return corrupt("{\"Metadata\":{…},\"Keys\":{…},…} was expected");
    }
    const std::optional<std::int64_t> micros = micros_of(record->micros);
    if (!micros) return corrupt("WriteTimestampMicros is no time in microseconds");
    const item::Version version{rules.version.era, item::Band::Incremental, *micros};
    std::string keys;
    if (const Result<> decoded = item::append_key_of_json(rules.key, record->keys, keys); !decoded) {
      return corrupt("Keys: " + decoded.error().what);
    }
    if (record->new_image.empty()) {
      batch.add(keys, version, {}, buffer);
      read.bytes += record->keys.size();
      return {};
    }
    if (Result<> added = add(record->new_image, version); !added) return added;
    if (key != keys) return corrupt("NewImage has another key than Keys");
    return {};
  }
};

}  // namespace

Result<LinesRead> read_lines(const item::Buffer& text, const RecordRules& rules, std::uint64_t first,
                             item::Batch& batch) {
  Reader reader{text, rules, batch, {}, {}};
  std::string_view rest = *text;
  MOVEOUT_ASSERT(text->capacity() >= text->size() + simdjson::SIMDJSON_PADDING);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    MOVEOUT_ASSERT(end != std::string_view::npos);
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto offset = static_cast<std::size_t>(line.data() - text->data());
    const std::size_t capacity = text->capacity() - offset;
    const Result<> added = rules.incremental ? reader.incremental(line, capacity) : reader.full(line, capacity);
    if (!added) return corrupt(fmt::format("item {}: {}", first + reader.read.items, added.error().what));
    ++reader.read.items;
  }
  return reader.read;
}

Result<item::KeySchema> key_of_record(std::string_view line) {
  std::string padded(line);
  padded.reserve(line.size() + simdjson::SIMDJSON_PADDING);
  const Result<Record> record = walk_record(padded, padded.capacity());
  if (!record) return base::fail(record.error());
  std::vector<item::KeyAttribute> parts;
  const Result<> walked = item::for_each_attribute(record->keys, [&parts](std::string_view name, item::Type type,
                                                                          std::string_view) {
    const char letter = type == item::Type::S ? 'S' : type == item::Type::N ? 'N' : type == item::Type::B ? 'B' : ' ';
    parts.push_back({std::string(name), static_cast<item::KeyType>(letter)});
  });
  if (!walked || parts.empty() || parts.size() > 2) return corrupt("Keys with one or two attributes were expected");
  for (const item::KeyAttribute& part : parts) {
    if (static_cast<char>(part.type) == ' ') return corrupt("Keys of type S, N or B were expected");
  }
  item::KeySchema schema{parts[0], std::nullopt};
  if (parts.size() == 2) schema.sort = parts[1];
  return schema;
}

}  // namespace moveout::backfill
