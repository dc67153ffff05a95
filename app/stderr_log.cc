#include "app/stderr_log.h"

#include <unistd.h>

#include <chrono>
#include <ctime>
#include <string>

namespace moveout::app {

namespace {

std::string_view name_of(base::LogLevel level) {
  switch (level) {
    case base::LogLevel::Debug:
      return "debug";
    case base::LogLevel::Info:
      return "info ";
    case base::LogLevel::Warn:
      return "warn ";
    case base::LogLevel::Error:
      return "ERROR";
  }
  return "?";
}

// Quoted when it would not read as one word.
void append_value(std::string& line, const std::string& value) {
  const bool plain = !value.empty() && value.find_first_of(" \"\n\r\t=") == std::string::npos;
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

std::string rfc3339(base::Instant instant) {
  const std::int64_t micros = base::micros_of(instant);
  const std::time_t seconds = static_cast<std::time_t>(micros / 1000000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, micros % 1000000);
}

void StderrLog::write(base::LogLevel level, std::string_view event, const std::vector<base::LogField>& fields) {
  const auto now = std::chrono::time_point_cast<base::Micros>(std::chrono::system_clock::now());
  std::string line = terminal_line_ ? "\r\x1b[K" : "";
  line += rfc3339(now);
  line += ' ';
  line += name_of(level);
  line += ' ';
  line += event;
  for (const base::LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_value(line, field.value);
  }
  line += '\n';
  // One write call a line, so that lines of two processes do not mix. A closed stderr is no reason to stop a move.
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace moveout::app
