// FileTarget: DynamoDB JSON into a file or to stdout, as lines ({"Item":{…}} a line) or as the one JSON value that
// `aws dynamodb scan` writes; plain, gzip or zstd by suffix.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "target/file/line_file.h"
#include "target/target.h"

namespace moveout::target::file {

struct Options {
  std::string path;  // "-" for stdout; stdout, pipes and devices are not resumable
  Shape shape = Shape::Lines;
  base::Clock* clock = nullptr;  // with one, what was applied is durable within a second
};

// Append-only: for `scan`. The sidecar (path + ".moveout") holds the synced length and the checkpoints up to it,
// replaced atomically after each sync; on resume the file is cut to that length. So apply() answers before its lines
// are durable: they and their checkpoints become so together, every 64 MB, every second (without a clock: every 64
// applies) and in seal(), and a crash loses both or neither. What is packed ends a gzip member or zstd frame every few
// MB. seal() makes all of it durable and marks the sidecar; finish() removes the sidecar. An existing file without a
// sidecar of this run is never overwritten (Usage). read, versions and scan: Usage.
std::unique_ptr<Target> make_target(Options options, base::Worker& worker, base::Executor executor, base::Log& log);

}  // namespace moveout::target::file
