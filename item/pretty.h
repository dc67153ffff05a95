// Pretty JSON, as Python's json.dumps(indent=4, ensure_ascii=False) writes it, and so the AWS CLI.
#pragma once

#include <string>
#include <string_view>

namespace moveout::item {

// Appends one value, whose first line is indented already; `level` is that of its closing bracket. Members stay in
// their order and numbers in their spelling; texts get the fewest escapes. `json` is well-formed, with sound escapes.
void append_pretty(std::string& out, std::string_view json, int level);

}  // namespace moveout::item
