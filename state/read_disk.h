// ReadDisk: files that are only read, as a base::Disk: those of a folder, or standard input.
#pragma once

#include <memory>
#include <string>

#include "base/disk.h"

namespace moveout::state {

// The one name that StdinDisk knows.
inline constexpr const char* kStdin = "-";

// Names may hold '/', never "..". Nothing is made, changed or removed: such calls are Usage errors.
// contract: NotFound for a file that is not there; Usage for a folder, and for one that may not be read.
std::unique_ptr<base::Disk> make_read_disk(std::string folder);

// Standard input under the name kStdin: bytes can be read forwards only, once; skipped ones are read and dropped.
std::unique_ptr<base::Disk> make_stdin_disk();

}  // namespace moveout::state
