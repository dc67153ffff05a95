#include "sim/matrix.h"

#include <fmt/format.h>

#include <algorithm>

namespace moveout::sim {

namespace {

// Of the median seed (docs/consistency.md §8).
constexpr std::uint64_t kWritesMedian = 200;
constexpr int kFaultKindsMedian = 3;
constexpr int kKillsMedian = 1;

// A row of the matrix: the faults it is made of, and the phases in which it is due so far.
struct MatrixRow {
  const char* name;
  std::vector<Fault> faults;
  std::array<bool, kPhases> due;  // start, back-fill, replay, verify
};

const std::vector<MatrixRow>& rows() {
  static const std::vector<MatrixRow> all = {
      {"kill -9 at every I/O boundary", {Fault::Kill, Fault::PowerLoss}, {true, true, true, true}},
      {"lost answer; late duplicate",
       {Fault::LostRequest, Fault::LostAnswer, Fault::LateRequest, Fault::Duplicate, Fault::TargetLate},
       {true, true, true, true}},
      {"kill -9 of a verify beside a move", {Fault::VerifyKill}, {false, true, true, true}},
      {"zombie, stolen lease, two coordinators", {Fault::Zombie, Fault::TwoCoordinators}, {true, true, true, true}},
      {"batch fails in part", {Fault::PartialBatch}, {false, true, true, false}},
      {"target down; disk full", {Fault::TargetDown, Fault::DiskFull}, {false, true, true, true}},
      {"clocks off, steps", {Fault::ClockOff, Fault::ClockStep, Fault::ServerClocks}, {true, true, true, true}},
      {"shard split or roll; children hidden",
       {Fault::ShardRoll, Fault::ShardSplit, Fault::ChildHidden, Fault::ChildrenOneByOne, Fault::OpenParent,
        Fault::MissingShard, Fault::ShortListing},
       {true, true, true, true}},
      {"trim; expired iterator; empty pages; throttles",
       {Fault::Trim, Fault::ExpiredIterator, Fault::EmptyPage, Fault::ShortPage, Fault::Throttle},
       {true, true, true, true}},
      {"stream off and on; table remade", {Fault::StreamOff, Fault::TableRemade}, {true, true, true, true}},
      {"TTL expire, extend, insert again", {Fault::TtlDelete}, {true, true, true, true}},
      {"hostile items", {Fault::Hostile}, {false, true, true, true}},
      {"state store: torn write, bit flip, no space, failed fsync",
       {Fault::TornWrite, Fault::BitFlip, Fault::DiskFull, Fault::FailedSync},
       {true, true, true, true}},
      {"credentials expire or rotate", {Fault::CredentialsExpire}, {true, true, true, true}},
  };
  return all;
}

std::uint64_t sum(const Tally& tally, const MatrixRow& row, std::size_t phase) {
  std::uint64_t total = 0;
  for (Fault fault : row.faults) total += tally.of(fault, static_cast<Phase>(phase));
  return total;
}

template <class T>
T median(std::vector<T> values) {
  if (values.empty()) return T{};
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

void Totals::add(const Figures& run) {
  ++runs;
  if (run.failed()) ++failed;
  if (run.named_stop) ++named_stops;
  claims += static_cast<std::uint64_t>(run.claims);
  verdicts += static_cast<std::uint64_t>(run.verdicts);
  accusations += static_cast<std::uint64_t>(run.accusations);
  lives += static_cast<std::uint64_t>(run.lives);
  tally += run.tally;
  kills.push_back(run.kills);
  fault_kinds.push_back(run.fault_kinds);
  for (std::size_t p = 0; p < kPhases; ++p) writes[p].push_back(run.writes[p]);
}

std::string Totals::text() const {
  std::string out = fmt::format("{} lives, {} claims of in sync compared, {} runs ended by a named stop\n", lives,
                                claims, named_stops);
  out += fmt::format("{} verdicts of verify compared, which called {} keys different\n", verdicts, accusations);
  out += fmt::format("median run: {} kills, {} kinds of fault, writes by phase {}/{}/{}/{}\n", median(kills),
                     median(fault_kinds), median(writes[0]), median(writes[1]), median(writes[2]), median(writes[3]));
  out += fmt::format("{:58}{:>10}{:>10}{:>10}{:>10}\n", "", "start", "backfill", "replay", "verify");
  for (const MatrixRow& row : rows()) {
    out += fmt::format("{:58}", row.name);
    for (std::size_t p = 0; p < kPhases; ++p) {
      out += row.due[p] ? fmt::format("{:>10}", sum(tally, row, p)) : fmt::format("{:>10}", "-");
    }
    out += '\n';
    for (Fault fault : row.faults) {
      out += fmt::format("  {:56}", name_of(fault));
      for (std::size_t p = 0; p < kPhases; ++p) out += fmt::format("{:>10}", tally.of(fault, static_cast<Phase>(p)));
      out += '\n';
    }
  }
  return out;
}

std::vector<std::string> Totals::shortfalls() const {
  std::vector<std::string> found;
  for (const MatrixRow& row : rows()) {
    for (std::size_t p = 0; p < kPhases; ++p) {
      if (row.due[p] && sum(tally, row, p) == 0)
        found.push_back(fmt::format("a due cell stayed at 0: {} x {}", row.name, name_of(static_cast<Phase>(p))));
    }
  }
  for (std::size_t p = 0; p < kPhases; ++p) {
    if (median(writes[p]) < kWritesMedian) {
      found.push_back(fmt::format("the median seed has {} writes in {}, less than {}", median(writes[p]),
                                  name_of(static_cast<Phase>(p)), kWritesMedian));
    }
  }
  if (median(fault_kinds) < kFaultKindsMedian) found.push_back("the median seed has too few kinds of fault");
  if (median(kills) < kKillsMedian) found.push_back("the median seed has no crash");
  return found;
}

}  // namespace moveout::sim
