#include "capture/fold.h"

#include <algorithm>

#include "base/error.h"
#include "base/mutant.h"
#include "item/version.h"

namespace moveout::capture {

std::int64_t fold(std::int64_t prev, base::Instant created) {
  using item::kFoldStep;
  MOVEOUT_ASSERT(prev >= 0 && prev % kFoldStep == 0);
  std::int64_t t = std::max(prev + kFoldStep, base::micros_of(created));
  if (base::mutant("fold_tie")) t = std::max<std::int64_t>(kFoldStep, base::micros_of(created));
  return (t + kFoldStep - 1) / kFoldStep * kFoldStep;
}

bool is_sequence(std::string_view text) {
  // 21–40 digits on AWS; stand-ins use fewer.
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool sequence_less(std::string_view a, std::string_view b) {
  if (base::mutant("sequence_compared_as_string")) return a < b;
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

}  // namespace moveout::capture
