// RunExport: the export that a run's back-fill reads: asked for once capture is open, or one that stands already.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/export_place.h"
#include "backfill/export/export_source.h"
#include "move/seams.h"
#include "net/thread_worker.h"
#include "state/posix_disk.h"
#include "state/store.h"

namespace moveout::app {

class RunExport final : public move::Files {
 public:
  struct Seams {
    base::Executor executor;
    base::Clock& clock;
    base::Log& log;
    state::Store& store;
    move::Events& events;
  };
  // table: the source's; from: its URL with the table; wanted: --export, empty to ask for one. Files wait in
  // state_dir/export.
  RunExport(std::string table, Url from, ExportSettings settings, std::string wanted, std::string state_dir,
            Seams seams, base::Rng rng);
  base::Task<base::Result<backfill::FileSource*>> ready(base::Instant captured_from) override;
  base::Millis margin() const override { return settings_.margin; }

 private:
  base::Task<base::Result<std::unique_ptr<ExportPlace>>> place(base::Instant captured_from);
  base::Task<base::Result<std::string>> requested(base::Instant captured_from);
  base::Task<base::Result<>> see_to_recovery();
  base::Task<base::Result<aws::ExportDescription>> complete(std::string arn);

  std::string table_;
  Url from_;
  ExportSettings settings_;
  std::string wanted_;
  std::string state_dir_;
  Seams seams_;
  base::Rng rng_;
  std::vector<std::unique_ptr<net::ThreadWorker>> workers_;
  std::unique_ptr<ExportApi> api_;
  std::unique_ptr<ExportPlace> place_;
  std::unique_ptr<state::PosixDisk> spool_;
  std::unique_ptr<backfill::ExportSource> source_;
};

}  // namespace moveout::app
