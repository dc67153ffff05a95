#include "sim/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "base/mutant.h"
#include "sim/matrix.h"
#include "sim/mutants.h"
#include "sim/world.h"

namespace moveout::sim {

namespace {

constexpr const char* kUsage =
    "moveout-sim --seed N [--trace] [--mutant NAME] [--dump DIR]   one run; its trace's hash is its fingerprint\n"
    "            --plan-of NAME instead of --mutant: the same plan, unmutated\n"
    "moveout-sim --seeds A..B [--mutant NAME] [--cells]  many runs; --cells: every due cell of the matrix must count\n"
    "moveout-sim --minutes M [--from A]               as many as fit\n"
    "moveout-sim --list-mutants | --mutants [--tries N]  each mutant must be caught, and its seeds pass without it\n";

struct Command {
  std::uint64_t from = 1, to = 0;
  double minutes = 0;
  std::uint64_t tries = 300;
  bool trace = false, cells = false, one = false, list = false, mutants = false, verbose = false;
  std::string mutant, dump;
  bool mutated = true;
};

bool number(const std::string& text, std::uint64_t* out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return ec == std::errc() && end == text.data() + text.size();
}

bool parse(const std::vector<std::string>& words, Command* command) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const bool more = i + 1 < words.size();
    std::uint64_t value = 0;
    if (word == "--trace") {
      command->trace = true;
    } else if (word == "--cells") {
      command->cells = true;
    } else if (word == "--verbose") {
      command->verbose = true;
    } else if (word == "--list-mutants") {
      command->list = true;
    } else if (word == "--mutants") {
      command->mutants = true;
    } else if (word == "--mutant" && more) {
      command->mutant = words[++i];
    } else if (word == "--plan-of" && more) {
      command->mutant = words[++i];
      command->mutated = false;
    } else if (word == "--dump" && more) {
      command->dump = words[++i];
    } else if (word == "--seed" && more && number(words[i + 1], &value)) {
      command->one = true;
      command->from = command->to = value;
      ++i;
    } else if (word == "--seeds" && more) {
      const std::string& range = words[++i];
      const std::size_t dots = range.find("..");
      if (dots == std::string::npos || !number(range.substr(0, dots), &command->from) ||
          !number(range.substr(dots + 2), &command->to)) {
        return false;
      }
    } else if (word == "--from" && more && number(words[i + 1], &command->from)) {
      ++i;
    } else if (word == "--tries" && more && number(words[i + 1], &command->tries)) {
      ++i;
    } else if (word == "--minutes" && more && number(words[i + 1], &value)) {
      command->minutes = static_cast<double>(value);
      ++i;
    } else {
      return false;
    }
  }
  return command->one || command->to != 0 || command->minutes != 0 || command->list || command->mutants;
}

Verdict run_one(std::uint64_t seed, const std::string& profile, bool mutated, bool print,
                const std::string& dump = "") {
#ifdef MOVEOUT_MUTANTS
  base::active_mutant() = mutated ? profile : "";
#else
  (void)mutated;
#endif
  World world(seed, WorldOptions{print, profile});
  Verdict verdict = world.run();
  if (!dump.empty()) world.dump(dump);
#ifdef MOVEOUT_MUTANTS
  base::active_mutant().clear();
#endif
  return verdict;
}

void print_line(const Verdict& verdict) {
  fmt::print(
      "seed {} {} trace {:016x} ({} lines), {} lives, {} kills, {} eras, {} claims, {} kinds of fault, writes {}, "
      "{:.0f} virtual s\n",
      verdict.seed,
      !verdict.failure.empty() ? "FAILED"
      : verdict.named_stop     ? "stopped as it should"
                               : "ok",
      verdict.trace_hash, verdict.trace_lines, verdict.lives, verdict.kills, verdict.eras, verdict.claims,
      verdict.fault_kinds, fmt::join(verdict.writes, "/"), verdict.virtual_s);
  if (!verdict.failure.empty()) fmt::print("  {}\n", verdict.failure);
}

int run_single(const Command& command) {
  const Verdict verdict = run_one(command.from, command.mutant, command.mutated, command.trace, command.dump);
  print_line(verdict);
  return verdict.failure.empty() ? 0 : 1;
}

int run_many(const Command& command) {
  using Wall = std::chrono::steady_clock;
  const auto start = Wall::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Wall::now() - start).count(); };
  Totals totals;
  std::uint64_t seed = command.from;
  for (; command.minutes != 0 ? seconds() < command.minutes * 60 : seed <= command.to; ++seed) {
    const double before = seconds();
    const Verdict verdict = run_one(seed, command.mutant, command.mutated, false);
    totals.add(verdict);
    if (command.verbose || !verdict.failure.empty()) print_line(verdict);
    if (command.verbose) fmt::print("  {:.2f} s\n", seconds() - before);
    std::fflush(stdout);
  }
  fmt::print("seeds {}..{}: {} runs in {:.0f} s, {} failed\n", command.from, seed - 1, totals.runs, seconds(),
             totals.failed);
  fmt::print("{}", totals.text());
  bool right = totals.failed == 0;
  if (command.cells) {
    for (const std::string& cell : totals.cells_at_zero()) {
      fmt::print("a due cell stayed at 0: {}\n", cell);
      right = false;
    }
  }
  return right ? 0 : 1;
}

int run_mutants(const Command& command) {
#ifndef MOVEOUT_MUTANTS
  fmt::print(stderr, "this build has no mutants\n");
  return 2;
#endif
  int survivors = 0;
  for (const Mutant& mutant : mutants()) {
    if (!command.mutant.empty() && command.mutant != mutant.name) continue;
    const std::string name(mutant.name);
    std::vector<std::uint64_t> caught;
    std::string how;
    bool clean_failed = false;
    std::uint64_t seed = command.from;
    for (; seed < command.from + command.tries && caught.empty(); ++seed) {
      const Verdict mutated = run_one(seed, name, true, false);
      if (mutated.failure.empty()) continue;
      // The same seed must pass without the mutant: what was caught is the mistake, not the weather.
      const Verdict clean = run_one(seed, name, false, false);
      if (!clean.failure.empty()) {
        clean_failed = true;
        how = clean.failure;
        break;
      }
      caught.push_back(seed);
      how = mutated.failure.substr(0, mutated.failure.find('\n'));
    }
    if (caught.empty()) ++survivors;
    fmt::print("{} {:32} {}  {}\n", caught.empty() ? "SURVIVED" : "caught  ", name,
               caught.empty() ? clean_failed ? fmt::format("seed {} fails unmutated", seed)
                                             : fmt::format("{} seeds", command.tries)
                              : fmt::format("seed {}", caught.front()),
               how);
    std::fflush(stdout);
  }
  fmt::print("{} mutants, {} survived\n", mutants().size(), survivors);
  return survivors == 0 ? 0 : 1;
}

}  // namespace

int run_command(const std::vector<std::string>& words) {
  Command command;
  if (!parse(words, &command)) {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  if (!command.mutant.empty() && find_mutant(command.mutant) == nullptr) {
    fmt::print(stderr, "no mutant of that name; see --list-mutants\n");
    return 2;
  }
  if (command.list) {
    for (const Mutant& mutant : mutants()) fmt::print("{:32} {}\n", mutant.name, mutant.mistake);
    return 0;
  }
  if (command.mutants) return run_mutants(command);
  return command.one ? run_single(command) : run_many(command);
}

}  // namespace moveout::sim
