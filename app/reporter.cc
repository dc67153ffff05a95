#include "app/reporter.h"

#include <fmt/format.h>

#include <algorithm>

namespace moveout::app {

namespace json = base::json;
using base::Result;
using base::Task;

namespace {

// On-demand reads in us-east-1: $0.125 a million RRU (AWS price list, November 2024); shown as an estimate.
constexpr double kDollarsPerRcu = 0.125 / 1e6;

std::string human(double value, const char* unit) {
  const char* prefixes[] = {"", "k", "M", "G", "T"};
  std::size_t i = 0;
  while (value >= 1000 && i + 1 < std::size(prefixes)) {
    value /= 1000;
    ++i;
  }
  return fmt::format("{:.{}f} {}{}", value, i == 0 ? 0 : 1, prefixes[i], unit);
}

std::string human_duration(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace

Reporter::Reporter(Output output, base::Clock& clock, StderrLog& log, std::string what)
    : output_(output), clock_(clock), log_(log), what_(std::move(what)), started_(clock.steady()), logged_(started_) {}

void Reporter::emit(json::object event) {
  if (output_.style != Style::Json) return;
  json::object line{{"ts", rfc3339(clock_.now())}};
  for (auto& member : event) line[member.key()] = std::move(member.value());
  const std::string text = json::serialize(line) + "\n";
  std::fwrite(text.data(), 1, text.size(), output_.stream);
  std::fflush(output_.stream);
}

void Reporter::wipe_line() {
  if (!line_shown_) return;
  std::fputs("\r\x1b[K", output_.stream);
  line_shown_ = false;
  log_.terminal_line(false);
}

void Reporter::say(const std::string& text) {
  if (output_.style == Style::Json) return;
  wipe_line();
  std::fputs((text + "\n").c_str(), output_.stream);
  std::fflush(output_.stream);
}

void Reporter::phase(const std::string& table, move::Phase phase) {
  emit({{"event", "phase"}, {"table", table}, {"phase", move::name_of(phase)}});
  const char* words = "";
  switch (phase) {
    case move::Phase::Capture:
      words = "opening the capture of every change, before anything is copied";
      break;
    case move::Phase::Backfill:
      words = "copying what is there";
      break;
    case move::Phase::Replay:
      words = "the copy is complete; changes are applied as they come";
      break;
    case move::Phase::Verify:
      words = "comparing both sides, item by item";
      break;
    case move::Phase::InSync:
      return;  // in_sync() says it with the figures
    case move::Phase::Finish:
      words = "removing what moveout added to the target";
      break;
  }
  say(fmt::format("{}: {} - {}", table, move::name_of(phase), words));
}

void Reporter::in_sync(const move::TableResult& result) {
  // The same words in `make demo` and in scripts (product.md).
  say(fmt::format("{}: in sync: {} items, {} missing, {} extra, {} different{}{}", result.table, result.items,
                  result.missing, result.extra, result.different,
                  result.hot > 0 ? fmt::format(", {} changing too fast to compare", result.hot) : "",
                  result.expired > 0 ? fmt::format(", {} expired and on one side only", result.expired) : ""));
}

void Reporter::table_result(const move::TableResult& result) {
  emit({{"event", "table_result"},
        {"table", result.table},
        {"phase", move::name_of(result.phase)},
        {"items", result.items},
        {"bytes", result.bytes},
        {"consumed_rcu", result.consumed_rcu},
        {"missing", result.missing},
        {"extra", result.extra},
        {"different", result.different},
        {"hot", result.hot},
        {"expired", result.expired},
        {"quarantined", result.quarantined}});
  if (what_ == "run" || what_ == "finish") return;
  const double seconds = std::chrono::duration<double>(clock_.steady() - started_).count();
  say(fmt::format("{}: {} items, {}, {:.0f} RCU, {}", result.table, result.items,
                  human(static_cast<double>(result.bytes), "B"), result.consumed_rcu, human_duration(seconds)));
}

void Reporter::notice(const std::string& table, const std::string& text) {
  emit({{"event", "notice"}, {"table", table}, {"message", text}});
  say(text);
}

void Reporter::error(const base::Error& error) {
  emit({{"event", "error"},
        {"name", base::name_of(error.kind)},
        {"message", error.what},
        {"exit", base::exit_code_of(error.kind)}});
  if (output_.style == Style::Json) return;
  wipe_line();
  std::fflush(output_.stream);
  std::fprintf(stderr, "moveout: %s: %s\n", std::string(base::name_of(error.kind)).c_str(), error.what.c_str());
}

void Reporter::result(std::size_t tables, const std::vector<move::TableResult>& results, const json::object& more) {
  move::Phase reached = results.empty() ? move::Phase::Capture : results.front().phase;
  std::uint64_t items = 0, bytes = 0;
  double consumed = 0;
  for (const move::TableResult& each : results) {
    reached = std::min(reached, each.phase);
    items += each.items;
    bytes += each.bytes;
    consumed += each.consumed_rcu;
  }
  json::object event{{"event", "result"}, {"tables", tables}, {"phase", move::name_of(reached)}, {"items", items}};
  if (what_ != "run" && what_ != "verify") {
    event["bytes"] = bytes;
    event["consumed_rcu"] = consumed;
  }
  if (what_ == "verify") {
    for (const char* name : {"matched", "missing", "extra", "different", "hot", "expired"}) event[name] = 0;
  }
  for (const auto& member : more) event[member.key()] = member.value();
  emit(std::move(event));
  wipe_line();
}

void Reporter::progress(const move::Move& move) {
  const base::Steady now = clock_.steady();
  std::string line;
  for (const auto& [table, at] : move.snapshots()) {
    Rate& rate = rates_[table];
    const double elapsed = std::chrono::duration<double>(now - rate.at).count();
    if (rate.at != base::Steady() && elapsed > 0 && at.items >= rate.items) {
      rate.per_second = 0.7 * rate.per_second + 0.3 * static_cast<double>(at.items - rate.items) / elapsed;
    }
    rate.items = at.items;
    rate.at = now;
    const std::string stage = std::string(move::name_of(at.phase));
    emit({{"event", "progress"},
          {"table", table},
          {"stage", stage},
          {"items", at.items},
          {"bytes", at.bytes},
          {"total_items", at.total_items},
          {"lag_ms", at.lag_ms},
          {"consumed_rcu", at.consumed_rcu},
          {"changes_applied", at.changes_applied},
          {"quarantined", at.quarantined}});
    std::string eta;
    if (at.phase == move::Phase::Backfill && rate.per_second > 0 && at.total_items > at.items) {
      eta = ", about " + human_duration(static_cast<double>(at.total_items - at.items) / rate.per_second) + " left";
    }
    const std::string words = fmt::format(
        "{} {}: {} items, {}, {}{}, lag {}, {} changes, {:.0f} RCU (${:.2f}){}{}", table, stage, at.items,
        human(static_cast<double>(at.bytes), "B"), human(rate.per_second, "items/s"), eta,
        human_duration(static_cast<double>(at.lag_ms) / 1000), at.changes_applied, at.consumed_rcu,
        at.consumed_rcu * kDollarsPerRcu, at.quarantined > 0 ? fmt::format(", {} set aside", at.quarantined) : "",
        at.paused ? ", paused" : "");
    line += (line.empty() ? "" : " | ") + words;
  }
  if (line.empty()) return;
  if (output_.style == Style::Terminal) {
    std::fputs(("\r\x1b[K" + line.substr(0, 200)).c_str(), output_.stream);
    std::fflush(output_.stream);
    line_shown_ = true;
    log_.terminal_line(true);
  } else if (now - logged_ >= std::chrono::seconds(10)) {
    log_.info("progress", {{"what", line}});
    logged_ = now;
  }
}

Task<Result<>> Reporter::tick(const move::Move& move) {
  for (;;) {
    co_await clock_.sleep_for(std::chrono::seconds(1));
    progress(move);
  }
}

}  // namespace moveout::app
