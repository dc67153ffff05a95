#include "capture/shard_state.h"

#include "base/json.h"
#include "base/mutant.h"
#include "capture/fold.h"
#include "item/version.h"

namespace moveout::capture {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;

namespace {

Result<json::object> parse_row(std::string_view text) {
  Result<json::value> value = base::parse_json(text);
  if (!value) return fail(value.error());
  if (!value->is_object()) return fail(ErrorKind::Corrupt, "a shard checkpoint is not an object");
  return std::move(value->as_object());
}

std::unexpected<base::Error> bad_row(const char* what) {
  return fail(ErrorKind::Corrupt, std::string("a shard checkpoint has no valid ") + what);
}

bool read_set(const json::object& row, const char* name, std::set<std::string>* out) {
  const json::value* list = row.if_contains(name);
  if (list == nullptr || !list->is_array()) return false;
  for (const json::value& id : list->get_array()) {
    if (!id.is_string()) return false;
    out->emplace(id.get_string());
  }
  return true;
}

json::array array_of(const std::set<std::string>& ids) {
  json::array list;
  for (const std::string& id : ids) list.emplace_back(id);
  return list;
}

}  // namespace

std::string ShardState::encode() const {
  json::object row;
  row["seq"] = seq;
  row["prev"] = base::mutant("seq_without_prev") ? 0 : prev;
  row["finished"] = finished;
  row["parent"] = parent;
  row["newest"] = base::micros_of(newest);
  row["seen"] = base::micros_of(seen);
  return json::serialize(row);
}

Result<ShardState> ShardState::decode(std::string_view text) {
  Result<json::object> row = parse_row(text);
  if (!row) return fail(row.error());
  const json::value* seq = row->if_contains("seq");
  const json::value* prev = row->if_contains("prev");
  const json::value* finished = row->if_contains("finished");
  const json::value* parent = row->if_contains("parent");
  const json::value* newest = row->if_contains("newest");
  const json::value* seen = row->if_contains("seen");
  ShardState state;
  if (!seq || !seq->is_string()) return bad_row("seq");
  state.seq = seq->get_string();
  if (!state.seq.empty() && !is_sequence(state.seq)) return bad_row("seq");
  if (!prev || !prev->is_int64()) return bad_row("prev");
  state.prev = prev->get_int64();
  if (state.prev < 0 || state.prev % item::kFoldStep != 0) return bad_row("prev");
  if (!finished || !finished->is_bool()) return bad_row("finished");
  state.finished = finished->get_bool();
  if (!parent || !parent->is_string()) return bad_row("parent");
  state.parent = parent->get_string();
  if (!newest || !newest->is_int64()) return bad_row("newest");
  state.newest = base::instant_of_micros(newest->get_int64());
  if (!seen || !seen->is_int64()) return bad_row("seen");
  state.seen = base::instant_of_micros(seen->get_int64());
  return state;
}

std::string StartRow::encode() const {
  json::object row;
  row["history"] = array_of(history);
  row["closed"] = array_of(closed);
  return json::serialize(row);
}

Result<StartRow> StartRow::decode(std::string_view text) {
  Result<json::object> row = parse_row(text);
  if (!row) return fail(row.error());
  StartRow start;
  if (!read_set(*row, "history", &start.history)) return bad_row("history");
  if (!read_set(*row, "closed", &start.closed)) return bad_row("closed");
  return start;
}

}  // namespace moveout::capture
