#include "move/seams.h"

namespace moveout::move {

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::Capture:
      return "capture";
    case Phase::Backfill:
      return "backfill";
    case Phase::Replay:
      return "replay";
    case Phase::Verify:
      return "verify";
    case Phase::InSync:
      return "in_sync";
    case Phase::Finish:
      return "finish";
  }
  return "unknown";
}

}  // namespace moveout::move
