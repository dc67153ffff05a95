// StderrLog: one line an event on stderr: time, level, event name, key=value.
#pragma once

#include "base/clock.h"
#include "base/log.h"

namespace moveout::app {

class StderrLog final : public base::Log {
 public:
  explicit StderrLog(base::LogLevel least) : least_(least) {}
  void write(base::LogLevel level, std::string_view event, const std::vector<base::LogField>& fields) override;
  bool enabled(base::LogLevel level) const override { return level >= least_; }
  // A terminal's progress line stands on the last line: it is wiped before a log line is written.
  void terminal_line(bool shown) { terminal_line_ = shown; }

 private:
  base::LogLevel least_;
  bool terminal_line_ = false;
};

// "2026-01-31T23:59:59.123456Z"
std::string rfc3339(base::Instant instant);

}  // namespace moveout::app
