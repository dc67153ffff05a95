#include "backfill/export/ion.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "backfill/export/ion_text.h"
#include "item/json.h"
#include "item/key.h"
#include "item/slice.h"

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;

std::unexpected<base::Error> corrupt(std::string what) { return base::fail(ErrorKind::Corrupt, std::move(what)); }

struct Record {
  std::optional<item::Map> item, keys, new_image;
  std::optional<std::int64_t> micros;
};

Result<Record> record_of(std::string_view line) {
  Result<item::Map> top = parse_ion_struct(line);
  if (!top) return base::fail(top.error());
  Record record;
  for (auto& [name, value] : *top) {
    const item::Map* inner = value.if_a<item::Map>();
    if (inner == nullptr) return corrupt("a member of the record that is no struct");
    if (name == "Metadata") {
      const auto time = inner->find("WriteTimestampMicros");
      std::int64_t micros = 0;
      const item::Number* number = time == inner->end() ? nullptr : time->second.if_a<item::Number>();
      if (number != nullptr && number->to_int64(&micros) && micros > 0 && micros < (std::int64_t{1} << 53)) {
        record.micros = micros;
      } else {
        return corrupt("WriteTimestampMicros is no time in microseconds");
      }
    } else if (name == "Item") {
      record.item = *inner;
    } else if (name == "Keys") {
      record.keys = *inner;
    } else if (name == "NewImage") {
      record.new_image = *inner;
    } else if (name != "OldImage") {
      return corrupt("a member that no export has");
    }
  }
  return record;
}

Result<> add(const item::Map& image, const RecordRules& rules, item::Version version, item::Batch& batch,
             LinesRead& read, const std::string* keys) {
  const std::string text = item::to_json(image);
  std::string key;
  // By the text, so that its limits are those of every other item.
  if (Result<> decoded = item::append_key_of_json(rules.key, text, key); !decoded) return decoded;
  if (keys != nullptr && *keys != key) return corrupt("NewImage has another key than Keys");
  batch.add_copy(key, version, text);
  read.bytes += text.size();
  return {};
}

Result<> add_record(const Record& record, const RecordRules& rules, item::Batch& batch, LinesRead& read) {
  if (!rules.incremental) {
    if (!record.item || record.micros || record.keys || record.new_image) return corrupt("{Item:{…}} was expected");
    return add(*record.item, rules, rules.version, batch, read, nullptr);
  }
  if (record.item || !record.micros || !record.keys) return corrupt("{Metadata:{…},Keys:{…},…} was expected");
  const item::Version version{rules.version.era, item::Band::Incremental, *record.micros};
  std::string keys;
  const std::string text = item::to_json(*record.keys);
  if (Result<> decoded = item::append_key_of_json(rules.key, text, keys); !decoded) return decoded;
  if (record.new_image) return add(*record.new_image, rules, version, batch, read, &keys);
  batch.add_copy(keys, version, {});
  read.bytes += text.size();
  return {};
}

}  // namespace

Result<LinesRead> read_ion_lines(std::string_view text, const RecordRules& rules, std::uint64_t first,
                                 item::Batch& batch) {
  LinesRead read;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const Result<Record> record = record_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const Result<> added = record ? add_record(*record, rules, batch, read) : Result<>(base::fail(record.error()));
    if (!added) return corrupt(fmt::format("item {}: {}", first + read.items, added.error().what));
    ++read.items;
  }
  return read;
}

Result<item::KeySchema> key_of_ion_record(std::string_view line) {
  const Result<Record> record = record_of(line);
  if (!record) return base::fail(record.error());
  if (!record->keys || record->keys->empty() || record->keys->size() > 2) {
    return corrupt("Keys with one or two attributes were expected");
  }
  // A struct's order is not kept here: the order in the line is that of the schema.
  std::vector<item::KeyAttribute> parts;
  for (const auto& [name, value] : *record->keys) {
    const item::Type type = value.type();
    if (type != item::Type::S && type != item::Type::N && type != item::Type::B) {
      return corrupt("Keys of type S, N or B were expected");
    }
    parts.push_back({name, type == item::Type::S   ? item::KeyType::S
                           : type == item::Type::N ? item::KeyType::N
                                                   : item::KeyType::B});
  }
  if (parts.size() == 2) {
    const std::size_t keys = line.find("Keys");
    const auto place = [&](const item::KeyAttribute& part) { return line.find(part.name, keys + 4); };
    if (place(parts[1]) < place(parts[0])) std::swap(parts[0], parts[1]);
  }
  item::KeySchema schema{parts[0], std::nullopt};
  if (parts.size() == 2) schema.sort = parts[1];
  return schema;
}

}  // namespace moveout::backfill
