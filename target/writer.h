// Writer: one batch to a definite end: what is throttled or unknown is sent again, what is refused is set aside, and
// only then the checkpoints move.
#pragma once

#include <cstdint>
#include <string>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/task.h"
#include "target/target.h"

namespace moveout::target {

// What a target can never hold. Set aside durably before any checkpoint passes it.
struct Poison {
  std::string key;  // item::Key::encoded()
  item::Version version;
  std::string reason;
  std::string image;  // DynamoDB JSON; empty for a delete
};

class Quarantine {
 public:
  virtual ~Quarantine() = default;
  // contract: durable when it returns.
  virtual base::Task<base::Result<>> put(std::vector<Poison> items) = 0;
};

// Where checkpoints go when the target does not commit them with the data.
class CheckpointSink {
 public:
  virtual ~CheckpointSink() = default;
  // contract: durable when it returns. RunLocked when another owner took the run over.
  virtual base::Task<base::Result<>> commit(Checkpoints checkpoints) = 0;
};

struct Written {
  std::uint64_t applied = 0;
  std::uint64_t stale = 0;
  std::uint64_t refused = 0;
};

struct WriterPolicy {
  base::BackoffPolicy backoff{base::Millis(25), base::Millis(20000)};
  base::Millis give_up_after{300000};  // then EndpointDown: the same command goes on later
};

// Sends again at once what may have landed: harmless where guard() == PerWrite; an OrderedOnly target takes only a
// back-fill this way, before any change is replayed. Single executor; many writes may be under way at once.
class Writer {
 public:
  Writer(Target& target, Quarantine& quarantine, CheckpointSink& checkpoints, base::Clock& clock, base::Rng rng,
         base::Log& log, WriterPolicy policy = {});
  // contract: on success every write of the batch stands in the target, was older than what stands, or is in
  // quarantine and no older image of its key stands; then the checkpoints are durable. On an error they are not, and
  // the same call again is harmless.
  base::Task<base::Result<Written>> write(item::Batch batch, Checkpoints checkpoints);
  Target& target() { return target_; }

 private:
  static item::Batch tombstones_of(const std::vector<Poison>& refused);
  base::Task<base::Result<>> set_aside(std::vector<Poison> refused, Written& written);
  enum class Refused { SetAside, Ignored };
  base::Task<base::Result<Written>> write_out(item::Batch batch, Checkpoints checkpoints, Refused then);
  base::Task<base::Result<>> set_aside_beforehand(item::Batch& batch, Written& written);

  Target& target_;
  Quarantine& quarantine_;
  CheckpointSink& checkpoints_;
  base::Clock& clock_;
  base::Rng rng_;
  base::Log& log_;
  WriterPolicy policy_;
};

}  // namespace moveout::target
