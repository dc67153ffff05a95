// Trace: everything that happens in a run, as lines; their hash is the run's fingerprint.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "item/hash.h"
#include "sim/scheduler.h"

namespace moveout::sim {

class Trace {
 public:
  Trace(const Scheduler& scheduler, bool print) : scheduler_(scheduler), print_(print) {}

  template <class... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    line_.clear();
    const std::int64_t us = scheduler_.now().count();
    fmt::format_to(std::back_inserter(line_), "{:>6}.{:06} ", us / 1'000'000, us % 1'000'000);
    fmt::format_to(std::back_inserter(line_), format, std::forward<Args>(args)...);
    hash_ = item::hash_of(line_, hash_).low;
    ++lines_;
    if (print_) {
      line_ += '\n';
      std::fwrite(line_.data(), 1, line_.size(), stdout);
    }
  }

  std::uint64_t hash() const { return hash_; }
  std::uint64_t lines() const { return lines_; }

 private:
  const Scheduler& scheduler_;
  bool print_;
  std::string line_;
  std::uint64_t hash_ = 0;
  std::uint64_t lines_ = 0;
};

}  // namespace moveout::sim
