#include "move/table_state.h"

#include <charconv>

#include "base/json.h"
#include "base/mutant.h"

namespace moveout::move {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

constexpr const char* kOwnerRow = "owner";

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::New:
      return "new";
    case Stage::Backfill:
      return "backfill";
    case Stage::Seal:
      return "seal";
    case Stage::Replay:
      return "replay";
    case Stage::Verify:
      return "verify";
    case Stage::Verified:
      return "verified";
    case Stage::Copied:
      return "copied";
    case Stage::Finished:
      return "finished";
  }
  return "new";
}

Result<Stage> stage_of(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Stage::Finished); ++i) {
    const auto stage = static_cast<Stage>(i);
    if (name_of(stage) == name) return stage;
  }
  return fail(ErrorKind::Corrupt, "state: unknown stage \"" + std::string(name) + "\"");
}

json::value to_json(const item::KeyAttribute& attribute) {
  return {{"name", attribute.name}, {"type", std::string(1, static_cast<char>(attribute.type))}};
}

// Reads members of one state row; the first that is absent or of another type makes the row Corrupt.
class RowReader {
 public:
  RowReader(std::string name, const json::value& value) : name_(std::move(name)), object_(value.if_object()) {
    if (object_ == nullptr) wrong("the row");
  }
  std::string text(const char* member) {
    const json::value* value = find(member);
    if (value != nullptr && value->is_string()) return std::string(value->get_string());
    return wrong(member), std::string();
  }
  std::int64_t number(const char* member) {
    const json::value* value = find(member);
    if (value != nullptr && value->is_int64()) return value->get_int64();
    return wrong(member), 0;
  }
  bool flag(const char* member) {
    const json::value* value = find(member);
    if (value != nullptr && value->is_bool()) return value->get_bool();
    return wrong(member), false;
  }
  const json::value* find(const char* member) { return object_ == nullptr ? nullptr : object_->if_contains(member); }
  void wrong(std::string_view member) {
    if (error_.empty()) error_ = "state row " + name_ + ": " + std::string(member) + " is missing or of a wrong type";
  }
  Result<> done() const { return error_.empty() ? Result<>() : fail(ErrorKind::Corrupt, error_); }

 private:
  std::string name_;
  const json::object* object_;
  std::string error_;
};

std::string to_text(const SourceIdentity& source) {
  json::object object{{"arn", source.arn},
                      {"id", source.id},
                      {"created_us", source.created_us},
                      {"partition", to_json(source.key.partition)}};
  if (source.key.sort) object["sort"] = to_json(*source.key.sort);
  return json::serialize(object);
}

item::KeyAttribute key_attribute(RowReader& row, const char* member) {
  const json::value* value = row.find(member);
  if (value == nullptr) return row.wrong(member), item::KeyAttribute();
  RowReader inner(member, *value);
  item::KeyAttribute attribute{inner.text("name"), item::KeyType::S};
  const std::string type = inner.text("type");
  if (type.size() != 1 || std::string_view("SNB").find(type) == std::string_view::npos || !inner.done())
    row.wrong(member);
  if (!type.empty()) attribute.type = static_cast<item::KeyType>(type[0]);
  return attribute;
}

Result<SourceIdentity> source_of(const std::string& name, std::string_view text) {
  Result<json::value> value = base::parse_json(text);
  if (!value) return fail(value.error());
  RowReader row(name, *value);
  SourceIdentity source;
  source.arn = row.text("arn");
  source.id = row.text("id");
  source.created_us = row.number("created_us");
  source.key.partition = key_attribute(row, "partition");
  if (row.find("sort") != nullptr) source.key.sort = key_attribute(row, "sort");
  if (Result<> done = row.done(); !done) return fail(done.error());
  return source;
}

std::string to_text(const Era& era) {
  return json::serialize(json::object{{"number", era.number},
                                      {"t0_us", era.t0_us},
                                      {"stream_arn", era.stream_arn},
                                      {"level_triggered", era.level_triggered},
                                      {"segments", era.segments},
                                      {"stage", name_of(era.stage)}});
}

Result<Era> era_of(const std::string& name, std::string_view text) {
  Result<json::value> value = base::parse_json(text);
  if (!value) return fail(value.error());
  RowReader row(name, *value);
  Era era;
  era.number = static_cast<std::uint32_t>(row.number("number"));
  era.t0_us = row.number("t0_us");
  era.stream_arn = row.text("stream_arn");
  era.level_triggered = row.flag("level_triggered");
  era.segments = static_cast<int>(row.number("segments"));
  Result<Stage> stage = stage_of(row.text("stage"));
  if (Result<> done = row.done(); !done) return fail(done.error());
  if (!stage) return fail(stage.error());
  era.stage = *stage;
  return era;
}

}  // namespace

state::Expect Owner::still() const { return {kOwnerRow, std::to_string(epoch)}; }

