// Positions: how far a run has applied its source's changes, written beside its checkpoints for whoever compares
// beside it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/task.h"
#include "target/target.h"
#include "verify/verifier.h"

namespace moveout::move {

// The checkpoint of a table's run by this name: {"stream":"…","until":µs,"at":µs,"every":ms}. Of no era: the newest one
// writes it.
inline constexpr const char* kAppliedRow = "applied";

struct Applied {
  std::string stream;     // whose changes: the stream's ARN
  base::Instant until{};  // every change made before it stands in the target
  base::Instant at{};     // when this was written, by the same clock
  base::Millis every{0};  // how often it is, while the run lives

  std::string encode() const;
  static base::Result<Applied> decode(std::string_view text);  // Corrupt: nothing is guessed
  friend bool operator==(const Applied&, const Applied&) = default;
};

// For `verify` beside a run: what is applied has passed an instant when the run's own row says so. Both processes read
// one clock. Without a run, or when its row no longer moves, passed() is a mere wait of 5 s (product.md).
class RunWatermark final : public verify::Watermark {
 public:
  RunWatermark(target::Target& target, base::Clock& clock, base::Log& log, std::string table, std::string stream)
      : target_(target), clock_(clock), log_(log), table_(std::move(table)), stream_(std::move(stream)) {}

  // Looks whether a run moves. To be called once before the first passed(), after the target was opened.
  base::Task<> look();
  base::Task<bool> passed(base::Steady instant, base::Millis patience) override;
  bool knows() const override { return moves_; }
  // "run": a run told how far it was, all the time. "stopped": it told, and stands still. "none": no run told.
  std::string_view told_by() const { return !seen_ ? "none" : moves_ && !stood_ ? "run" : "stopped"; }

 private:
  target::Target& target_;
  base::Clock& clock_;
  base::Log& log_;
  std::string table_;
  std::string stream_;
  std::optional<Applied> applied_;  // as last read
  base::Steady moved_at_{};         // when the row was written last, by this process's clock
  bool seen_ = false;               // there was a row for this stream
  bool moves_ = false;
  bool stood_ = false;  // it stood still at some time
};

}  // namespace moveout::move
