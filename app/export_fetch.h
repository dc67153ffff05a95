// fetch_export: an export's whole tree to a folder, every MD5 verified.
#pragma once

#include <cstdint>
#include <string>

#include "backfill/export/objects.h"
#include "backfill/export/tree.h"
#include "base/error.h"
#include "base/log.h"
#include "base/task.h"
#include "base/worker.h"

namespace moveout::app {

struct Fetched {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;  // of the data files
  std::uint64_t files = 0;
};

// folder/AWSDynamoDB/… as in the bucket; the summary comes last, so that a part of a copy is never taken for the whole.
// The same call again goes on: what stands there with its MD5 is not fetched again.
base::Task<base::Result<Fetched>> fetch_export(backfill::Objects& objects, backfill::FindExports find,
                                               std::string folder, base::Worker& worker, base::Log& log);

}  // namespace moveout::app
