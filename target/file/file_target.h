// FileTarget: DynamoDB JSON lines ({"Item":{…}} a line) into a file or to stdout, plain, gzip or zstd by suffix.
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "base/worker.h"
#include "target/target.h"

namespace moveout::target::file {

struct Options {
  std::string path;   // "-" for stdout (not resumable)
};

// Append-only: for `scan`. Checkpoints are committed with the data through a sidecar (path + ".moveout") that holds the synced
// length and the checkpoints; on resume the file is cut to that length. seal() writes the end and removes the sidecar.
std::unique_ptr<Target> make_target(Options options, base::Worker& worker, base::Executor executor, base::Log& log);

}  // namespace moveout::target::file
