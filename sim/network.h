// SimTransport: one process's way to the simulated servers, over a network that loses, delays, repeats and garbles.
#pragma once

#include "http/http.h"
#include "sim/dynamodb/server.h"
#include "sim/process.h"
#include "sim/trace.h"

namespace moveout::sim {

struct NetworkOptions {
  std::string slow_only;  // the only operation that SlowAnswer strikes; empty: all
  Micros latency_min{1'000};
  Micros latency_max{12'000};
  Micros late_max = std::chrono::minutes(11);  // L: the longest time after which a request may still land
};

class SimTransport final : public http::Transport {
 public:
  SimTransport(Scheduler& scheduler, Process& process, Server& server, Faults& faults, base::Rng rng, Trace& trace,
               NetworkOptions options)
      : scheduler_(scheduler),
        process_(process),
        server_(server),
        faults_(faults),
        rng_(rng),
        trace_(trace),
        options_(options) {}

  Task<base::Result<http::Response>> send(http::Request request) override;

  // Nothing gets through from now on, either way, until `when`.
  void cut_until(Micros when) { cut_until_ = when; }

 private:
  Micros latency();
  void land_later(http::Request request);

  Scheduler& scheduler_;
  Process& process_;
  Server& server_;
  Faults& faults_;
  base::Rng rng_;
  Trace& trace_;
  NetworkOptions options_;
  Micros cut_until_{0};
};

}  // namespace moveout::sim