Task<Result<Owner>> take_ownership(state::Store& store, std::string urls, std::string fresh_run_id) {
  Result<state::Rows> rows = co_await store.read("");
  if (!rows) co_return fail(rows.error());
  Owner owner;
  std::vector<state::Put> puts;
  std::vector<state::Expect> expects;
  const auto run = rows->find("run");
  if (run == rows->end()) {
    owner.run_id = fresh_run_id;
    puts.push_back({"run", json::serialize(json::object{{"run_id", fresh_run_id}, {"urls", urls}})});
    expects.push_back({"run", std::nullopt});
  } else {
    Result<json::value> value = base::parse_json(run->second);
    if (!value) co_return fail(value.error());
    RowReader row("run", *value);
    owner.run_id = row.text("run_id");
    const std::string known = row.text("urls");
    if (Result<> done = row.done(); !done) co_return fail(done.error());
    if (!urls.empty() && known != urls) {
      co_return fail(ErrorKind::Usage, "the state folder belongs to another move (" + known + "), not to this one (" +
                                           urls + "): give this one its own --state");
    }
  }
  const auto old = rows->find(kOwnerRow);
  std::optional<std::string> before;
  if (old != rows->end()) {
    before = old->second;
    const auto [end, ec] = std::from_chars(old->second.data(), old->second.data() + old->second.size(), owner.epoch);
    if (ec != std::errc() || end != old->second.data() + old->second.size()) {
      co_return fail(ErrorKind::Corrupt, "state: the owner row is not a number");
    }
  }
  ++owner.epoch;
  expects.push_back({kOwnerRow, before});
  puts.push_back({kOwnerRow, std::to_string(owner.epoch)});
  Result<> committed = co_await store.commit(std::move(puts), std::move(expects));
  if (!committed && committed.error().kind == ErrorKind::Conflict) {
    co_return fail(ErrorKind::RunLocked, "another process took this run over at the same moment");
  }
  if (!committed) co_return fail(committed.error());
  co_return owner;
}

Task<Result<std::optional<std::string>>> urls_of(state::Store& store) {
  Result<state::Rows> rows = co_await store.read("run");
  if (!rows) co_return fail(rows.error());
  const auto run = rows->find("run");
  if (run == rows->end()) co_return std::nullopt;
  Result<json::value> value = base::parse_json(run->second);
  if (!value) co_return fail(value.error());
  RowReader row("run", *value);
  std::string urls = row.text("urls");
  if (Result<> done = row.done(); !done) co_return fail(done.error());
  co_return urls;
}

TableState::TableState(state::Store& store, Owner owner, std::string table)
    : store_(store), owner_(std::move(owner)), prefix_("table/" + table + "/") {}

Task<Result<>> TableState::load() {
  Result<state::Rows> rows = co_await store_.read(prefix_);
  if (!rows) co_return fail(rows.error());
  const std::string checkpoint_prefix = prefix_ + "checkpoint/";
  for (const auto& [name, value] : *rows) {
    if (name == prefix_ + "source") {
      Result<SourceIdentity> source = source_of(name, value);
      if (!source) co_return fail(source.error());
      source_ = std::move(*source);
    } else if (name == prefix_ + "era") {
      Result<Era> era = era_of(name, value);
      if (!era) co_return fail(era.error());
      era_ = std::move(*era);
    } else if (name == prefix_ + "columns") {
      columns_ = value;
    } else if (name == prefix_ + "target_opened") {
      target_opened_ = true;
    } else if (name == prefix_ + "target_identity") {
      target_identity_ = value;
    } else if (name.starts_with(checkpoint_prefix)) {
      checkpoints_[name.substr(checkpoint_prefix.size())] = value;
    }
  }
  co_return Result<>();
}

Task<Result<>> TableState::commit(std::vector<state::Put> puts) {
  std::vector<state::Expect> expects{owner_.still()};
  if (base::mutant("deposed_writes_state")) expects.clear();
  Result<> committed = co_await store_.commit(std::move(puts), std::move(expects));
  if (!committed && committed.error().kind == ErrorKind::Conflict) {
    co_return fail(ErrorKind::RunLocked, "another process took this run over; this one stops without writing");
  }
  co_return committed;
}

Task<Result<>> TableState::set_source(SourceIdentity source) {
  std::vector<state::Put> puts{{prefix_ + "source", to_text(source)}};
  source_ = std::move(source);
  return commit(std::move(puts));
}

Task<Result<>> TableState::set_columns(std::string columns) {
  columns_ = columns;
  return commit({{prefix_ + "columns", std::move(columns)}});
}

Task<Result<>> TableState::set_target_opened(std::string identity) {
  target_opened_ = true;
  std::vector<state::Put> puts{{prefix_ + "target_opened", "1"}};
  if (!identity.empty()) puts.push_back({prefix_ + "target_identity", identity});
  target_identity_ = std::move(identity);
  return commit(std::move(puts));
}

Task<Result<>> TableState::open_era(Era era) {
  std::vector<state::Put> puts{{prefix_ + "era", to_text(era)}};
  if (era_) puts.push_back({prefix_ + "history/" + std::to_string(era_->number), to_text(*era_)});
  era_ = std::move(era);
  return commit(std::move(puts));
}

Task<Result<>> TableState::set_stage(Stage stage) {
  MOVEOUT_ASSERT(era_.has_value());
  era_->stage = stage;
  return commit({{prefix_ + "era", to_text(*era_)}});
}

Task<Result<>> TableState::set_checkpoints(std::vector<std::pair<std::string, std::string>> checkpoints) {
  std::vector<state::Put> puts;
  for (auto& [name, value] : checkpoints) {
    const std::string row = prefix_ + "checkpoint/" + name;
    puts.push_back(value.empty() ? state::Put{row, std::nullopt} : state::Put{row, std::move(value)});
  }
  return commit(std::move(puts));
}

}  // namespace moveout::move
