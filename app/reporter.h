// Reporter: what the person or the script sees: JSON lines, a terminal's progress line, or a log line every ten
// seconds.
#pragma once

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/stderr_log.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/task.h"
#include "move/work.h"

namespace moveout::app {

enum class Style { Json, Terminal, Plain };

// Where the program talks: JSON and results on stdout, or on stderr when stdout carries data.
struct Output {
  Style style = Style::Plain;
  std::FILE* stream = stdout;
};

// The tables of one stage, as one part of the progress line.
struct StageProgress {
  std::string name;
  std::size_t tables = 0;
  std::uint64_t items = 0, bytes = 0, total_items = 0, changes = 0, aside = 0;
  std::int64_t lag_ms = 0;
  double rcu = 0, rate = 0;
  bool paused = false;

  void add(const std::string& table, const move::Snapshot& at, double per_second);
  std::string words(move::Phase phase) const;
};

class Reporter final : public move::Events {
 public:
  // what: the command's word for the last event ("run", "copy", "scan").
  Reporter(Output output, base::Clock& clock, StderrLog& log, std::string what);

  void phase(const std::string& table, move::Phase phase) override;
  void in_sync(const move::TableResult& result) override;
  void table_result(const move::TableResult& result) override;
  void notice(const std::string& table, const std::string& text) override;

  // Progress until cancelled: JSON and terminal every second, a log line every 10 s otherwise.
  base::Task<base::Result<>> tick(const move::Work& work);
  void progress(const move::Work& work);
  // The progress line of a terminal, or of the log every ten seconds; nothing with --json.
  void show(const std::vector<std::pair<std::string, move::Snapshot>>& snapshots);
  void error(const base::Error& error);
  // The very last line, once: the phase reached by the slowest table, and the items of all.
  void result(std::size_t tables, const std::vector<move::TableResult>& results, const base::json::object& more = {});
  // One JSON object a line, with `ts` in front; nothing in the other styles.
  void emit(base::json::object event);
  // A sentence for a person; nothing with --json.
  void say(const std::string& text);
  Style style() const { return output_.style; }

 private:
  void wipe_line();
  double rate_of(const std::string& table, const move::Snapshot& at, base::Steady now);

  Output output_;
  base::Clock& clock_;
  StderrLog& log_;
  std::string what_;
  base::Steady started_;
  base::Steady logged_;
  struct Rate {
    move::Phase phase = move::Phase::Capture;
    std::uint64_t items = 0;
    base::Steady at{};
    double per_second = 0;
  };
  std::map<std::string, Rate> rates_;
  bool line_shown_ = false;
};

}  // namespace moveout::app
