#include "sim/plan.h"

#include <algorithm>

#include "sim/mutants.h"

namespace moveout::sim {

namespace {

using Letter = item::KeyType;

struct Rate {
  Fault fault;
  std::uint64_t often, seldom;  // once in so many chances
};

// Drawn live once in three, at a rate between the two.
constexpr Rate kRates[] = {
    {Fault::LostRequest, 60, 600},     {Fault::LostAnswer, 60, 600},   {Fault::LateRequest, 60, 600},
    {Fault::Duplicate, 20, 200},       {Fault::Refused, 30, 300},      {Fault::SlowAnswer, 80, 400},
    {Fault::Garbled, 30, 300},         {Fault::Throttle, 10, 200},     {Fault::ServerError, 20, 200},
    {Fault::PartialBatch, 4, 30},      {Fault::FailedSync, 300, 3000}, {Fault::DiskFull, 1000, 8000},
    {Fault::ServerClocks, 1, 1},       {Fault::ChildHidden, 1, 3},     {Fault::ChildrenOneByOne, 1, 3},
    {Fault::OpenParent, 1, 3},         {Fault::MissingShard, 20, 100}, {Fault::ShortListing, 1, 1},
    {Fault::ExpiredIterator, 20, 200}, {Fault::EmptyPage, 4, 20},      {Fault::ShortPage, 2, 10},
    {Fault::StaleRead, 1, 3},          {Fault::Malformed, 100, 500},
};

Phase draw_phase(base::Rng& rng) { return static_cast<Phase>(rng.below(kPhases)); }

// A kill lands uniformly on a logarithmic scale: some at the first awaits of a phase, some deep in it.
std::uint64_t draw_boundary(base::Rng& rng) { return 1 + rng.below(std::uint64_t{4} << rng.below(8)); }

void draw_table(Plan& plan, base::Rng& rng) {
  constexpr Letter kLetters[] = {Letter::S, Letter::N, Letter::B};
  plan.key.partition = {rng.chance(8) ? "Id \"q\"" : "pk", kLetters[rng.below(3)]};
  if (rng.chance(2)) plan.key.sort = item::KeyAttribute{rng.chance(8) ? "order" : "sk", kLetters[rng.below(3)]};
  plan.preload = 40 + rng.below(360);
  plan.keys = plan.preload + 20 + rng.below(200);
  if (rng.chance(20)) plan.preload = 0;
  plan.stream_at_start = rng.chance(2);
  if (rng.chance(5)) {
    constexpr View kOther[] = {View::NewImage, View::OldImage, View::KeysOnly};
    plan.view = kOther[rng.below(3)];
    plan.stream_at_start = true;
  }
  plan.stream.shards = 1 + static_cast<int>(rng.below(3));
  plan.stream.ids_in_order = !rng.chance(3);
  plan.stream.visible_after_max = Micros(rng.below(400'000));
  plan.server.page_items = 3 + rng.below(16);
  plan.server.float_times = rng.chance(4);
  plan.server.capital_message = rng.chance(4);
  if (rng.chance(2)) plan.roll_one_in = 40 + rng.below(400);
}

void draw_blows(Plan& plan, base::Rng& rng) {
  const auto add = [&](Fault fault, Phase phase, std::uint64_t after) {
    plan.blows.push_back({fault, phase, after, static_cast<int>(rng.below(3)), false});
  };
  const std::uint64_t kills = rng.chance(6) ? 0 : 1 + rng.below(4);
  for (std::uint64_t i = 0; i < kills; ++i) {
    add(rng.chance(3) ? Fault::PowerLoss : Fault::Kill, draw_phase(rng), draw_boundary(rng));
  }
  const auto maybe = [&](Fault fault, std::uint64_t one_in, std::uint64_t us_max) {
    if (rng.chance(one_in)) add(fault, draw_phase(rng), rng.below(us_max));
  };
  maybe(Fault::Zombie, 6, 400'000);
  maybe(Fault::TwoCoordinators, 8, 300'000);
  maybe(Fault::ClockStep, 5, 400'000);
  maybe(Fault::StreamOff, 14, 400'000);
  maybe(Fault::TableRemade, 14, 400'000);
  maybe(Fault::Trim, 14, 400'000);
  maybe(Fault::TargetDown, 5, 300'000);
  maybe(Fault::DiskFull, 7, 300'000);
  maybe(Fault::BitFlip, 16, 300'000);
  maybe(Fault::CredentialsExpire, 6, 300'000);
  maybe(Fault::Denied, 16, 300'000);
  if (rng.chance(30)) plan.blows.push_back({Fault::Tamper, Phase::Backfill, rng.below(60'000), 0, false});
}

// Of numbers of their own too.
void draw_verifications(Plan& plan, const std::string& profile) {
  base::Rng rng(plan.seed * 0x9e3779b97f4a7c15ULL + 0x76657269);
  if (!rng.chance(3) || !profile.empty()) return;
  plan.verifications = 1 + static_cast<int>(rng.below(8));
  if (rng.chance(2)) plan.verify_saves = base::Millis(10000);
}

}  // namespace

bool Plan::has_blow(Fault fault) const {
  return std::any_of(blows.begin(), blows.end(), [&](const Blow& blow) { return blow.fault == fault; });
}

bool Plan::network_is_bad() const {
  return live(Fault::LostRequest) || live(Fault::LostAnswer) || live(Fault::LateRequest) || live(Fault::Refused) ||
         live(Fault::SlowAnswer) || live(Fault::ServerError) || has_blow(Fault::TargetDown);
}

bool Plan::disk_is_bad() const {
  return live(Fault::DiskFull) || live(Fault::FailedSync) || has_blow(Fault::DiskFull) ||
         (has_blow(Fault::TargetDown) && target == TargetKind::Sqlite);
}

Plan draw_plan(std::uint64_t seed, const std::string& profile) {
  base::Rng rng(seed * 0x9e3779b97f4a7c15ULL + 0x6d6f7665);
  Plan plan;
  plan.seed = seed;
  draw_table(plan, rng);
  const std::uint64_t kind = rng.below(10);
  plan.target = kind < 6 ? TargetKind::Sqlite : kind < 8 ? TargetKind::Memory : TargetKind::MemoryWithCheckpoints;
  // Of numbers of its own, so that the other seeds stay what they were.
  if (base::Rng(seed * 0x9e3779b97f4a7c15ULL + 0x6f726465).chance(6) && profile.empty())
    plan.target = TargetKind::Ordered;
  draw_verifications(plan, profile);
  plan.refuses_nul = plan.target != TargetKind::Sqlite && rng.chance(4);
  plan.infer_columns = !rng.chance(4);
  plan.segments = rng.chance(3) ? 0 : 1 + static_cast<int>(rng.below(24));
  plan.workers = 1 + static_cast<int>(rng.below(4));
  if (rng.chance(4)) plan.tip_wait = base::Millis(3000), plan.tip_pages = 3;
  if (rng.chance(12)) plan.tip_wait = base::Millis(30000), plan.tip_pages = 5;
  plan.stream.empty_max = Micros(plan.tip_wait) * 6 / 10;
  plan.until_in_sync = rng.chance(3);
  plan.finish_at_end = rng.chance(2);
  plan.second_era = rng.chance(6);
  plan.hostile = rng.chance(6);
  plan.ttl = rng.chance(2);
  plan.network.latency_min = Micros(2000 + rng.below(8000));
  plan.network.latency_max = plan.network.latency_min + Micros(2000 + rng.below(30'000));
  if (rng.chance(3)) plan.wall_offset = Micros(static_cast<std::int64_t>(rng.below(10'000'001)) - 5'000'000);
  for (const Rate& rate : kRates) {
    const std::uint64_t drawn = rate.often + rng.below(rate.seldom - rate.often + 1);
    if (rng.chance(3)) plan.one_in[static_cast<std::size_t>(rate.fault)] = drawn;
  }
  draw_blows(plan, rng);
  const bool hides = plan.live(Fault::ChildHidden) || plan.live(Fault::ChildrenOneByOne) ||
                     plan.live(Fault::MissingShard) || plan.live(Fault::OpenParent);
  if (plan.roll_one_in == 0 || !hides) plan.difference_wait = base::Millis(0);
  if (!profile.empty()) sharpen(plan, profile);
  return plan;
}

}  // namespace moveout::sim
