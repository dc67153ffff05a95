// OrderedFlow: what lies between capture and a target without a guard: the journal, the lease that says what may be
// signed, and replay (docs/consistency.md §3, M4).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/signal.h"
#include "capture/stream_capture.h"
#include "journal/local/local_journal.h"
#include "move/adapters.h"
#include "move/seams.h"
#include "replay/ordered_replayer.h"
#include "state/signing_lease.h"

namespace moveout::move {

// Captured pages go into the journal from the first minute; replay takes them from there once the back-fill is over and
// none of its requests, nor any of an earlier process, can land any more. Single executor.
class OrderedFlow final : public capture::Sink, private replay::Standing {
 public:
  struct Parts {
    std::string file;  // the table's name, as a file name can hold it
    std::string era_prefix;
    replay::Config replay;
    TableState& state;
    target::Target& target;
    state::PoisonStore& poison;
    target::Quarantine& quarantine;
    target::CheckpointSink& checkpoints;
    replay::KeyObserver& observer;
    std::uint64_t segment_bytes;
  };
  OrderedFlow(Parts parts, Seams seams, base::Executor executor, base::Rng rng);
  ~OrderedFlow() override;

  // Takes the journal over; `checkpoints` are the era's as the state holds them ("shard/…", "journal/…"), and become
  // those that capture goes on from.
  base::Task<base::Result<>> open(std::map<std::string, std::string>& checkpoints);
  // Beside capture, until cancelled: keeps the lease, and replays once replay_now() was called.
  base::Task<base::Result<>> run();
  // Nothing that this process or an earlier one has signed can land any more when it returns.
  base::Task<base::Result<>> quiet();
  // Before the first back-fill write. A later era's may not race with what an earlier era's processes signed.
  base::Task<base::Result<>> before_backfill();
  // The sweep of a later era; after quiet().
  base::Task<base::Result<std::uint64_t>> sweep();
  void replay_now();

  base::Task<base::Result<>> deliver(capture::CapturedPage page) override;
  // As the capture's, and replayed too, but for held keys: records_of() tells those.
  base::Task<bool> wait_for_pass(capture::StreamCapture& capture, base::Steady instant, base::Millis patience);
  bool passed_since(base::Steady instant) const { return passed_ >= instant; }
  // Where the journal ends now; and whether all before an end is replayed.
  journal::Position end() const { return journal_.end(); }
  bool passed(journal::Position end) const { return replayer_->passed(end); }
  // How long the oldest page that is not replayed has waited.
  base::Millis behind() const;
  std::size_t held() const { return replayer_->held(); }
  const replay::Counters& counters() const { return replayer_->counters(); }
  // Grows with every captured change of the key (and now and then with another key's); and at each look while the key
  // is held, for its change was captured and may be applied at any time.
  std::uint64_t records_of(const item::Key& key) const;

 private:
  base::Task<base::Result<>> stands(std::vector<std::pair<std::string, item::Version>> applied) override;
  base::Task<base::Result<>> replay();
  void note_appended(journal::Position end);

  Parts parts_;
  Seams seams_;
  base::Rng rng_;
  journal::local::LocalJournal journal_;
  state::SigningLease lease_;
  std::optional<state::VersionAllotter> allotter_;
  std::optional<replay::OrderedReplayer> replayer_;
  journal::Position from_;          // where replay goes on
  std::vector<item::Change> left_;  // and what an earlier process left in rows, before that
  base::Signal begin_;
  bool begun_ = false;
  bool quiet_ = false;  // it was, and nothing was signed since but with a definite answer
  base::Steady passed_ = base::Steady::min();
  struct Sample {
    base::Steady at;
    journal::Position end;
  };
  mutable std::deque<Sample> samples_;  // when the journal's end was where; what is replayed is dropped
  std::array<std::uint64_t, 16384> records_{};
  mutable std::uint64_t held_looks_ = 0;
};

}  // namespace moveout::move
