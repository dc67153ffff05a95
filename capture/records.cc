#include "capture/records.h"

#include <algorithm>
#include <string>

#include "base/mutant.h"
#include "capture/fold.h"
#include "item/json.h"
#include "item/slice.h"

namespace moveout::capture {

using base::ErrorKind;
using base::fail;
using base::Result;
using item::ChangeKind;

namespace {

// Version::t has 53 bits.
constexpr std::int64_t kCreatedMax = (std::int64_t{1} << 53) - (std::int64_t{1} << 40);

bool names_key(const item::KeyAttribute& key, std::string_view name, item::Type type) {
  const char letter = static_cast<char>(key.type);
  return name == key.name && std::string_view(item::tag_of(type)) == std::string_view(&letter, 1);
}

Result<item::Key> key_of_record(const item::KeySchema& schema, std::string_view keys) {
  int matched = 0;
  bool other = false;
  Result<> walked = item::for_each_attribute(keys, [&](std::string_view name, item::Type type, std::string_view) {
    const bool known = names_key(schema.partition, name, type) || (schema.sort && names_key(*schema.sort, name, type));
    known ? void(++matched) : void(other = true);
  });
  if (!walked) return fail(walked.error());
  if (other || matched != (schema.sort ? 2 : 1)) {
    return fail(ErrorKind::SchemaChanged, "its keys are not those of the table's key schema");
  }
  return item::key_of_json(schema, keys);
}

// DynamoDB Local names the deletes of its TTL reaper so, and gives them no userIdentity.
bool unnamed_delete(const aws::StreamRecord& record) {
  return record.event_name == "UNKNOWN_TO_SDK_VERSION" && record.new_image.empty();
}

Result<item::Change> change_of(const RecordRules& rules, const aws::StreamRecord& record, std::int64_t t) {
  Result<item::Key> key = key_of_record(rules.key, record.keys);
  if (!key) return fail(key.error());
  item::Change change;
  change.key = std::move(*key);
  change.created = record.created;
  change.ttl_delete = record.ttl_delete || unnamed_delete(record);
  const bool removed = record.event_name == "REMOVE" || unnamed_delete(record);
  if (!removed && record.event_name != "INSERT" && record.event_name != "MODIFY") {
    return fail(ErrorKind::Corrupt, "its event name is unknown");
  }
  if (rules.level_triggered) {
    change.kind = ChangeKind::Touched;
    return change;
  }
  if (removed != record.new_image.empty()) {
    return fail(ErrorKind::Corrupt, removed ? "it is a delete with a new image" : "it has no new image");
  }
  if (!removed) {
    std::string of_image;
    if (Result<> sound = item::append_key_of_json(rules.key, record.new_image, of_image); !sound) {
      // Its key alone can be understood: it is set aside, and the records around it go their way.
      if (!item::append_key_of_unreadable(rules.key, record.new_image, of_image)) return fail(sound.error());
      change.unreadable = item::why_unreadable(record.new_image);
    }
    if (of_image != change.key.encoded()) return fail(ErrorKind::Corrupt, "its new image has another key");
  }
  change.kind = removed ? ChangeKind::Delete : ChangeKind::Put;
  change.version = item::Version{rules.era, item::Band::Change, t};
  change.image = record.new_image;
  return change;
}

}  // namespace

Result<Folded> fold_page(const RecordRules& rules, const ShardState& at, const aws::RecordsPage& page, bool reopened) {
  Folded folded;
  folded.next = at;
  folded.changes.reserve(page.records.size());
  bool repeated = reopened && !at.seq.empty();
  for (const aws::StreamRecord& record : page.records) {
    const std::int64_t created = base::micros_of(record.created);
    if (!is_sequence(record.sequence) || created < 0 || created > kCreatedMax) {
      return fail(ErrorKind::Corrupt, "record " + (is_sequence(record.sequence) ? record.sequence : "?") +
                                          ": its sequence number or creation time cannot be");
    }
    if (repeated && !sequence_less(at.seq, record.sequence)) continue;
    repeated = false;
    folded.next.prev = fold(folded.next.prev, record.created);
    Result<item::Change> change = change_of(rules, record, folded.next.prev);
    if (!change) {
      if (base::mutant("page_dropped_for_bad_record")) {
        folded.changes.clear();
        folded.next.seq = page.records.back().sequence;
        return folded;
      }
      return fail(change.error().kind, "record " + record.sequence + ": " + change.error().what);
    }
    folded.next.seq = record.sequence;
    folded.next.newest = std::max(folded.next.newest, record.created);
    if (record.created < rules.covered_from) continue;
    folded.changes.push_back(std::move(*change));
  }
  return folded;
}

}  // namespace moveout::capture
