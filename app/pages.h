// What the admin listener and the control socket answer: metrics and status of a move, as text.
#pragma once

#include <string>

#include "base/json.h"
#include "move/work.h"

namespace moveout::app {

// Prometheus text format 0.0.4 (docs/metrics.md).
std::string metrics_page(const move::Work& work);
// {"tables":[{"table":…,"phase":…,"items":…,…}]}
base::json::object status_of(const move::Work& work);
// The same for a move no process runs: from what the state holds.
base::Task<base::Result<base::json::object>> status_of(state::Store& store);
// A status for a person.
std::string status_text(const base::json::object& status);

}  // namespace moveout::app
