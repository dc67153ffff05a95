// The shared files of the AWS tools, ~/.aws/credentials and ~/.aws/config: an INI dialect with nested settings.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::aws {

// Names of settings are in lower case; a nested one is "outer.inner".
using Section = std::map<std::string, std::string>;
// By the section's name, blanks collapsed and quotes taken off: "default", "profile a", "services b".
using Ini = std::map<std::string, Section>;

// Sections of one name are one section, the last of two equal settings wins (so do the AWS tools). Usage, naming file
// and line but never quoting it, for anything that is neither a section, `name = value`, a comment nor a continuation.
base::Result<Ini> parse_ini(std::string_view text, const std::string& path);

}  // namespace moveout::aws
