#include "backfill/export/s3_objects.h"

namespace moveout::backfill {

using base::Result;
using base::Task;

Task<Result<StoredObject>> S3Objects::look(std::string name) {
  Result<aws::ObjectInfo> info = co_await s3_.head(bucket_, name);
  if (!info) co_return base::fail(info.error());
  co_return StoredObject{std::move(name), info->size, std::move(info->etag)};
}

Task<Result<std::vector<StoredObject>>> S3Objects::list(std::string prefix) {
  std::vector<StoredObject> all;
  aws::ListRequest request;
  request.bucket = bucket_;
  request.prefix = std::move(prefix);
  for (;;) {
    Result<aws::ObjectList> page = co_await s3_.list(request);
    if (!page) co_return base::fail(page.error());
    for (aws::ObjectInfo& each : page->objects) {
      all.push_back({std::move(each.key), each.size, std::move(each.etag)});
    }
    // A page that leads to itself would never end.
    if (page->next.empty() || page->next == request.token) co_return all;
    request.token = std::move(page->next);
  }
}

Task<Result<std::string>> S3Objects::read(StoredObject object, std::uint64_t offset, std::uint64_t size) {
  if (offset >= object.size) co_return std::string();
  Result<aws::ObjectPart> part = co_await s3_.get(bucket_, object.name, offset, size, object.tag);
  if (!part) co_return base::fail(part.error());
  co_return *part->bytes;
}

}  // namespace moveout::backfill
