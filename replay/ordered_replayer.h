// OrderedReplayer: changes from a journal → a target without a guard, in an order that no late request can break
// (docs/consistency.md §3, M4).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "aws/dynamodb.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/signal.h"
#include "base/task.h"
#include "journal/journal.h"
#include "replay/held_rows.h"
#include "replay/replayer.h"
#include "state/allotter.h"
#include "state/signing_lease.h"
#include "target/writer.h"

namespace moveout::replay {

// Told of the writes that stand now.
class Standing {
 public:
  virtual ~Standing() = default;
  // contract: durable before it returns. Keys are item::Key::encoded().
  virtual base::Task<base::Result<>> stands(std::vector<std::pair<std::string, item::Version>> applied) = 0;
};

// The name of the checkpoint that says how far the journal was replayed: the number of the first page that was not.
inline constexpr std::string_view kReplayedName = "journal/replayed";

struct OrderedPolicy {
  std::size_t batch = 25;               // keys in one request
  int requests = 8;                     // under way at once
  std::size_t window_bytes = 16 << 20;  // of changes that wait, in memory
  std::size_t window_changes = 50'000;
  std::size_t window_pages = 20'000;  // read and not yet passed: while a key is held, others go on
  base::BackoffPolicy backoff{base::Millis(25), base::Millis(20000)};
  base::Millis give_up_after{300000};  // without any definite answer: EndpointDown
};

struct OrderedSeams {
  target::Target& target;
  journal::Journal& journal;
  state::SigningLease& lease;
  target::Quarantine& quarantine;
  target::CheckpointSink& checkpoints;
  Standing& standing;
  aws::DynamoDb& source;
  state::VersionAllotter* allotter;  // level-triggered tables
  base::Clock& clock;
  base::Log& log;
};

// A key has one write under way at most, and its next one is sent when that one has a definite outcome:
//
//   Applied, Stale            definite
//   Refused                   definite: set aside, and the key's delete is sent in its place
//   Throttled                 certainly not applied: sent again, or what has come meanwhile instead
//   Unknown                   the key is held until it can no longer land; then the same write again, then the next
//
// Of several changes of a key that wait only the last one is sent. The position moves over a page when all its changes
// have definite outcomes or were overtaken by later pages' (I4), or are of held keys and stand in rows that are
// committed with the position (HeldRows). Memory is bounded: see OrderedPolicy. Single executor.
class OrderedReplayer {
 public:
  // checkpoint_prefix: put before the names it commits ("e0/").
  OrderedReplayer(Config config, OrderedSeams seams, std::string checkpoint_prefix, base::Executor executor,
                  base::Rng rng, OrderedPolicy policy = {});
  OrderedReplayer(const OrderedReplayer&) = delete;
  OrderedReplayer& operator=(const OrderedReplayer&) = delete;
  // Replays from `from` on until cancelled or an error; before it what an earlier process left in `held` rows. Nothing
  // that was signed before may land any more.
  base::Task<base::Result<>> run(journal::Position from, std::vector<item::Change> held = {});
  // A page was appended to the journal.
  void appended() { fed_.notify_all(); }
  // Every page before `end` has been replayed, durably.
  bool passed(journal::Position end) const { return end <= done_ && !owes(); }
  // The same, but for changes of held keys.
  bool passed_but_held(journal::Position end) const { return end <= done_; }
  journal::Position done() const { return done_; }
  // Keys of which nobody knows yet what became of their last write, or whose write an earlier process left undone.
  std::size_t held() const;
  bool is_held(const std::string& key) const { return doubtful_.contains(key) || owes(key); }
  const Counters& counters() const { return counters_; }
  // Notified when done() moves or a key is held no longer.
  base::Signal& moved() { return moved_; }

 private:
  enum class At { Ready, Sent, Held };
  struct Waiting {
    item::Change change;
    std::uint64_t page = 0;
  };
  // One key with changes that have no definite outcome.
  struct Lane {
    At at = At::Ready;
    bool doubtful = false;  // `now` may have landed: it is sent again before anything else
    Waiting now;
    std::optional<Waiting> next;  // only while `now` is sent or doubtful
  };
  struct OpenPage {
    std::size_t open = 0;  // changes without a definite outcome
    std::size_t held = 0;  // those of them that are of doubtful lanes
    std::pair<std::string, std::string> checkpoint;
  };
  struct Answers;
  struct Settled {
    bool definite = false;   // some
    bool throttled = false;  // some
    bool unknown = false;    // some
  };

  base::Task<base::Result<>> feed(journal::Position from);
  base::Task<base::Result<>> send();
  base::Task<base::Result<>> release_held();
  base::Task<base::Result<>> commit();

  bool room() const;
  void take(journal::Entry entry);
  void enqueue(item::Change change, std::uint64_t page);
  std::vector<std::string> take_ready();
  base::Task<base::Result<>> resolve_touched(std::vector<std::string> keys);
  base::Task<base::Result<Answers>> ask(std::vector<std::string> keys);
  base::Task<base::Result<Settled>> settle(std::vector<std::string> keys, Answers answers);
  void definite(const std::string& key);
  void again(const std::string& key);
  void set_aside(const std::string& key);
  void hold(const std::string& key, base::Steady until);
  void leave(const Waiting& waiting, bool doubtful);
  void count_held(const Waiting& waiting, int by);
  bool owes(const std::string& key) const;
  bool owes() const;
  std::size_t passable(target::Checkpoints& rows);
  std::map<std::string, HeldRows::Wanted> rows_wanted(journal::Position until) const;
  Lane& lane(const std::string& key);

  Config config_;
  OrderedSeams seams_;
  std::string prefix_;
  base::Rng rng_;
  OrderedPolicy policy_;
  Counters counters_;

  std::unordered_map<std::string, Lane> lanes_;  // looked up only, never walked
  std::deque<std::string> ready_;
  std::multimap<base::Steady, std::string> held_;
  std::set<std::string> doubtful_;  // the keys of doubtful lanes
  HeldRows rows_;
  std::deque<OpenPage> pages_;  // from done_ on
  journal::Position done_;
  std::size_t bytes_ = 0;                      // of the changes in lanes
  std::optional<base::Steady> failing_since_;  // no definite answer since
  base::Signal fed_;                           // a page was appended, or there is room for more
  base::Signal ready_came_, held_came_, page_done_, moved_;
};

}  // namespace moveout::replay
