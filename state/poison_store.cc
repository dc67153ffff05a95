#include "state/poison_store.h"

#include <charconv>
#include <cstdio>
#include <utility>

#include "base/json.h"
#include "item/hash.h"
#include "item/json.h"

namespace moveout::state {
namespace {

using base::ErrorKind;

std::string text_of(const PoisonRow& row) {
  base::json::object object;
  object["version"] = row.version.packed();
  object["reason"] = row.reason;
  object["key"] = item::encode_base64(row.key);
  object["image"] = row.image;
  return base::json::serialize(object);
}

base::Result<PoisonRow> row_of(const std::string& text) {
  const auto damaged = [] { return base::fail(ErrorKind::Corrupt, "a quarantine row of the state is not one"); };
  auto json = base::parse_json(text);
  if (!json || !json->is_object()) return damaged();
  const base::json::object& object = json->as_object();
  const auto* version = object.if_contains("version");
  const auto* reason = object.if_contains("reason");
  const auto* key = object.if_contains("key");
  const auto* image = object.if_contains("image");
  if (!version || !version->is_int64() || !reason || !reason->is_string() || !key || !key->is_string() || !image ||
      !image->is_string()) {
    return damaged();
  }
  auto bytes = item::decode_base64(std::string_view(key->as_string()));
  if (!bytes) return damaged();
  return PoisonRow{std::move(*bytes), item::Version::unpacked(version->as_int64()),
                   std::string(std::string_view(reason->as_string())),
                   std::string(std::string_view(image->as_string()))};
}

}  // namespace

PoisonStore::PoisonStore(Store& store, std::string_view table)
    : store_(store), prefix_("quarantine/" + std::string(table) + "/") {}

std::string PoisonStore::row_name(std::string_view key) const {
  const item::Hash128 hash = item::hash_of(key, 0);  // 128 bits: two keys never share a row
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high),
                static_cast<unsigned long long>(hash.low));
  return prefix_ + text;
}

base::Task<base::Result<>> PoisonStore::load() {
  base::Result<std::vector<PoisonRow>> rows = co_await list();
  if (!rows) co_return base::fail(std::move(rows.error()));
  versions_.clear();
  replaced_ = 0;
  for (const PoisonRow& row : *rows) versions_.emplace(row.key, row.version);
  co_return base::Result<>();
}

base::Task<base::Result<std::vector<PoisonRow>>> PoisonStore::list() {
  base::Result<Rows> rows = co_await store_.read(prefix_);
  if (!rows) co_return base::fail(std::move(rows.error()));
  std::vector<PoisonRow> list;
  for (const auto& [name, text] : *rows) {
    base::Result<PoisonRow> row = row_of(text);
    if (!row) co_return base::fail(std::move(row.error()));
    list.push_back(std::move(*row));
  }
  co_return list;
}

base::Task<base::Result<>> PoisonStore::put(std::vector<PoisonRow> rows) {
  // The newest of each key, also within these.
  std::map<std::string, const PoisonRow*> newest;
  for (const PoisonRow& row : rows) {
    if (!is_news(row)) continue;
    const auto [it, added] = newest.emplace(row.key, &row);
    if (!added && it->second->version < row.version) it->second = &row;
  }
  if (newest.empty()) co_return base::Result<>();
  std::vector<Put> puts;
  for (const auto& [key, row] : newest) puts.push_back({row_name(key), text_of(*row)});
  // Before it is durable: whoever removes older rows meanwhile must leave this one alone.
  for (const auto& [key, row] : newest) replaced_ += versions_.insert_or_assign(key, row->version).second ? 0 : 1;
  co_return co_await store_.commit(std::move(puts), {});
}

std::vector<std::pair<std::string, item::Version>> PoisonStore::held() const {
  return {versions_.begin(), versions_.end()};
}

base::Task<base::Result<>> PoisonStore::forget(std::vector<std::pair<std::string, item::Version>> keys) {
  std::erase_if(keys, [this](const auto& each) {
    const auto held = versions_.find(each.first);
    return held == versions_.end() || each.second < held->second;
  });
  co_return co_await remove(std::move(keys));
}

base::Task<base::Result<>> PoisonStore::remove(std::vector<std::pair<std::string, item::Version>> rows) {
  if (rows.empty()) co_return base::Result<>();
  std::vector<Put> puts;
  for (const auto& [key, version] : rows) puts.push_back({row_name(key), std::nullopt});
  base::Result<> kept = co_await store_.commit(std::move(puts), {});
  if (!kept) co_return base::fail(std::move(kept.error()));
  for (const auto& [key, version] : rows) replaced_ += versions_.erase(key);
  co_return base::Result<>();
}

bool PoisonStore::is_news(const PoisonRow& row) const {
  const auto held = versions_.find(row.key);
  return held == versions_.end() || held->second < row.version;
}

bool PoisonStore::holds(std::string_view key) const { return versions_.find(key) != versions_.end(); }

base::Task<base::Result<>> PoisonStore::resolve(std::vector<std::pair<std::string, item::Version>> applied) {
  std::erase_if(applied, [this](const auto& each) {
    const auto held = versions_.find(each.first);
    return held == versions_.end() || !(held->second < each.second);
  });
  co_return co_await remove(std::move(applied));
}

}  // namespace moveout::state
