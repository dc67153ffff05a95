#include "app/reporter.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

std::string aside(const move::TableResult& result) {
  return result.quarantined > 0 ? fmt::format(", {} set aside", result.quarantined) : "";
}

std::string dollars(double amount) { return fmt::format("${:.{}f}", amount, amount < 0.1 ? 4 : 2); }

std::size_t terminal_width(std::FILE* stream) {
  winsize size{};
  return ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 80;
}

// At most so many bytes, cut between characters.
std::string shortened(const std::string& line, std::size_t bytes_max) {
  std::size_t end = std::min(line.size(), bytes_max);
  while (end > 0 && end < line.size() && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
  return line.substr(0, end);
}

}  // namespace

void StageProgress::add(const std::string& table, const move::Snapshot& at, double per_second) {
  name = ++tables == 1 ? table : fmt::format("{} tables", tables);
  items += at.items;
  bytes += at.bytes;
  total_items += std::max(at.total_items, at.items);
  lag_ms = std::max(lag_ms, at.lag_ms);
  rcu += at.consumed_rcu;
  changes += at.changes_applied;
  aside += at.quarantined;
  paused = paused || at.paused;
  rate += per_second;
}

std::string StageProgress::words(move::Phase phase) const {
  std::string eta;
  if ((phase == move::Phase::Backfill || phase == move::Phase::Verify) && rate > 0 && total_items > items) {
    eta = ", about " + human_duration(static_cast<double>(total_items - items) / rate) + " left";
  }
  return fmt::format("{} {}: {} items, {}, {}{}, lag {}, {:.0f} RCU ({}), {} changes{}{}", name, move::name_of(phase),
                     items, human(static_cast<double>(bytes), "B"), human(rate, "items/s"), eta,
                     human_duration(static_cast<double>(lag_ms) / 1000), rcu, dollars(rcu * kDollarsPerRcu), changes,
                     aside > 0 ? fmt::format(", {} set aside", aside) : "", paused ? ", paused" : "");
}

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
  say(fmt::format("{}: in sync: {} items, {} missing, {} extra, {} different{}{}{}", result.table, result.items,
                  result.missing, result.extra, result.different,
                  result.hot > 0 ? fmt::format(", {} changing too fast to compare", result.hot) : "",
                  result.expired > 0 ? fmt::format(", {} expired and on one side only", result.expired) : "",
                  aside(result)));
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
  say(fmt::format("{}: {} items{}, {}, {:.0f} RCU, {}", result.table, result.items, aside(result),
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
    for (const char* name : {"matched", "missing", "extra", "different", "hot", "expired", "quarantined"})
      event[name] = 0;
  }
  for (const auto& member : more) event[member.key()] = member.value();
  emit(std::move(event));
  wipe_line();
}

double Reporter::rate_of(const std::string& table, const move::Snapshot& at, base::Steady now) {
  Rate& rate = rates_[table];
  // Each stage counts its own items.
  if (rate.phase != at.phase || at.items < rate.items) rate = {};
  const double elapsed = std::chrono::duration<double>(now - rate.at).count();
  if (rate.at != base::Steady() && elapsed > 0) {
    rate.per_second = 0.7 * rate.per_second + 0.3 * static_cast<double>(at.items - rate.items) / elapsed;
  }
  rate.phase = at.phase;
  rate.items = at.items;
  rate.at = now;
  return rate.per_second;
}

void Reporter::progress(const move::Work& work) {
  const auto snapshots = work.snapshots();
  for (const auto& [table, at] : snapshots) {
    emit({{"event", "progress"},
          {"table", table},
          {"stage", move::name_of(at.phase)},
          {"items", at.items},
          {"bytes", at.bytes},
          {"total_items", at.total_items},
          {"lag_ms", at.lag_ms},
          {"consumed_rcu", at.consumed_rcu},
          {"changes_applied", at.changes_applied},
          {"quarantined", at.quarantined}});
  }
  show(snapshots);
}

void Reporter::show(const std::vector<std::pair<std::string, move::Snapshot>>& snapshots) {
  const base::Steady now = clock_.steady();
  std::map<move::Phase, StageProgress> stages;
  for (const auto& [table, at] : snapshots) stages[at.phase].add(table, at, rate_of(table, at, now));
  if (output_.style == Style::Json || stages.empty()) return;
  std::string line;
  for (const auto& [phase, stage] : stages) line += (line.empty() ? "" : " | ") + stage.words(phase);
  if (output_.style == Style::Terminal) {
    // A line that wraps could not be wiped.
    std::fputs(("\r\x1b[K" + shortened(line, terminal_width(output_.stream) - 1)).c_str(), output_.stream);
    std::fflush(output_.stream);
    line_shown_ = true;
    log_.terminal_line(true);
  } else if (now - logged_ >= std::chrono::seconds(10)) {
    log_.info("progress", {{"what", line}});
    logged_ = now;
  }
}

Task<Result<>> Reporter::tick(const move::Work& work) {
  for (;;) {
    co_await clock_.sleep_for(std::chrono::seconds(1));
    progress(work);
  }
}

}  // namespace moveout::app
