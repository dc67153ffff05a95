#include "verify/settle.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/mutant.h"
#include "verify/expiry.h"

namespace moveout::verify {
namespace {

using base::Result;
using base::Task;

constexpr std::size_t kListMax = 1000;  // keys that a report names
// Glances at both sides before anything is waited for: 3 s in all. A target that follows closely equals the source in
// most of them, also for keys that change every second.
constexpr int kGlances = 5;
constexpr base::Millis kGlanceAgain{200};
constexpr base::Millis kGlanceWhileWaiting{2000};

}  // namespace

struct Settler::Pending {
  // One look at both sides.
  struct Look {
    std::optional<item::Hash128> source;
    std::optional<item::Version> version;  // read before `target`
    std::optional<item::Hash128> target;
    // Captured changes of the key, as counted before `target` was read and after it.
    std::uint64_t records_before = 0, records_after = 0;
    friend bool operator==(const Look&, const Look&) = default;
  };
  item::Key key;
  Look now;
  std::optional<Look> before;
  // Of this look's images, where the source's TTL is known.
  std::optional<std::int64_t> source_expires{}, target_expires{};

  // Both present is always compared.
  bool in_ttl_class() const {
    return now.source.has_value() != now.target.has_value() || base::mutant("ttl_class_both_sides");
  }
  bool missing() const { return now.source.has_value() && !now.target.has_value(); }
  std::optional<std::int64_t> expires() const { return now.source ? source_expires : target_expires; }
};

namespace {

void count_difference(const item::Key& key, bool in_source, bool in_target, Report& report) {
  const Difference::Kind kind = !in_target   ? Difference::Kind::Missing
                                : !in_source ? Difference::Kind::Extra
                                             : Difference::Kind::Different;
  ++(kind == Difference::Kind::Missing ? report.missing
     : kind == Difference::Kind::Extra ? report.extra
                                       : report.different);
  if (report.first.size() < kListMax) report.first.push_back({kind, key});
}

}  // namespace

Task<Result<>> Settler::settle(std::vector<item::Key> keys, std::uint64_t seed, bool absent_matches, Report& report) {
  const bool values_only = base::mutant("verify_values_only");
  std::vector<Pending> pending = pending_of(std::move(keys));
  for (int look = 1; look <= std::max(2, config_.compare_tries) && !pending.empty(); ++look) {
    // What is on one side only may have expired. A verdict needs two looks: from the second on the times are seen.
    if (look > 1 && std::ranges::any_of(pending, &Pending::in_ttl_class)) co_await source_.learn_ttl();
    if (look > 1 && config_.set_aside != nullptr && std::ranges::any_of(pending, &Pending::missing)) {
      if (const Result<> learnt = co_await config_.set_aside->learn(); !learnt) co_return learnt;
    }
    std::vector<Pending> moving;
    if (watermark_.knows() && !values_only) {
      if (const Result<> looked = co_await glance(pending, moving, seed, absent_matches, report); !looked) {
        co_return looked;
      }
    } else if (!watermark_.knows() && look > 1) {
      co_await watermark_.passed(clock_.steady(), config_.patience);
    }
    if (!pending.empty()) {
      const Result<> waited = co_await look_and_wait(pending, moving, seed, absent_matches, report);
      if (!waited) co_return waited;
    }
    take(pending, std::move(moving));
  }
  report.hot += pending.size();
  for (Pending& one : pending) {
    if (report.hot_keys.size() < kListMax) report.hot_keys.push_back(std::move(one.key));
  }
  co_return Result<>();
}

std::vector<Settler::Pending> Settler::pending_of(std::vector<item::Key> keys) {
  std::vector<Pending> pending;
  pending.reserve(keys.size());
  for (item::Key& key : keys) pending.push_back({std::move(key), {}, {}});
  return pending;
}

// Keys stay sorted.
void Settler::take(std::vector<Pending>& into, std::vector<Pending> more) {
  std::ranges::move(more, std::back_inserter(into));
  std::ranges::sort(into, {}, &Pending::key);
}

// Rn ──► wait ──► Vn, Tn, beside the look before. What is equal or moves meanwhile is not waited for any longer.
Task<Result<>> Settler::look_and_wait(std::vector<Pending>& pending, std::vector<Pending>& moving, std::uint64_t seed,
                                      bool absent_matches, Report& report) {
  if (const Result<> read = co_await read_source(pending, seed); !read) co_return read;
  if (watermark_.knows() && !base::mutant("verify_values_only")) {
    const base::Steady looked = clock_.steady();
    const Result<bool> passed = co_await wait(looked, pending, moving, seed, absent_matches, report);
    if (!passed) co_return base::fail(passed.error());
    // Of this look nothing follows, and it does not stand beside the next one either.
    if (!*passed) {
      for (Pending& one : pending) one.before.reset();
      co_return Result<>();
    }
  }
  if (const Result<> read = co_await read_target(pending, seed); !read) co_return read;
  std::erase_if(pending, [&](Pending& one) {
    if (one.now.source == one.now.target) {
      if (one.now.source || absent_matches) ++report.matched;
      return true;
    }
    if (one.before && *one.before == one.now) {
      if (one.in_ttl_class() && expired(one.expires(), clock_.now())) {
        ++report.expired;
      } else if (one.missing() && config_.set_aside != nullptr && config_.set_aside->holds(one.key.encoded())) {
        ++report.quarantined;
      } else {
        count_difference(one.key, one.now.source.has_value(), one.now.target.has_value(), report);
      }
      return true;
    }
    one.before = one.now;
    return false;
  });
  co_return Result<>();
}

// False when it is not known in time whether what is applied has passed `looked`.
Task<Result<bool>> Settler::wait(base::Steady looked, std::vector<Pending>& pending, std::vector<Pending>& moving,
                                 std::uint64_t seed, bool absent_matches, Report& report) {
  const base::Steady until = looked + config_.patience;
  while (!pending.empty()) {
    const base::Steady asked = clock_.steady();
    const base::Millis slice = std::min(kGlanceWhileWaiting, std::chrono::ceil<base::Millis>(until - asked));
    if (co_await watermark_.passed(looked, slice)) co_return true;
    if (clock_.steady() >= until || clock_.steady() < asked + slice) co_return false;
    if (const Result<> seen = co_await glance_once(pending, moving, seed, absent_matches, report); !seen) {
      co_return base::fail(seen.error());
    }
  }
  co_return true;
}

// What is equal now is equal. Of the rest, what the source changes meanwhile is `moving`: a wait would tell nothing of
// it.
Task<Result<>> Settler::glance(std::vector<Pending>& pending, std::vector<Pending>& moving, std::uint64_t seed,
                               bool absent_matches, Report& report) {
  if (const Result<> read = co_await read_source(pending, seed); !read) co_return read;
  base::Millis pause = kGlanceAgain;
  for (int glance = 1; glance <= kGlances && !(pending.empty() && moving.empty()); ++glance) {
    if (glance > 1) co_await clock_.sleep_for(std::exchange(pause, 2 * pause));
    std::vector<Pending> still_moving;
    if (const Result<> seen = co_await glance_once(moving, still_moving, seed, absent_matches, report); !seen) {
      co_return seen;
    }
    take(moving, std::move(still_moving));
    if (const Result<> seen = co_await glance_once(pending, moving, seed, absent_matches, report); !seen) {
      co_return seen;
    }
  }
  co_return Result<>();
}

// One look at both sides, beside what each key's source was when last looked at.
Task<Result<>> Settler::glance_once(std::vector<Pending>& pending, std::vector<Pending>& moving, std::uint64_t seed,
                                    bool absent_matches, Report& report) {
  std::vector<std::optional<item::Hash128>> then;
  for (const Pending& one : pending) then.push_back(one.now.source);
  if (const Result<> read = co_await look_now(pending, seed); !read) co_return read;
  std::vector<Pending> still, moved;
  for (std::size_t i = 0; i < pending.size(); ++i) {
    Pending& one = pending[i];
    if (one.now.source == one.now.target) {
      if (one.now.source || absent_matches) ++report.matched;
    } else if (one.now.source != then[i]) {
      one.before.reset();
      moved.push_back(std::move(one));
    } else {
      still.push_back(std::move(one));
    }
  }
  pending = std::move(still);
  take(moving, std::move(moved));
  co_return Result<>();
}

Task<Result<std::vector<item::Key>>> Settler::unequal(std::vector<item::Key> keys, std::uint64_t seed) {
  std::vector<Pending> pending = pending_of(std::move(keys));
  if (const Result<> read = co_await look_now(pending, seed); !read) co_return base::fail(read.error());
  std::vector<item::Key> others;
  for (Pending& one : pending) {
    if (one.now.source != one.now.target) others.push_back(std::move(one.key));
  }
  co_return others;
}

Task<Result<>> Settler::look_now(std::vector<Pending>& pending, std::uint64_t seed) {
  if (const Result<> read = co_await read_source(pending, seed); !read) co_return read;
  co_return co_await read_target(pending, seed);
}

Task<Result<>> Settler::read_source(std::vector<Pending>& pending, std::uint64_t seed) {
  std::vector<item::Key> keys;
  keys.reserve(pending.size());
  for (const Pending& one : pending) keys.push_back(one.key);
  const Result<Images> images = co_await source_.images(std::move(keys), seed);
  if (!images) co_return base::fail(images.error());
  for (std::size_t i = 0; i < pending.size(); ++i) {
    const std::optional<Image>& image = (*images)[i];
    pending[i].now.source = image ? std::optional(image->hash) : std::nullopt;
    pending[i].source_expires = image ? image->expires_at : std::nullopt;
  }
  co_return Result<>();
}

Task<Result<>> Settler::read_target(std::vector<Pending>& pending, std::uint64_t seed) {
  const bool values_only = base::mutant("verify_values_only");
  for (std::size_t from = 0; from < pending.size();) {
    const std::size_t to = std::min(pending.size(), from + source_.group());
    std::vector<item::Key> keys;
    for (std::size_t i = from; i < to; ++i) {
      keys.push_back(pending[i].key);
      if (!values_only) pending[i].now.records_before = watermark_.records_of(pending[i].key);
    }
    // The version first: an apply between the two reads then shows as a version that moved.
    const Result<std::vector<std::optional<item::Version>>> versions = co_await target_.versions(keys);
    if (!versions) co_return base::fail(versions.error());
    const Result<std::vector<std::optional<target::Stored>>> rows = co_await target_.read(std::move(keys));
    if (!rows) co_return base::fail(rows.error());
    MOVEOUT_ASSERT(versions->size() == to - from && rows->size() == to - from);
    for (std::size_t i = from; i < to; ++i) {
      const std::optional<target::Stored>& row = (*rows)[i - from];
      pending[i].now.target = row ? std::optional(item::canonical_hash(row->item, seed)) : std::nullopt;
      pending[i].target_expires = row ? expires_at(row->item, source_.ttl_attribute()) : std::nullopt;
      if (values_only) continue;
      pending[i].now.version = (*versions)[i - from];
      pending[i].now.records_after = watermark_.records_of(pending[i].key);
    }
    from = to;
  }
  co_return Result<>();
}

}  // namespace moveout::verify
