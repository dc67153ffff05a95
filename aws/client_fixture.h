// ClientFixture: a Client over a script, with a clock that the test moves and a log that it can read. For tests.
#pragma once

#include <boost/asio/io_context.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/client.h"
#include "aws/scripted_transport.h"
#include "base/manual_clock.h"

namespace moveout::aws {

class RecordingLog final : public base::Log {
 public:
  struct Line {
    base::LogLevel level;
    std::string event;
    std::vector<base::LogField> fields;
    std::string field(std::string_view key) const {
      for (const base::LogField& one : fields) {
        if (one.key == key) return one.value;
      }
      return {};
    }
  };
  void write(base::LogLevel level, std::string_view event, const std::vector<base::LogField>& fields) override {
    lines.push_back({level, std::string(event), fields});
  }
  bool enabled(base::LogLevel) const override { return true; }
  std::vector<Line> of(std::string_view event) const {
    std::vector<Line> out;
    for (const Line& line : lines) {
      if (line.event == event) out.push_back(line);
    }
    return out;
  }
  std::vector<Line> lines;
};

struct ClientFixture {
  static ClientConfig local() {
    ClientConfig config;
    config.endpoint = {false, "localhost", 8000};
    config.region = "eu-west-3";
    return config;
  }

  explicit ClientFixture(ClientConfig config = local())
      : client(std::move(config), transport, credentials, clock, base::Rng(7), log) {}

  template <class T>
  T run(base::Task<T> task) {
    return base::finish(io, clock, std::move(task));
  }
  base::Result<Answer> call(std::string operation = "Scan", std::string body = "{}", CallOptions options = {}) {
    return run(client.call(std::move(operation), std::move(body), std::move(options)));
  }
  base::Micros elapsed() const { return clock.steady().time_since_epoch(); }

  boost::asio::io_context io;
  base::ManualClock clock{io.get_executor()};
  ScriptedTransport transport;
  StaticCredentials credentials{{"AKIDEXAMPLE", "secret", "", {}}};
  RecordingLog log;
  Client client;
};

}  // namespace moveout::aws
