// Lineage: which shard may be read now, and what an absence means. Pure: the caller lists, reads and saves.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "aws/streams.h"
#include "base/clock.h"
#include "base/error.h"
#include "capture/shard_state.h"

namespace moveout::capture {

struct LineageRules {
  // covered_until − margin: what was created before it is covered by the back-fill and need not be read.
  base::Instant covered_from{};
  // An absence counts when two full listings this far apart show it: DescribeStream is inconsistent at times.
  base::Millis absent_wait{60000};
  // A finished shard has children, on AWS always; they may be hidden for minutes. Without any for so long it has none
  // (a server that removed a node).
  base::Millis child_wait{15 * 60 * 1000};
  // After a shard ended, children found within this time are believed to be all of them (split: two).
  base::Millis tip_wait{30000};
  base::Millis retention{24 * 60 * 60 * 1000};  // DynamoDB keeps stream records for 24 hours
  base::Millis clock_slack{5 * 60 * 1000};      // the skew that signatures bear
};

// A shard goes Known → Reading → Finished, each once:
//   - a root (no parent, or a parent that is history) is read as soon as it is listed;
//   - a child is read when its parent's end is durable, and inherits `prev` from it, whenever it comes to be listed;
//   - a shard with a checkpoint goes on from there.
// First discovery ends when every listed shard's parent is known or history; its result is the start row. A parent
// absent during it is history; afterwards it is a gap, and so is an unread shard that is listed no more. An exception:
// a shard closed already at first discovery may be trimmed unread while all that a trim can take was created before
// covered_from.
class Lineage {
 public:
  // From the checkpoints "shard/…". Corrupt when one is damaged.
  static base::Result<Lineage> restore(LineageRules rules, const std::map<std::string, std::string>& checkpoints);

  // One full listing, begun at `begun`. StreamGap: see above.
  base::Result<> listed(const std::vector<aws::Shard>& shards, base::Steady begun, base::Steady ended,
                        base::Instant now);
  // The shards whose reading begins now; each is returned once.
  std::vector<std::string> start_ready();
  // Where reading that shard (goes on or) begins. Asserts that it is known.
  const ShardState& state(const std::string& shard) const;
  // Its checkpoint is durable: its children may start when it is finished.
  void saved(const std::string& shard, ShardState state, base::Steady now);
  // It was at its tip for every instant before `tip`; every record made before `past` has been delivered.
  void reached(const std::string& shard, base::Steady tip, base::Instant seen);
  void passed(const std::string& shard, base::Steady past);

  // It ends, and was read up to the present until then: its children may hold unread records as old as that.
  void ended_unread(const std::string& shard, base::Steady since);
  // Nothing where no parent ended in this process.
  std::optional<base::Steady> unread_since(const std::string& shard) const;

  // May reading begin at the trim horizon, with nothing lost that is needed? After a Trimmed error, or with no sequence
  // number to go on from: the horizon may have moved over records that nobody read.
  bool horizon_is_safe(const std::string& shard, base::Instant now) const;
  // A trimmed or vanished shard: true when it is passed over as covered (then it is to be saved as finished).
  bool may_vanish(const std::string& shard, base::Instant now) const;
  bool closed_in_listing(const std::string& shard) const;

  // To be saved, when the first discovery is over and that is not durable yet.
  const std::optional<StartRow>& start_to_save() const { return start_to_save_; }
  void start_saved();
  // When the next listing can decide something that this one could not; nothing: at leisure.
  std::optional<base::Steady> look_again() const { return look_again_; }
  // Shards that vanished unread and may: to be saved as finished.
  std::vector<std::string> take_passed_over();

  // Every shard at its tip for `instant`, and a listing begun after it that shows none unread.
  bool at_tip_since(base::Steady instant) const;
  // The same with a weaker proof for busy shards: a record made after `instant` has been delivered.
  bool passed_since(base::Steady instant) const;
  // passed_since() holds for every instant before this one; Steady::min() when it holds for none.
  base::Steady passed_before() const;
  // Some finished shard has no child yet: list again soon.
  bool children_expected() const;
  // Since when a finished shard's changes go on nobody knows where: the longest. Nothing when each has a child, or will
  // not get one.
  std::optional<base::Steady> childless_since() const;
  std::size_t reading() const { return reading_; }
  std::size_t finished() const { return nodes_.size() - open_.size(); }

 private:
  enum class Phase { Known, Reading, Finished };
  struct Node {
    ShardState state;
    Phase phase = Phase::Known;
    bool has_row = false;  // a checkpoint is durable
    bool listed = false;   // in this process
    bool closed = false;   // as last listed
    // At its tip (or past by a newer record) for every instant before; a child begins with its parent's.
    base::Steady tip = base::Steady::min();
    base::Steady past = base::Steady::min();
    std::optional<base::Steady> unread_since;
  };

  explicit Lineage(LineageRules rules) : rules_(rules) {}
  base::Instant kept_from(base::Instant now) const { return now - rules_.retention + rules_.clock_slack; }
  void learn(const aws::Shard& shard, bool first);
  // May this shard be read? Fills in what it inherits.
  bool inherit(Node& node) const;
  bool orphan(const Node& node) const;
  bool absent_long(const std::string& id, base::Steady begun, base::Steady ended, std::set<std::string>& absent);
  base::Result<> judge_parents(base::Steady begun, base::Steady ended, base::Instant now,
                               std::set<std::string>& absent);
  base::Result<> judge_vanished(const std::set<std::string>& present, base::Steady begun, base::Steady ended,
                                base::Instant now, std::set<std::string>& absent);
  void settle(base::Steady begun);
  void look_again_at(base::Steady when);
  base::Steady all_before(base::Steady Node::* reached) const;

  LineageRules rules_;
  std::map<std::string, Node> nodes_;
  std::set<std::string> open_;     // not Finished
  std::set<std::string> parents_;  // named as parent by some node
  StartRow start_;
  bool started_ = false;  // the first discovery is over
  std::optional<StartRow> start_to_save_;
  std::map<std::string, base::Steady> absent_since_;  // begin of the first listing that lacked it
  // Finished, and not sure yet that all its children are known: since when (nothing: since the first listing).
  std::map<std::string, std::optional<base::Steady>> unsettled_;
  std::vector<std::string> passed_over_;
  std::optional<base::Steady> look_again_;
  std::optional<base::Steady> listed_at_;  // begin of the last full listing
  base::Instant listed_wall_{};            // the same on the wall
  std::size_t orphans_ = 0;
  std::size_t reading_ = 0;
};

}  // namespace moveout::capture
