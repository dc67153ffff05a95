#include "replay/held_rows.h"

#include <fmt/format.h>

#include "base/json.h"
#include "item/hash.h"
#include "item/json.h"

namespace moveout::replay {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;

std::string held_row_name(std::string_view key) {
  const item::Hash128 hash = item::hash_of(key, 0);  // 128 bits: two keys never share a row
  return fmt::format("{}{:016x}{:016x}", kHeldPrefix, hash.high, hash.low);
}

std::string held_row_text(const item::Change& change) {
  return json::serialize(json::object{{"key", item::encode_base64(change.key.encoded())},
                                      {"kind", static_cast<int>(change.kind)},
                                      {"version", change.version.packed()},
                                      {"created_us", base::micros_of(change.created)},
                                      {"ttl_delete", change.ttl_delete},
                                      // As bytes: an image may be one that nobody understands.
                                      {"image", item::encode_base64(change.image)}});
}

Result<item::Change> held_row_of(std::string_view text) {
  const auto damaged = [] { return fail(ErrorKind::Corrupt, "a held change in the state is not one"); };
  const Result<json::value> value = base::parse_json(text);
  const json::object* row = value ? value->if_object() : nullptr;
  if (row == nullptr) return damaged();
  const auto number = [&](const char* name) -> const std::int64_t* {
    const json::value* found = row->if_contains(name);
    return found == nullptr ? nullptr : found->if_int64();
  };
  const auto bytes = [&](const char* name) -> Result<std::string> {
    const json::value* found = row->if_contains(name);
    if (found == nullptr || !found->is_string()) return fail(ErrorKind::Corrupt, name);
    return item::decode_base64(std::string_view(found->get_string()));
  };
  const std::int64_t *kind = number("kind"), *version = number("version"), *created = number("created_us");
  const json::value* ttl = row->if_contains("ttl_delete");
  const Result<std::string> key = bytes("key");
  Result<std::string> image = bytes("image");
  if (!kind || *kind < 0 || *kind > static_cast<int>(item::ChangeKind::Touched) || !version || !created || !ttl ||
      !ttl->is_bool() || !key || !image) {
    return damaged();
  }
  Result<item::Key> decoded = item::Key::from_encoded(*key);
  if (!decoded) return damaged();
  item::Change change;
  change.key = std::move(*decoded);
  change.kind = static_cast<item::ChangeKind>(*kind);
  change.version = item::Version::unpacked(*version);
  change.created = base::instant_of_micros(*created);
  change.ttl_delete = ttl->get_bool();
  change.image = std::move(*image);
  return change;
}

std::vector<std::string> HeldRows::keys() const {
  std::vector<std::string> all;
  for (const auto& [key, row] : rows_) all.push_back(key);
  return all;
}

bool HeldRows::plan(const std::map<std::string, Wanted>& wanted, target::Checkpoints& changes) {
  planned_.clear();
  std::size_t bytes = 0;
  target::Checkpoints more;
  for (const auto& [key, want] : wanted) {
    const auto at = rows_.find(key);
    Row row = at == rows_.end() ? Row{} : at->second;
    if (at == rows_.end() || row.page != want.page) {
      row = {want.page, key.size() + want.change->image.size()};
      more.push_back({held_row_name(key), held_row_text(*want.change)});
    }
    bytes += row.bytes;
    planned_.emplace(key, row);
  }
  if (planned_.size() > kKeysMax || bytes > kBytesMax) return false;
  for (const auto& [key, row] : rows_) {
    if (!wanted.contains(key)) more.push_back({held_row_name(key), ""});
  }
  std::move(more.begin(), more.end(), std::back_inserter(changes));
  return true;
}

}  // namespace moveout::replay
