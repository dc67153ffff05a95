#include "sim/runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <type_traits>

#include "base/error.h"
#include "base/mutant.h"

namespace moveout::sim {

namespace {

using Wall = std::chrono::steady_clock;

// One write of it to a pipe is never mixed with another process's.
static_assert(std::is_trivially_copyable_v<Figures> && sizeof(Figures) <= 4096);

// Called in a child for each verdict.
using Report = std::function<void(const Verdict&)>;

// Forks once for each job; `work(job, report)` is the child's life. Answers what they reported, and how many of them
// ended as they should.
int in_processes(int jobs, const std::function<void(int, const Report&)>& work,
                 const std::function<void(int, const Figures&)>& heard) {
  struct Message {
    int job;
    Figures figures;
  };
  static_assert(sizeof(Message) <= 4096);
  int ends[2];
  MOVEOUT_ASSERT(::pipe(ends) == 0);
  std::fflush(stdout);
  std::vector<pid_t> children;
  for (int job = 0; job < jobs; ++job) {
    const pid_t child = ::fork();
    MOVEOUT_ASSERT(child >= 0);
    if (child == 0) {
      ::close(ends[0]);
      work(job, [&](const Verdict& verdict) {
        const Message message{job, verdict};
        MOVEOUT_ASSERT(::write(ends[1], &message, sizeof message) == sizeof message);
      });
      ::close(ends[1]);
      std::exit(0);
    }
    children.push_back(child);
  }
  ::close(ends[1]);
  Message message;
  std::size_t have = 0;
  for (;;) {
    const ssize_t got = ::read(ends[0], reinterpret_cast<char*>(&message) + have, sizeof message - have);
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
    if (have < sizeof message) continue;
    have = 0;
    heard(message.job, message.figures);
  }
  ::close(ends[0]);
  int well = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    well += WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 1 : 0;
  }
  return well;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// Every `jobs`-th seed from the job's own on.
void run_share(const Range& range, const RunOptions& options, int job, const Report& report) {
  const auto start = Wall::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Wall::now() - start).count(); };
  const auto step = static_cast<std::uint64_t>(range.jobs);
  for (std::uint64_t seed = range.from + static_cast<std::uint64_t>(job);
       range.minutes != 0 ? seconds() < range.minutes * 60 : seed <= range.to; seed += step) {
    const double before = seconds();
    const Verdict verdict = run_one(seed, options);
    report(verdict);
    if (range.verbose) {
      print(describe(verdict) + fmt::format("  {:.2f} s\n", seconds() - before));
    } else if (verdict.failed()) {
      print(describe(verdict));
    }
  }
}

}  // namespace

Verdict run_one(std::uint64_t seed, const RunOptions& options) {
#ifdef MOVEOUT_MUTANTS
  base::active_mutant() = options.mutated ? options.profile : "";
#endif
  World world(seed, WorldOptions{options.print, options.profile});
  Verdict verdict = world.run();
  if (!options.dump.empty()) world.dump(options.dump);
#ifdef MOVEOUT_MUTANTS
  base::active_mutant().clear();
#endif
  return verdict;
}

std::string describe(const Verdict& verdict) {
  std::string text = fmt::format(
      "seed {} {} trace {:016x} ({} lines), {} lives, {} kills, {} eras, {} claims, {} kinds of fault, writes {}, "
      "{:.0f} virtual s\n",
      verdict.seed,
      verdict.failed()     ? "FAILED"
      : verdict.named_stop ? "stopped as it should"
                           : "ok",
      verdict.trace_hash, verdict.trace_lines, verdict.lives, verdict.kills, verdict.eras, verdict.claims,
      verdict.fault_kinds, fmt::join(verdict.writes, "/"), verdict.virtual_s);
  if (verdict.failed()) text += fmt::format("  {}\n", verdict.failure);
  return text;
}

Ran run_range(const Range& range, const RunOptions& options) {
  Ran ran;
  const auto heard = [&](const Figures& run) {
    ran.totals.add(run);
    ran.last = std::max(ran.last, run.seed);
  };
  if (range.jobs == 1) {
    run_share(range, options, 0, heard);
    return ran;
  }
  const int well = in_processes(
      range.jobs, [&](int job, const Report& report) { run_share(range, options, job, report); },
      [&](int, const Figures& run) { heard(run); });
  if (well != range.jobs) ran.lost = 1;
  if (range.minutes == 0 && range.to >= range.from) {
    ran.lost = std::max(ran.lost, range.to - range.from + 1 - ran.totals.runs);
  }
  return ran;
}

bool replays_alike(std::uint64_t from, std::uint64_t to) {
  std::map<std::uint64_t, std::uint64_t> hashes[2];
  const int well = in_processes(
      2,
      [&](int job, const Report& report) {
        for (std::uint64_t i = 0; i <= to - from; ++i) report(run_one(job == 0 ? from + i : to - i, {}));
      },
      [&](int job, const Figures& run) { hashes[job][run.seed] = run.trace_hash; });
  bool alike = well == 2;
  for (std::uint64_t seed = from; seed <= to; ++seed) {
    const bool both = hashes[0].contains(seed) && hashes[1].contains(seed);
    if (both && hashes[0][seed] == hashes[1][seed]) continue;
    print(fmt::format("seed {} {}\n", seed, both ? "does not replay alike" : "was not run to its end"));
    alike = false;
  }
  return alike;
}

Caught try_mutant(const std::string& name, std::uint64_t seed) {
  Caught result;
  const Verdict mutated = run_one(seed, {name, true, false, ""});
  if (!mutated.failed()) {
    result.how = "the oracle saw nothing";
    return result;
  }
  result.by = mutated.finding;
  result.how = mutated.failure.substr(0, mutated.failure.find('\n'));
  const Verdict clean = run_one(seed, {name, false, false, ""});
  // What was caught must be the mistake, not the weather.
  result.clean = !clean.failed();
  if (!result.clean) result.how = "without the mutant: " + clean.failure;
  result.caught = result.clean && (result.by == Finding::Difference || result.by == Finding::NamedStop);
  return result;
}

}  // namespace moveout::sim
