// Verification: what `moveout verify` does with one table. Beside a run, after one or without one; takes no ownership.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "move/positions.h"
#include "move/seams.h"
#include "verify/verifier.h"

namespace moveout::move {

// What one verification works with; everything outlives it.
struct VerifySeams {
  base::Clock& clock;
  base::Log& log;
  aws::DynamoDb& source;
  base::Disk& disk;  // its working files; one verification of a table at a time works in them
  base::Worker& worker;
  // Of the run, where it is at hand: what it has set aside is missing in the target by its doing.
  state::Store* run_state = nullptr;
};

struct VerifySpec {
  TableSpec table;
  // Which server and which file or server they are, beside the tables' own marks: what was compared of others says
  // nothing.
  std::string source_place;
  std::string target_place;
  base::Millis checkpoint_every{10000};  // of progress; 0 = after every page
  // Beside a run a difference is final only when it lasted for so long: see Options::difference_wait.
  base::Millis difference_wait{0};
};

// Single executor. After an error, a stop or a crash the same verification goes on where its progress on the disk
// stands. Constructed by app/ and by the simulator alike.
class Verification {
 public:
  Verification(VerifySpec spec, VerifySeams seams, std::unique_ptr<target::Target> target, base::Rng rng);
  ~Verification();

  // Looks at both sides, and whether a run moves beside this. NotFound: one of the tables is not there.
  base::Task<base::Result<>> open();
  // After open(). What is looked at for difference_wait is looked at anew after a crash.
  base::Task<base::Result<verify::Report>> run();

  std::int64_t total_items() const { return described_.item_count; }  // as the source estimates it
  verify::VerifyProgress progress() const;
  // What an unfinished run() has found up to now.
  verify::Report so_far() const;
  // What an interrupted run() has done is kept for the next one.
  base::Task<base::Result<>> keep();
  // "run", "stopped" or "none": who told what was applied.
  std::string_view told_by() const { return watermark_ ? watermark_->told_by() : "none"; }

 private:
  class Quarantined;
  base::Task<base::Result<>> outlast(verify::Report& report);

  VerifySpec spec_;
  VerifySeams seams_;
  std::unique_ptr<target::Target> target_;
  base::Rng rng_;
  aws::TableDescription described_;
  std::optional<RunWatermark> watermark_;
  std::unique_ptr<Quarantined> quarantined_;
  std::optional<verify::Verifier> verifier_;
  bool compared_ = false;  // the verifier has nothing left that could be kept
};

// More keys changed too fast to be compared than *in sync* bears (product.md: max(10, 0.1 %)).
bool too_hot(const verify::Report& report);

}  // namespace moveout::move
