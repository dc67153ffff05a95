// Verifier::State: one verification: what it works with, how far it is, and its parts in two files.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/signal.h"
#include "verify/progress.h"
#include "verify/settle.h"
#include "verify/source.h"
#include "verify/spill.h"
#include "verify/verifier.h"

namespace moveout::verify {

struct Verifier::State {
  State(Config c, aws::DynamoDb& s, target::Target& t, Watermark& m, base::Disk& d, base::Worker& w, base::Clock& k,
        base::Rng r, base::Log& l)
      : config(std::move(c)),
        db(s),
        target(t),
        watermark(m),
        disk(d),
        worker(w),
        clock(k),
        rng(r),
        log(l),
        source(config, s, k, rng.fork(), l),
        settler(config, source, t, m, k),
        progress_file(d, config.name),
        spills{Spill(config.name + ".source"), Spill(config.name + ".target")} {}

  Config config;
  aws::DynamoDb& db;
  target::Target& target;
  Watermark& watermark;
  base::Disk& disk;
  base::Worker& worker;
  base::Clock& clock;
  base::Rng rng;
  base::Log& log;
  Source source;
  Settler settler;
  ProgressFile progress_file;

  Progress at;
  std::array<Spill, 2> spills;
  std::map<std::string, std::uint64_t> unsynced;  // files written since they were last synced
  std::vector<std::uint64_t> todo;                // source segments, from the back
  std::optional<base::Signal> written;            // a write to the disk ended
  bool writing = false;
  std::vector<Spill::Piece> going;  // what is being written
  bool going_again = false;         // some of it may be there already
  bool begun = false;               // a run() is under way or was cut off: `at` is its progress
  double rcu_before = 0;            // of earlier processes
  base::Steady saved_at{};
  bool damaged = false;  // the spill on the disk is not what was written

  std::string candidates_name() const { return config.name + ".candidates"; }

  base::Task<base::Result<Report>> run();
  base::Task<base::Result<>> resume_or_begin();
  bool lately(std::int64_t saved_us) const;
  base::Task<base::Result<>> begin();
  base::Task<base::Result<>> adopt(Progress progress);
  base::Result<> cut_back();
  base::Task<base::Result<>> phases();
  base::Task<base::Result<>> read_source();
  base::Task<base::Result<>> read_source_segments();
  base::Task<base::Result<>> read_source_segment(std::uint64_t segment);
  base::Result<> take_source_page(std::uint64_t segment, const aws::ItemsPage& page);
  base::Task<base::Result<>> read_target();
  base::Task<base::Result<>> compare();
  base::Task<base::Result<>> compare_file(std::size_t file);
  base::Task<base::Result<>> settle();
  base::Task<base::Result<std::vector<item::Key>>> next_candidates(std::uint64_t* size);
  void add(Side side, const Record& record);

  base::Task<base::Result<>> flush();
  base::Task<base::Result<>> save();
  base::Task<base::Result<>> keep();
  base::Task<base::Result<>> page_taken();
  void take_pieces();
  base::Result<> write_down();
  base::Task<base::Result<>> forget();
  std::size_t buffered() const { return spills[kSource].buffered() + spills[kTarget].buffered(); }
  double consumed_rcu() const { return rcu_before + source.consumed_rcu(); }
};

}  // namespace moveout::verify
