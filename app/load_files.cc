#include "app/load_files.h"

#include <filesystem>

#include "backfill/export/export_source.h"
#include "backfill/item_file.h"
#include "state/posix_disk.h"
#include "state/read_disk.h"

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

LoadFiles one_file(Context& context, const Url& url) {
  LoadFiles files;
  backfill::ItemFile::Options options;
  if (url.path == "-") {
    files.disk = state::make_stdin_disk();
    options = {state::kStdin, "standard input", /*forwards=*/true};
  } else {
    const std::filesystem::path path = std::filesystem::absolute(url.path);
    files.disk = state::make_read_disk(path.parent_path().string());
    options = {path.filename().string(), url.path, /*forwards=*/false};
  }
  files.workers.push_back(std::make_unique<net::ThreadWorker>("source"));
  files.source =
      std::make_unique<backfill::ItemFile>(std::move(options), *files.disk, *files.workers.back(), context.log);
  return files;
}

// An export's files side by side: two unpack as much as a target takes.
constexpr int kExportFilesAtOnce = 2;

Task<Result<LoadFiles>> an_export(Context& context, base::Rng& rng) {
  LoadFiles files;
  std::vector<base::Worker*> workers;
  for (int i = 0; i < kExportFilesAtOnce; ++i) {
    files.workers.push_back(std::make_unique<net::ThreadWorker>("source"));
    workers.push_back(files.workers.back().get());
  }
  Result<std::unique_ptr<ExportPlace>> place = co_await ExportPlace::open(
      context.config.source, context.executor, context.clock, rng.fork(), context.log, *workers.front());
  if (!place) co_return fail(place.error());
  files.place = std::move(*place);
  // Of a bucket, a file is verified as a whole before an item of it is loaded, and waits there meanwhile.
  if (!files.place->objects().is_near()) {
    Result<std::unique_ptr<state::PosixDisk>> spool = state::PosixDisk::open(context.state_dir + "/export");
    if (!spool) co_return fail(spool.error());
    files.disk = std::move(*spool);
  }
  backfill::ExportConfig config;
  config.find = files.place->find();
  config.find.chain = context.command.chain;
  config.find.margin = context.config.exports.margin;
  if (config.find.chain) {
    // An ARN names one; its chain is what lies beside it.
    config.find.only.clear();
    context.reporter.notice("",
                            "windows: an item that came and went within one of them leaves no record there; where the "
                            "full export, off by up to "
                            "a minute as it is, holds it, it stays. `verify` against the table tells");
  }
  files.source = std::make_unique<backfill::ExportSource>(std::move(config), files.place->objects(), files.disk.get(),
                                                          std::move(workers), context.log);
  files.at_once = kExportFilesAtOnce;
  co_return files;
}

}  // namespace

Task<Result<LoadFiles>> LoadFiles::open(Context& context, base::Rng& rng) {
  const Url& url = context.config.source;
  std::error_code absent;
  const bool folder = url.scheme == Scheme::File && url.path != "-" && std::filesystem::is_directory(url.path, absent);
  if (folder || url.scheme == Scheme::S3 || url.scheme == Scheme::Export) co_return co_await an_export(context, rng);
  if (context.command.chain) co_return fail(ErrorKind::Usage, "--chain goes with exports: a folder, s3://… or an ARN");
  if (url.scheme == Scheme::File) co_return one_file(context, url);
  co_return fail(ErrorKind::Usage, "load: this version cannot load from " + url.identity());
}

Task<Result<backfill::FilesKnown>> LoadFiles::begin() {
  Result<backfill::FilesKnown> known = co_await source->begin();
  if (!known || known->key || !place || place->api() == nullptr) co_return known;
  Result<aws::TableDescription> table = co_await place->api()->dynamodb().describe_table(known->table);
  if (table) known->key = table->key;
  // Dropped since, or no right to look: then somebody else tells.
  const bool serious = !table && table.error().kind != ErrorKind::NotFound && table.error().kind != ErrorKind::Denied;
  if (serious) co_return fail(table.error());
  co_return known;
}

}  // namespace moveout::app
