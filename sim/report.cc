#include "sim/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "sim/mutants.h"
#include "sim/runs.h"

namespace moveout::sim {

namespace {

constexpr const char* kUsage =
    "moveout-sim --seed N [--trace] [--mutant NAME] [--dump DIR]   one run; its trace's hash is its fingerprint\n"
    "            --plan-of NAME instead of --mutant: the same plan, unmutated\n"
    "moveout-sim --seeds A..B [--jobs N] [--mutant NAME] [--cells]  many runs, in N processes; --cells: every due "
    "cell\n"
    "            of the matrix must count, and the median seed be as rich as docs/consistency.md wants it\n"
    "moveout-sim --minutes M [--from A] [--jobs N]    as many as fit\n"
    "moveout-sim --replay A..B                        each seed twice: the traces must be the same\n"
    "moveout-sim --caught NAME --seed N               the mutant is caught by this seed, whose plan passes without it\n"
    "moveout-sim --list-mutants [NAME,…]              with names: fails unless these are all of them\n"
    "moveout-sim --mutants [--mutant NAME] [--from A] [--tries N] [--every]  looks for a seed that catches each\n";

struct Command {
  Range range;
  RunOptions run;
  std::uint64_t tries = 300;
  bool cells = false, one = false, list = false, mutants = false, replay = false, caught = false, every = false;
  std::string names;
};

bool number(const std::string& text, std::uint64_t* out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return ec == std::errc() && end == text.data() + text.size();
}

bool parse_range(const std::string& text, Range* range) {
  const std::size_t dots = text.find("..");
  return dots != std::string::npos && number(text.substr(0, dots), &range->from) &&
         number(text.substr(dots + 2), &range->to) && range->from <= range->to;
}

bool parse(const std::vector<std::string>& words, Command* command) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto flag = [&](const char* name, bool* on) { return word == name && (*on = true); };
    if (flag("--trace", &command->run.print) || flag("--cells", &command->cells) ||
        flag("--verbose", &command->range.verbose) || flag("--mutants", &command->mutants) ||
        flag("--every", &command->every)) {
      continue;
    }
    if (flag("--list-mutants", &command->list)) {
      if (i + 1 < words.size()) command->names = words[++i];
      continue;
    }
    if (i + 1 == words.size()) return false;
    const std::string& value = words[++i];
    std::uint64_t n = 0;
    if (word == "--mutant" || word == "--plan-of" || word == "--caught") {
      command->run.profile = value;
      command->run.mutated = word != "--plan-of";
      command->caught |= word == "--caught";
    } else if (word == "--dump") {
      command->run.dump = value;
    } else if (word == "--seeds" || word == "--replay") {
      command->replay |= word == "--replay";
      if (!parse_range(value, &command->range)) return false;
    } else if (!number(value, &n)) {
      return false;
    } else if (word == "--seed") {
      command->one = true;
      command->range.from = command->range.to = n;
    } else if (word == "--jobs" && n >= 1 && n <= 64) {
      command->range.jobs = static_cast<int>(n);
    } else if (word == "--from") {
      command->range.from = n;
    } else if (word == "--tries") {
      command->tries = n;
    } else if (word == "--minutes") {
      command->range.minutes = static_cast<double>(n);
    } else {
      return false;
    }
  }
  if (command->caught && !command->one) return false;
  return command->range.to != 0 || command->range.minutes != 0 || command->list || command->mutants;
}

int run_single(const Command& command) {
  const Verdict verdict = run_one(command.range.from, command.run);
  fmt::print("{}", describe(verdict));
  return verdict.failed() ? 1 : 0;
}

int run_many(const Command& command) {
  using Wall = std::chrono::steady_clock;
  const auto start = Wall::now();
  const Ran ran = run_range(command.range, command.run);
  const double seconds = std::chrono::duration<double>(Wall::now() - start).count();
  fmt::print("seeds {}..{}: {} runs in {:.0f} s, {} failed\n{}", command.range.from, ran.last, ran.totals.runs, seconds,
             ran.totals.failed, ran.totals.text());
  if (ran.lost != 0) fmt::print("{} runs were lost: their process died\n", ran.lost);
  bool right = ran.totals.failed == 0 && ran.lost == 0;
  if (command.cells) {
    for (const std::string& shortfall : ran.totals.shortfalls()) {
      fmt::print("{}\n", shortfall);
      right = false;
    }
  }
  return right ? 0 : 1;
}

int run_caught(const Command& command) {
  const Caught result = try_mutant(command.run.profile, command.range.from);
  fmt::print("{} {} seed {} by {}: {}\n", result.caught ? "caught" : "NOT CAUGHT", command.run.profile,
             command.range.from, name_of(result.by), result.how);
  return result.caught ? 0 : 1;
}

// Looks for a seed that catches each, or, with --every, tells how many of the tried seeds do. A plan that fails by
// itself is told, and the search goes on.
int look_for_seeds(const Command& command) {
  int survivors = 0;
  bool weather = false;
  for (const Mutant& mutant : mutants()) {
    if (!command.run.profile.empty() && command.run.profile != mutant.name) continue;
    const std::string name(mutant.name);
    std::string first = "SURVIVED";
    std::uint64_t caught = 0, tried = 0;
    for (; tried < command.tries && (caught == 0 || command.every); ++tried) {
      const std::uint64_t seed = command.range.from + tried;
      const Caught result = try_mutant(name, seed);
      if (result.caught && caught++ == 0) {
        first = fmt::format("seed {} by {}: {}", seed, name_of(result.by), result.how);
      } else if (!result.caught && result.by != Finding::None) {
        fmt::print("  {} seed {} {}: {}\n", name, seed, result.clean ? "is seen" : "fails unmutated", result.how);
      }
      weather |= !result.clean;
    }
    survivors += caught == 0 ? 1 : 0;
    fmt::print("{} {} of {} {}\n", name, caught, tried, first);
    std::fflush(stdout);
  }
  fmt::print("{} survived\n", survivors);
  return survivors == 0 && !weather ? 0 : 1;
}

int list_mutants(const std::string& names) {
  if (names.empty()) {
    for (const Mutant& mutant : mutants()) fmt::print("{:32} {}\n", mutant.name, mutant.mistake);
    return 0;
  }
  bool all = true;
  const std::string list = "," + names + ",";
  for (const Mutant& mutant : mutants()) {
    if (list.find("," + std::string(mutant.name) + ",") != std::string::npos) continue;
    fmt::print("{} is not among them\n", mutant.name);
    all = false;
  }
  const auto named = static_cast<std::size_t>(std::count(list.begin(), list.end(), ',')) - 1;
  if (named != mutants().size()) fmt::print("{} names, {} mutants\n", named, mutants().size());
  return all && named == mutants().size() ? 0 : 1;
}

}  // namespace

int run_command(const std::vector<std::string>& words) {
  Command command;
  if (!parse(words, &command)) {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  if (!command.run.profile.empty() && find_mutant(command.run.profile) == nullptr) {
    fmt::print(stderr, "no mutant of that name; see --list-mutants\n");
    return 2;
  }
#ifndef MOVEOUT_MUTANTS
  if ((!command.run.profile.empty() && command.run.mutated) || command.mutants) {
    fmt::print(stderr, "this build has no mutants\n");
    return 2;
  }
#endif
  if (command.list) return list_mutants(command.names);
  if (command.mutants) return look_for_seeds(command);
  if (command.caught) return run_caught(command);
  if (command.replay) return replays_alike(command.range.from, command.range.to) ? 0 : 1;
  return command.one ? run_single(command) : run_many(command);
}

}  // namespace moveout::sim
