#include "app/load_files.h"

#include <filesystem>

#include "backfill/item_file.h"
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

}  // namespace

Task<Result<LoadFiles>> LoadFiles::open(Context& context, base::Rng&) {
  const Url& url = context.config.source;
  if (url.scheme == Scheme::File) co_return one_file(context, url);
  co_return fail(ErrorKind::Usage, "load: this version cannot load from " + url.identity());
}

}  // namespace moveout::app
