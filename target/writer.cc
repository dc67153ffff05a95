#include "target/writer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/mutant.h"

namespace moveout::target {
namespace {

using base::ErrorKind;

Poison poison_of(const item::Write& write, std::string reason) {
  return {std::string(write.key), write.version, std::move(reason), std::string(write.image)};
}

// What one answer leaves to do.
struct Rest {
  std::vector<std::size_t> again;  // throttled or unknown
  std::vector<Poison> refused;
};

Rest rest_of(const item::Batch& batch, const Outcomes& outcomes, Written& written) {
  MOVEOUT_ASSERT(outcomes.each.size() == batch.size());
  Rest rest;
  std::size_t why = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    switch (outcomes.each[i]) {
      case Outcome::Applied:
        ++written.applied;
        break;
      case Outcome::Stale:
        ++written.stale;
        break;
      case Outcome::Throttled:
      case Outcome::Unknown:
        if (!base::mutant("unprocessed_items_dropped")) rest.again.push_back(i);
        break;
      case Outcome::Refused: {
        while (why < outcomes.why.size() && outcomes.why[why].first < i) ++why;
        const bool told = why < outcomes.why.size() && outcomes.why[why].first == i;
        rest.refused.push_back(poison_of(batch[i], told ? outcomes.why[why].second : "the target refuses it"));
        break;
      }
    }
  }
  return rest;
}

}  // namespace

Writer::Writer(Target& target, Quarantine& quarantine, CheckpointSink& checkpoints, base::Clock& clock, base::Rng rng,
               base::Log& log, WriterPolicy policy)
    : target_(target),
      quarantine_(quarantine),
      checkpoints_(checkpoints),
      clock_(clock),
      rng_(rng),
      log_(log),
      policy_(policy) {}

// Nothing older than what was set aside may stand, or arrive later, as if it were the newest: a tombstone of the same
// version takes its place. Before the first era's back-fill there was nothing older.
item::Batch Writer::tombstones_of(const std::vector<Poison>& refused) {
  item::Batch tombstones;
  if (base::mutant("refused_leaves_old_image")) return tombstones;
  for (const Poison& poison : refused) {
    const bool first = poison.version.era == 0 && poison.version.band == item::Band::Backfill;
    if (!first && !poison.image.empty()) tombstones.add_copy(poison.key, poison.version, "");
  }
  return tombstones;
}

base::Task<base::Result<>> Writer::set_aside(std::vector<Poison> refused, Written& written) {
  if (refused.empty() || base::mutant("refused_are_dropped")) co_return base::Result<>();
  written.refused += refused.size();
  item::Batch tombstones = tombstones_of(refused);
  if (base::Result<> kept = co_await quarantine_.put(std::move(refused)); !kept) co_return kept;
  if (tombstones.empty()) co_return base::Result<>();
  // A refused tombstone tells that the target cannot hold the key at all: nothing of it stands.
  base::Result<Written> stand = co_await write_out(std::move(tombstones), {}, Refused::Ignored);
  if (!stand) co_return base::fail(std::move(stand.error()));
  co_return base::Result<>();
}

base::Task<base::Result<>> Writer::set_aside_beforehand(item::Batch& batch, Written& written) {
  std::vector<std::size_t> bad;  // nearly always none
  std::vector<Poison> refused;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const std::string* unreadable = batch.unreadable(i);
    if (std::optional<std::string> reason = unreadable ? *unreadable : target_.refusal(batch[i])) {
      refused.push_back(poison_of(batch[i], std::move(*reason)));
      bad.push_back(i);
    }
  }
  if (refused.empty()) co_return base::Result<>();
  std::vector<std::size_t> good;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!std::binary_search(bad.begin(), bad.end(), i)) good.push_back(i);
  }
  batch = batch.only(good);
  co_return co_await set_aside(std::move(refused), written);
}

base::Task<base::Result<Written>> Writer::write(item::Batch batch, Checkpoints checkpoints) {
  Written written;
  if (base::Result<> aside = co_await set_aside_beforehand(batch, written); !aside) {
    co_return base::fail(std::move(aside.error()));
  }
  base::Result<Written> out = co_await write_out(std::move(batch), std::move(checkpoints), Refused::SetAside);
  if (out) out->refused += written.refused;
  co_return out;
}

base::Task<base::Result<Written>> Writer::write_out(item::Batch batch, Checkpoints checkpoints, Refused then) {
  Written written;
  const bool with_data = target_.commits_checkpoints();
  base::Backoff backoff(policy_.backoff, rng_);
  base::Steady progress = clock_.steady();
  bool committed = batch.empty() && (checkpoints.empty() || !with_data);
  while (!committed) {
    base::Result<Outcomes> outcomes = co_await target_.apply(batch, with_data ? checkpoints : Checkpoints());
    if (!outcomes) {
      const ErrorKind kind = outcomes.error().kind;
      if (kind != ErrorKind::Unavailable && kind != ErrorKind::Throttled) {
        co_return base::fail(std::move(outcomes.error()));
      }
      if (clock_.steady() - progress >= policy_.give_up_after) {
        co_return base::fail(ErrorKind::EndpointDown, std::move(outcomes.error().what));
      }
      log_.info("target.retry", {{"error", base::name_of(kind)}, {"attempt", backoff.tries() + 1}});
      co_await clock_.sleep_for(backoff.next());
      continue;
    }
    Rest rest = rest_of(batch, *outcomes, written);
    const bool all_stand = rest.again.size() + rest.refused.size() == 0;
    const bool some_refused = !rest.refused.empty();
    if (then == Refused::SetAside) {
      base::Result<> aside = co_await set_aside(std::move(rest.refused), written);
      if (!aside) co_return base::fail(std::move(aside.error()));
    }
    // Refused or resent: a target that keeps the checkpoints has not kept these yet.
    committed = rest.again.empty() && (all_stand || !with_data || checkpoints.empty());
    if (rest.again.size() < batch.size()) {
      progress = clock_.steady();
      backoff.reset();
    }
    batch = batch.only(rest.again);
    if (committed || some_refused) continue;
    if (clock_.steady() - progress >= policy_.give_up_after) {
      co_return base::fail(ErrorKind::EndpointDown, "the target refuses to take " + std::to_string(batch.size()) +
                                                        " writes now, and has for minutes");
    }
    log_.debug("target.again", {{"writes", batch.size()}, {"attempt", backoff.tries() + 1}});
    co_await clock_.sleep_for(backoff.next());
  }
  if (!with_data && !checkpoints.empty()) {
    base::Result<> kept = co_await checkpoints_.commit(std::move(checkpoints));
    if (!kept) co_return base::fail(std::move(kept.error()));
  }
  co_return written;
}

}  // namespace moveout::target
