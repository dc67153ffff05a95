// Tree: one export as it lies somewhere: found, its manifests verified, every file of it known by name.
#pragma once

#include <string>
#include <vector>

#include "backfill/export/manifest.h"
#include "backfill/export/objects.h"
#include "base/log.h"
#include "base/task.h"

namespace moveout::backfill {

struct DataFile {
  StoredObject object;  // as it lies here
  ExportFile entry;     // as the manifest has it
};

struct ExportTree {
  std::string folder;  // that holds its manifests; ends in '/' unless empty
  ExportSummary summary;
  std::vector<DataFile> files;
};

struct FindExports {
  std::string root = {};  // empty, or a path with '/' at its end: the export's folder, or one that holds AWSDynamoDB/
  std::string only = {};  // the id of the one that is meant; empty: any
  bool chain = false;     // a full one at most, and incremental ones that follow each other
  base::Micros margin = {};  // a full export's content may be off by so much (chain)
};

// Oldest first, a full one before all. Exactly one without `chain`.
// Errors: NotFound: nothing there, an export that was begun and is not complete, a file that the manifest lists and
// that is not there. Corrupt: an MD5 that does not fit, a manifest that cannot be one, a file in the export's own
// folder that its manifest does not list. Usage: several exports, windows with a hole.
base::Task<base::Result<std::vector<ExportTree>>> find_exports(Objects& objects, base::Log& log, FindExports wanted);

}  // namespace moveout::backfill
