// The program: from arguments to an exit code.
#pragma once

namespace moveout::app {

// Never throws. Exit codes: docs/errors.md.
int run_program(int argc, const char* const* argv);

}  // namespace moveout::app
