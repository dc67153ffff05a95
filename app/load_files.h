// LoadFiles: what `load --from` names, as a source of pages.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/context.h"
#include "app/export_place.h"
#include "backfill/file_source.h"
#include "base/disk.h"
#include "base/rng.h"
#include "net/thread_worker.h"

namespace moveout::app {

struct LoadFiles {
  // Destroyed in the opposite order.
  std::unique_ptr<base::Disk> disk;
  std::vector<std::unique_ptr<net::ThreadWorker>> workers;  // they read, unpack and cut
  std::unique_ptr<ExportPlace> place;                       // of an export
  std::unique_ptr<backfill::FileSource> source;
  int at_once = 1;  // parts

  // Nothing is read yet. Usage for what this version cannot load.
  static base::Task<base::Result<LoadFiles>> open(Context& context, base::Rng& rng);
  // source->begin(), and the key of an export's table where the API that has the export still has the table.
  base::Task<base::Result<backfill::FilesKnown>> begin();
};

}  // namespace moveout::app
