// Log: one event name a site, key=value pairs. Never a secret, never item data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace moveout::base {

enum class LogLevel { Debug, Info, Warn, Error };

struct LogField {
  std::string key;
  std::string value;

  template <class T>
  LogField(std::string_view k, const T& v) : key(k), value(fmt::format("{}", v)) {}
};

class Log {
 public:
  virtual ~Log() = default;
  // contract: any thread; never fails, never blocks for long. `event` is `room.what`, for instance "replay.throttled".
  // Error level means a person must act.
  virtual void write(LogLevel level, std::string_view event, const std::vector<LogField>& fields) = 0;
  virtual bool enabled(LogLevel level) const = 0;

  void debug(std::string_view event, const std::vector<LogField>& fields = {}) { put(LogLevel::Debug, event, fields); }
  void info(std::string_view event, const std::vector<LogField>& fields = {}) { put(LogLevel::Info, event, fields); }
  void warn(std::string_view event, const std::vector<LogField>& fields = {}) { put(LogLevel::Warn, event, fields); }
  void error(std::string_view event, const std::vector<LogField>& fields = {}) { put(LogLevel::Error, event, fields); }

 private:
  void put(LogLevel level, std::string_view event, const std::vector<LogField>& fields) {
    if (enabled(level)) write(level, event, fields);
  }
};

// Drops everything: for unit tests.
class NoLog final : public Log {
 public:
  void write(LogLevel, std::string_view, const std::vector<LogField>&) override {}
  bool enabled(LogLevel) const override { return false; }
};

}  // namespace moveout::base
