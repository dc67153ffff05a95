#include "move/adapters.h"

#include <fmt/format.h>

#include "base/json.h"
#include "item/json.h"

namespace moveout::move {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

Task<Result<>> ReplaySink::deliver(capture::CapturedPage page) {
  target::Checkpoints checkpoints{{era_prefix_ + page.checkpoint.first, std::move(page.checkpoint.second)}};
  return replayer_.apply(std::move(page.changes), std::move(checkpoints));
}

Task<Result<>> StateCheckpoints::commit(target::Checkpoints checkpoints) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (target::Checkpoint& checkpoint : checkpoints) {
    rows.emplace_back(std::move(checkpoint.name), std::move(checkpoint.value));
  }
  return state_.set_checkpoints(std::move(rows));
}

std::string StateQuarantine::row(const std::string& key) const {
  return prefix_ + "quarantine/" + item::encode_base64(key);
}

Task<Result<>> StateQuarantine::load() {
  Result<state::Rows> rows = co_await store_.read(prefix_ + "quarantine/");
  if (!rows) co_return fail(rows.error());
  for (const auto& [name, value] : *rows) {
    Result<std::string> key = item::decode_base64(std::string_view(name).substr(prefix_.size() + 11));
    Result<json::value> parsed = base::parse_json(value);
    const json::value* version = parsed && parsed->is_object() ? parsed->get_object().if_contains("version") : nullptr;
    if (!key || version == nullptr || !version->is_int64()) {
      co_return fail(ErrorKind::Corrupt, "state: a quarantine row is damaged");
    }
    versions_[*key] = version->get_int64();
  }
  co_return Result<>();
}

Task<Result<>> StateQuarantine::put(std::vector<target::Poison> items) {
  std::vector<state::Put> puts;
  for (target::Poison& poison : items) {
    const std::int64_t version = poison.version.packed();
    const auto known = versions_.find(poison.key);
    if (known != versions_.end() && known->second >= version) continue;
    Result<item::Key> key = item::Key::from_encoded(poison.key);
    log_.warn("quarantine.put",
              {{"key_hash", fmt::format("{:016x}", key ? key->hash() : 0)}, {"reason", poison.reason}});
    puts.push_back({row(poison.key), json::serialize(json::object{
                                         {"version", version}, {"reason", poison.reason}, {"item", poison.image}})});
    versions_[poison.key] = version;
  }
  if (puts.empty()) co_return Result<>();
  std::vector<state::Expect> expects{owner_.still()};
  Result<> committed = co_await store_.commit(std::move(puts), std::move(expects));
  if (!committed && committed.error().kind == ErrorKind::Conflict) {
    co_return fail(ErrorKind::RunLocked, "another process took this run over; this one stops without writing");
  }
  co_return committed;
}

Task<Result<>> ChangedObserver::changing(std::vector<item::Key> keys) {
  if (!recording_ || keys.empty()) co_return Result<>();
  co_return co_await changed_.add(std::move(keys));
}

Task<bool> TipWatermark::passed(base::Steady instant, base::Millis patience) {
  const base::Steady until = clock_.steady() + patience;
  while (!capture_.at_tip_since(instant)) {
    if (clock_.steady() >= until) co_return false;
    co_await clock_.sleep_for(base::Millis(50));
  }
  co_return true;
}

}  // namespace moveout::move
