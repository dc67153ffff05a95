// LateTarget: a target without a guard behind a bad network: requests that nobody heard of land up to L later, some
// twice, some never; batches succeed in part. It tells when a write was sent while an earlier one of its key could
// still land, which is what consistency.md §3 (M4) forbids.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "target/target.h"

namespace moveout::test {

// What the database holds; it outlives every process.
struct LateDatabase {
  struct Landing {
    std::string key, image;  // empty: a delete
  };
  std::map<std::string, std::string> rows;
  std::multimap<base::Steady, Landing> pending;
  int broken = 0;  // writes sent while an earlier one of the key could still land
  int requests = 0, unknown = 0;

  void land_until(base::Steady now) {
    while (!pending.empty() && pending.begin()->first <= now) {
      const Landing& landing = pending.begin()->second;
      landing.image.empty() ? void(rows.erase(landing.key)) : void(rows[landing.key] = landing.image);
      pending.erase(pending.begin());
    }
  }
};

class LateTarget final : public target::Target {
 public:
  struct Odds {
    std::uint64_t unknown = 6;    // requests, one in so many
    std::uint64_t throttled = 8;  // items
    std::uint64_t refused = 0;    // requests that are throttled as a whole
  };

  LateTarget(LateDatabase& database, base::Clock& clock, base::Rng rng, base::Millis late_max, Odds odds)
      : database_(database), clock_(clock), rng_(rng), late_max_(late_max), odds_(odds) {}

  // The next request with this key is never heard of again.
  void lose_next(std::string key) { lost_ = std::move(key); }

  base::Task<base::Result<target::Outcomes>> apply(item::Batch batch, target::Checkpoints) override {
    using target::Outcome;
    target::Outcomes outcomes;
    const base::Steady signed_at = clock_.steady();
    database_.land_until(signed_at);
    if (permit_ != nullptr && !permit_->may_sign()) {
      co_await clock_.sleep_for(base::Millis(1));
      co_return target::Outcomes::all(Outcome::Throttled, batch.size());
    }
    ++database_.requests;
    bool lost = false;
    for (std::size_t i = 0; i < batch.size(); ++i) lost = lost || (!lost_.empty() && batch[i].key == lost_);
    if (lost) lost_.clear();
    const bool unknown = lost || one_in(odds_.unknown), refused = !unknown && one_in(odds_.refused);
    const base::Micros latency = base::Millis(2 + rng_.below(40));
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const std::string key(batch[i].key);
      for (const auto& [at, landing] : database_.pending) database_.broken += landing.key == key ? 1 : 0;
      if (refused || (!unknown && one_in(odds_.throttled))) {
        outcomes.each.push_back(Outcome::Throttled);
        continue;
      }
      outcomes.each.push_back(unknown ? Outcome::Unknown : Outcome::Applied);
      const std::string image(batch[i].image);
      const auto late = [&] { return signed_at + base::Micros(rng_.below(static_cast<std::uint64_t>(L().count()))); };
      if (!unknown) database_.pending.insert({signed_at + latency / 2, {key, image}});
      if (lost) continue;
      if (unknown && !rng_.chance(4)) database_.pending.insert({late(), {key, image}});
      if (unknown && rng_.chance(4)) database_.pending.insert({late(), {key, image}});
    }
    database_.unknown += unknown ? 1 : 0;
    if (unknown) outcomes.until = signed_at + L();
    co_await clock_.sleep_for(unknown ? base::Micros(base::Millis(300)) : latency);
    database_.land_until(clock_.steady());
    co_return outcomes;
  }

  base::Task<base::Result<target::Opened>> open(std::string, std::int64_t, target::Layout, target::Mode,
                                                bool) override {
    co_return target::Opened{};
  }
  base::Task<base::Result<target::Opened>> open_reader(target::Layout) override { co_return target::Opened{}; }
  base::Task<base::Result<std::vector<std::optional<target::Stored>>>> read(std::vector<item::Key> keys) override {
    co_return std::vector<std::optional<target::Stored>>(keys.size());
  }
  base::Task<base::Result<std::vector<std::optional<item::Version>>>> versions(std::vector<item::Key> keys) override {
    co_return std::vector<std::optional<item::Version>>(keys.size());
  }
  // Keys alone; what they hold is not asked by those who scan an unguarded target.
  base::Task<base::Result<target::StoredPage>> scan(std::string cursor, std::size_t limit) override {
    database_.land_until(clock_.steady());
    target::StoredPage page;
    auto row = database_.rows.upper_bound(cursor);
    for (; row != database_.rows.end() && page.items.size() < limit; ++row) {
      page.items.emplace_back(item::Key::from_encoded(row->first).value(), target::Stored{});
      page.next = row->first;
    }
    if (row == database_.rows.end()) page.next.clear();
    co_return page;
  }
  base::Task<base::Result<std::optional<std::uint64_t>>> live_rows() override { co_return std::nullopt; }
  base::Task<base::Result<>> seal() override { co_return base::Result<>(); }
  base::Task<base::Result<>> finish() override { co_return base::Result<>(); }
  std::optional<std::string> refusal(const item::Write& write) const override {
    if (write.image.find("never") != std::string_view::npos) return "it says never";
    return std::nullopt;
  }
  void sign_with(const base::Permit& permit) override { permit_ = &permit; }
  target::Guard guard() const override { return target::Guard::OrderedOnly; }
  base::Millis late_max() const override { return late_max_; }
  bool commits_checkpoints() const override { return false; }

 private:
  bool one_in(std::uint64_t odds) { return odds != 0 && rng_.chance(odds); }
  base::Micros L() const { return late_max_; }

  LateDatabase& database_;
  base::Clock& clock_;
  base::Rng rng_;
  base::Millis late_max_;
  Odds odds_;
  std::string lost_;
  const base::Permit* permit_ = nullptr;
};

}  // namespace moveout::test
