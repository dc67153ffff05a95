#include "app/pages.h"

#include <fmt/format.h>

#include <functional>

namespace moveout::app {

namespace json = base::json;
using base::fail;
using base::Result;
using base::Task;

namespace {

struct Metric {
  const char* name;
  const char* type;
  const char* help;
  std::function<double(const move::Snapshot&)> value;
};

// Label values escape backslash, quote and line feed (Prometheus exposition format).
std::string label(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

const std::vector<Metric>& metrics() {
  using move::Snapshot;
  static const std::vector<Metric> all{
      {"moveout_phase", "gauge", "0 capture, 1 backfill, 2 replay, 3 verify, 4 in sync, 5 finish",
       [](const Snapshot& s) { return static_cast<double>(s.phase); }},
      {"moveout_backfill_items_total", "counter",
       "Source items acknowledged by the target, or compared while verifying",
       [](const Snapshot& s) { return static_cast<double>(s.items); }},
      {"moveout_backfill_bytes_total", "counter", "Bytes of DynamoDB JSON back-filled",
       [](const Snapshot& s) { return static_cast<double>(s.bytes); }},
      {"moveout_source_items", "gauge", "Items of the source table as DynamoDB estimates them",
       [](const Snapshot& s) { return static_cast<double>(s.total_items); }},
      {"moveout_segments_done", "gauge", "Scan segments completed",
       [](const Snapshot& s) { return double(s.segments_done); }},
      {"moveout_segments", "gauge", "Scan segments of the run", [](const Snapshot& s) { return double(s.segments); }},
      {"moveout_lag_seconds", "gauge", "Age of the oldest change not applied; 0 at the tip",
       [](const Snapshot& s) { return static_cast<double>(s.lag_ms) / 1000; }},
      {"moveout_changes_applied_total", "counter", "Changes applied to the target by this process",
       [](const Snapshot& s) { return static_cast<double>(s.changes_applied); }},
      {"moveout_changes_stale_total", "counter", "Changes that found something newer in the target",
       [](const Snapshot& s) { return static_cast<double>(s.changes_stale); }},
      {"moveout_shards_open", "gauge", "Stream shards being read",
       [](const Snapshot& s) { return double(s.shards_open); }},
      {"moveout_changed_keys", "gauge", "Keys that changed since they were compared",
       [](const Snapshot& s) { return static_cast<double>(s.changed_keys); }},
      {"moveout_quarantined_items", "gauge", "Items set aside because the target cannot hold them",
       [](const Snapshot& s) { return static_cast<double>(s.quarantined); }},
      {"moveout_consumed_rcu_total", "counter", "Read capacity units consumed on the source",
       [](const Snapshot& s) { return s.consumed_rcu; }},
      {"moveout_paused", "gauge", "1 while the back-fill is paused",
       [](const Snapshot& s) { return s.paused ? 1.0 : 0.0; }},
  };
  return all;
}

}  // namespace

std::string metrics_page(const move::Work& work) {
  std::string page;
  const auto snapshots = work.snapshots();
  for (const Metric& metric : metrics()) {
    page += fmt::format("# HELP {} {}\n# TYPE {} {}\n", metric.name, metric.help, metric.name, metric.type);
    for (const auto& [table, snapshot] : snapshots) {
      page += fmt::format("{}{{table=\"{}\"}} {}\n", metric.name, label(table), metric.value(snapshot));
    }
  }
  return page;
}

json::object status_of(const move::Work& work) {
  json::array tables;
  for (const auto& [table, at] : work.snapshots()) {
    tables.push_back(json::object{{"table", table},
                                  {"phase", move::name_of(at.phase)},
                                  {"items", at.items},
                                  {"total_items", at.total_items},
                                  {"bytes", at.bytes},
                                  {"segments_done", at.segments_done},
                                  {"segments", at.segments},
                                  {"lag_ms", at.lag_ms},
                                  {"changes_applied", at.changes_applied},
                                  {"changed_keys", at.changed_keys},
                                  {"quarantined", at.quarantined},
                                  {"consumed_rcu", at.consumed_rcu},
                                  {"paused", at.paused}});
  }
  return {{"running", true}, {"tables", std::move(tables)}};
}

namespace {

// The stage that the state remembers, in the words of the phases.
std::string_view phase_of(std::string_view stage) {
  if (stage == "seal" || stage == "copied") return "backfill";
  if (stage == "new") return "capture";
  if (stage == "verified") return "verify";
  return stage == "finished" ? "finish" : stage;
}

}  // namespace

Task<Result<json::object>> status_of(state::Store& store) {
  Result<state::Rows> rows = co_await store.read("");
  if (!rows) co_return fail(rows.error());
  json::array tables;
  for (const auto& [name, value] : *rows) {
    // "table/<T>/era" holds the stage; a table's name has no '/'.
    if (!name.starts_with("table/") || !name.ends_with("/era")) continue;
    const std::string table = name.substr(6, name.size() - 6 - 4);
    Result<json::value> era = base::parse_json(value);
    if (!era || !era->is_object() || era->get_object().if_contains("stage") == nullptr ||
        !era->get_object().at("stage").is_string()) {
      co_return fail(base::ErrorKind::Corrupt, "state: row " + name + " is damaged");
    }
    std::uint64_t quarantined = 0;
    const std::string prefix = "quarantine/" + table + "/";
    for (auto it = rows->lower_bound(prefix); it != rows->end() && it->first.starts_with(prefix); ++it) ++quarantined;
    const json::object& object = era->get_object();
    tables.push_back(json::object{{"table", table},
                                  {"phase", phase_of(std::string_view(object.at("stage").as_string()))},
                                  {"stage", object.at("stage")},
                                  {"era", object.at("number")},
                                  {"segments", object.at("segments")},
                                  {"quarantined", quarantined}});
  }
  co_return json::object{{"running", false}, {"tables", std::move(tables)}};
}

std::string status_text(const json::object& status) {
  const bool running = status.at("running").as_bool();
  std::string text = running ? "running\n" : "not running; `moveout run` with the same arguments goes on\n";
  for (const json::value& each : status.at("tables").as_array()) {
    const json::object& table = each.as_object();
    text += fmt::format("  {}: {}", table.at("table").as_string().c_str(), table.at("phase").as_string().c_str());
    for (const auto& member : table) {
      if (member.key() == "table" || member.key() == "phase") continue;
      const json::value& value = member.value();
      text += fmt::format(", {} {}", std::string(member.key()),
                          value.is_double() ? fmt::format("{:.0f}", value.as_double()) : json::serialize(value));
    }
    text += "\n";
  }
  return text;
}

}  // namespace moveout::app
