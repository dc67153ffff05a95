#include "target/target.h"

#include <algorithm>

namespace moveout::target {

std::size_t Outcomes::count(Outcome outcome) const {
  return static_cast<std::size_t>(std::count(each.begin(), each.end(), outcome));
}

}  // namespace moveout::target
