#include "sim/verify_oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "item/json.h"
#include "sim/sim_clock.h"

namespace moveout::sim {

namespace {

using Kind = verify::Difference::Kind;

// Without a run a difference counts when it stood for so long.
constexpr Micros kReadAgainAfter = std::chrono::seconds(5);
// Two writes of a key within this may look like none.
constexpr Micros kLookedAtLeastOnce = std::chrono::seconds(100);

// A state of the source's key, within the pass.
struct State {
  Micros from, to;
  Text json;
};

// What both sides had of one key during the pass.
struct Sides {
  std::vector<State> source;
  const Standing* target = nullptr;  // null: the row was written meanwhile

  static bool equal(const Text& source, const std::optional<std::string>& target) {
    return source ? target && *target == *source : !target;
  }
  bool ever_equal() const {
    return target == nullptr || std::ranges::any_of(source, [&](auto& s) { return equal(s.json, target->json); });
  }
  bool ever_different() const {
    return target == nullptr || std::ranges::any_of(source, [&](auto& s) { return !equal(s.json, target->json); });
  }
  bool source_ever(bool there) const {
    return std::ranges::any_of(source, [&](auto& s) { return (s.json != nullptr) == there; });
  }
  bool target_ever(bool there) const { return target == nullptr || target->json.has_value() == there; }
  // The longest time for which they may have differed without a change of the source.
  Micros longest_difference() const {
    Micros longest{0};
    for (const State& s : source) {
      if (target == nullptr || !equal(s.json, target->json)) longest = std::max(longest, s.to - s.from);
    }
    return longest;
  }
};

std::vector<State> states_of(const Row* row, const Pass& pass) {
  std::vector<State> states{{pass.begin, pass.end, row == nullptr ? nullptr : row->at(pass.begin)}};
  if (row == nullptr) return states;
  for (const Past& past : row->past) {
    if (past.at <= pass.begin || past.at > pass.end) continue;
    states.back().to = past.at;
    states.push_back({past.at, pass.end, past.json});
  }
  return states;
}

const Standing& standing_of(const Standings& standings, const std::string& key) {
  static const Standing none;
  const auto at = standings.find(key);
  return at == standings.end() ? none : at->second;
}

bool expired(const std::string& json, const Table& table, Micros now) {
  const std::string& attribute = table.spec().ttl_attribute;
  const auto item = item::parse_item(json);
  const auto found = attribute.empty() || !item ? item::Item::const_iterator() : item->find(attribute);
  if (attribute.empty() || !item || found == item->end()) return false;
  const item::Number* number = found->second.if_a<item::Number>();
  std::int64_t seconds = 0;
  return number != nullptr && number->to_int64(&seconds) &&
         base::instant_of_micros(seconds * 1'000'000) <= kWorldBegins + now + std::chrono::seconds(10);
}

// On one side only, and expired there: no difference, or one where the TTL could not be asked for.
bool may_have_expired(const Sides& sides, const Table& table, Micros now) {
  if (sides.target == nullptr) return true;
  if (sides.target->json) return sides.source_ever(false) && expired(*sides.target->json, table, now);
  return std::ranges::any_of(sides.source, [&](auto& s) { return s.json && expired(*s.json, table, now); });
}

std::string_view name_of(Kind kind) {
  return kind == Kind::Missing ? "missing" : kind == Kind::Extra ? "extra" : "different";
}

std::string shown(const std::string& key, const Sides& sides, const Table& table) {
  const auto text = [](const std::string& json) { return json.size() > 160 ? json.substr(0, 160) + "…" : json; };
  const auto decoded = item::Key::from_encoded(key);
  std::string out =
      fmt::format("key {}: target {}", decoded ? item::to_json(decoded->attributes(table.spec().key)) : "?",
                  sides.target == nullptr ? "was written"
                  : sides.target->json    ? text(*sides.target->json)
                                          : "nothing");
  for (const State& s : sides.source) {
    out += fmt::format("\n    source from {:.6f} to {:.6f}: {}", static_cast<double>(s.from.count()) / 1e6,
                       static_cast<double>(s.to.count()) / 1e6, s.json ? text(*s.json) : "nothing");
  }
  return out;
}

// Nothing when this key may be called that.
std::optional<std::string_view> why_not(const Sides& sides, Kind kind, const Pass& pass) {
  if (!sides.ever_different()) return "was equal all the time";
  const bool source_there = kind != Kind::Extra, target_there = kind != Kind::Missing;
  if (!sides.source_ever(source_there)) return "never was so in the source";
  if (!sides.target_ever(target_there)) return "never was so in the target";
  if (!pass.run_lived && sides.longest_difference() < kReadAgainAfter) return "was not read again after 5 s";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> find_wrong_verdict(const Table& table, const Pass& pass) {
  const verify::Report& report = pass.report;
  std::map<std::string, Kind> named;
  std::set<std::string> hot;
  for (const verify::Difference& difference : report.first) named[difference.key.encoded()] = difference.kind;
  for (const item::Key& key : report.hot_keys) hot.insert(key.encoded());
  const std::uint64_t differences = report.missing + report.extra + report.different;
  if (differences != named.size() || report.hot != hot.size()) {
    return differences + report.hot > 1000 ? std::nullopt : std::optional<std::string>("it names not what it counts");
  }
  std::map<std::string, const Row*> keys;
  for (auto& [place, row] : table.rows()) keys[place.key] = &row;
  for (const Standings* side : {&pass.before, &pass.after}) {
    for (auto& [key, standing] : *side) keys.try_emplace(key, nullptr);
  }
  for (auto& [key, kind] : named) keys.try_emplace(key, nullptr);
  std::uint64_t certain = 0, possible = 0;
  bool still = !pass.run_lived;
  for (auto& [key, row] : keys) {
    const Standing& before = standing_of(pass.before, key);
    const Sides sides{states_of(row, pass), before == standing_of(pass.after, key) ? &before : nullptr};
    still = still && sides.target != nullptr && sides.source.size() == 1;
    const bool source_always = !sides.source_ever(false);
    certain += source_always || (sides.target != nullptr && sides.target->json) ? 1 : 0;
    possible += sides.source_ever(true) || sides.target_ever(true) ? 1 : 0;
    const auto accused = named.find(key);
    if (accused == named.end()) {
      if (sides.ever_equal() || hot.contains(key) || may_have_expired(sides, table, pass.end)) continue;
      return "it does not tell of what was different all the time: " + shown(key, sides, table);
    }
    if (const auto why = why_not(sides, accused->second, pass)) {
      return fmt::format("it calls {} what {}: {}", name_of(accused->second), *why, shown(key, sides, table));
    }
  }
  const std::uint64_t told = report.matched + differences + report.hot + report.expired + report.quarantined;
  if (told < certain || told > possible) {
    return fmt::format("it tells of {} keys, and there were {} to {}", told, certain, possible);
  }
  if (still && report.hot > 0) return fmt::format("{} keys are hot, and nothing moved", report.hot);
  return std::nullopt;
}

//   source  A ──── w: B ──── last read ── accused: target A ──────── now: target B
bool was_only_on_its_way(const Table& table, const Accused& accused, const Standings& now) {
  const Standing& stands = standing_of(now, accused.key);
  const auto found = table.rows().find(place_of(accused.key));
  if (found == table.rows().end() || stands == accused.stood) return false;
  const std::vector<Past>& past = found->second.past;
  if (past.back().at >= accused.last_read || !Sides::equal(past.back().json, stands.json)) return false;
  return past.size() < 2 || past[past.size() - 2].at < accused.last_read - kLookedAtLeastOnce;
}

}  // namespace moveout::sim
