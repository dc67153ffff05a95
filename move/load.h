// Load: one table from files into a target. Nothing is captured: the files are what they are.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backfill/file_backfill.h"
#include "backfill/file_source.h"
#include "base/rng.h"
#include "move/work.h"
#include "target/target.h"

namespace moveout::move {

enum class LoadJob { Load, Finish };

struct LoadSpec {
  std::string table;                   // the target table's name
  std::optional<item::KeySchema> key;  // as the user says; an existing target table's goes first
  bool infer_columns = true;
  int workers = 1;  // files under way at once
  bool accept_quarantine = false;
};

struct LoadSeams {
  base::Clock& clock;
  base::Log& log;
  state::Store& store;
  base::Disk& quarantine;  // quarantine-<table>.jsonl
  base::Worker& worker;    // for the disk
  Events& events;
};

// Single executor; run() once. Cancelling it stops it cleanly, and the same load goes on from there.
class Load final : public Work {
 public:
  // urls, fresh_run_id: as Move. files: begun, with what they said; null to finish. Everything lives as long.
  Load(std::string urls, std::string fresh_run_id, LoadSpec spec, LoadSeams seams, backfill::FileSource* files,
       backfill::FilesKnown known, std::unique_ptr<target::Target> target, base::Rng rng);
  ~Load() override;

  base::Task<base::Result<>> run(LoadJob job);
  std::vector<std::pair<std::string, Snapshot>> snapshots() const override;
  std::vector<TableResult> results() const override;
  void pause(bool on) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moveout::move
