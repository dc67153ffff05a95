#include "capture/tip.h"

#include "base/mutant.h"

namespace moveout::capture {

std::optional<base::Steady> TipWatch::empty(base::Steady when) {
  if (base::mutant("empty_page_is_tip")) return when;
  requests_.push_back(when);
  const auto proves_from = [&](std::size_t first) {
    return requests_.size() - first >= static_cast<std::size_t>(pages_) && when - requests_[first] >= wait_;
  };
  while (requests_.size() > 1 && proves_from(1)) requests_.pop_front();
  if (!proves_from(0)) return std::nullopt;
  return requests_.front();
}

}  // namespace moveout::capture
