#include "app/export_place.h"

#include <filesystem>

#include "backfill/export/folder_objects.h"
#include "backfill/export/s3_objects.h"

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;
namespace fs = std::filesystem;

namespace {

std::string as_folder(std::string path) {
  if (!path.empty() && !path.ends_with('/')) path += '/';
  return path;
}

aws::S3Config s3_config(const Url& url) {
  const std::string style = url.option("style");
  aws::S3Config config;
  config.style = style == "path" ? aws::S3Style::Path : style == "virtual" ? aws::S3Style::Virtual : aws::S3Style::Auto;
  config.requester_pays = url.option("requester_pays") == "true";
  return config;
}

// The bucket of a described export, reached by whoever asked for it; the endpoint is S3's own.
Url bucket_of(const aws::ExportDescription& described, const Url& who) {
  Url url{.scheme = Scheme::S3, .region = who.region, .table = {}, .path = described.prefix, .options = {}};
  url.bucket = described.bucket;
  while (url.path.ends_with('/')) url.path.pop_back();
  for (const auto& [name, value] : who.options) {
    if (name != "endpoint" && name != "region") url.options.emplace(name, value);
  }
  return url;
}

}  // namespace

Result<std::unique_ptr<ExportApi>> ExportApi::connect(const Url& url, base::Executor executor, base::Clock& clock,
                                                      base::Rng rng, base::Log& log) {
  Result<std::unique_ptr<Access>> access = Access::make(url, std::move(executor), clock, log);
  if (!access) return fail(access.error());
  auto api = std::make_unique<ExportApi>();
  api->access_ = std::move(*access);
  Access& own = *api->access_;
  api->client_ = std::make_unique<aws::Client>(own.client_config(aws::Api::DynamoDb), own.transport(),
                                               own.credentials(), clock, rng.fork(), log);
  api->exports_ = std::make_unique<aws::Exports>(*api->client_);
  api->dynamodb_ = std::make_unique<aws::DynamoDb>(*api->client_);
  return api;
}

Result<> ExportPlace::connect(const Url& url, base::Executor executor, base::Clock& clock, base::Rng rng,
                              base::Log& log) {
  Result<std::unique_ptr<Access>> access = Access::make(url, std::move(executor), clock, log);
  if (!access) return fail(access.error());
  access_ = std::move(*access);
  client_ = std::make_unique<aws::Client>(access_->client_config(aws::Api::S3), access_->transport(),
                                          access_->credentials(), clock, rng.fork(), log);
  s3_ = std::make_unique<aws::S3>(*client_, s3_config(url));
  objects_ = std::make_unique<backfill::S3Objects>(*s3_, url.bucket);
  find_.root = as_folder(url.path);
  return {};
}

Result<std::unique_ptr<ExportPlace>> ExportPlace::of(const aws::ExportDescription& described, const Url& who,
                                                     base::Executor executor, base::Clock& clock, base::Rng rng,
                                                     base::Log& log) {
  if (described.status != "COMPLETED") {
    const bool failed = described.status == "FAILED";
    return fail(ErrorKind::Usage, "export " + described.arn +
                                      (failed ? " failed (" + described.failure_code + ": " +
                                                    described.failure_message + "); request another one"
                                              : " is not complete: wait for it with `moveout export wait`"));
  }
  auto place = std::make_unique<ExportPlace>();
  Result<> connected = place->connect(bucket_of(described, who), std::move(executor), clock, rng, log);
  if (!connected) return fail(connected.error());
  place->find_.only = described.arn.substr(described.arn.rfind('/') + 1);
  return place;
}

Task<Result<std::unique_ptr<ExportPlace>>> ExportPlace::open(Url url, base::Executor executor, base::Clock& clock,
                                                             base::Rng rng, base::Log& log, base::Worker& worker) {
  if (url.scheme == Scheme::Export) {
    Result<std::unique_ptr<ExportApi>> api = ExportApi::connect(url, executor, clock, rng.fork(), log);
    if (!api) co_return fail(api.error());
    Result<aws::ExportDescription> described = co_await (*api)->exports().describe(url.path);
    if (!described) co_return fail(described.error());
    Result<std::unique_ptr<ExportPlace>> place = of(*described, url, executor, clock, rng.fork(), log);
    if (place) (*place)->api_ = std::move(*api);
    co_return place;
  }
  auto place = std::make_unique<ExportPlace>();
  if (url.scheme == Scheme::S3) {
    if (Result<> connected = place->connect(url, executor, clock, rng.fork(), log); !connected) {
      co_return fail(connected.error());
    }
    // The key of a summary stands for its folder.
    constexpr std::string_view summary = "/manifest-summary.json/";
    if (place->find_.root.ends_with(summary)) place->find_.root.resize(place->find_.root.size() - summary.size() + 1);
    co_return place;
  }
  // A window's files lie beside the folder of its manifests, so names begin above that.
  fs::path folder = fs::absolute(url.path).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  std::error_code absent;
  if (fs::exists(folder / "manifest-summary.json", absent)) {
    place->find_.root = folder.filename().string() + "/";
    folder = folder.parent_path();
  }
  place->objects_ = std::make_unique<backfill::FolderObjects>(folder.string(), worker);
  co_return place;
}

}  // namespace moveout::app
