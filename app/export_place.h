// ExportPlace: where an export that a command names lies, and who we are there.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/access.h"
#include "app/url.h"
#include "aws/dynamodb.h"
#include "aws/exports.h"
#include "aws/s3.h"
#include "backfill/export/objects.h"
#include "backfill/export/tree.h"
#include "base/rng.h"
#include "base/worker.h"

namespace moveout::app {

// The API that knows of a table's exports.
class ExportApi {
 public:
  // A dynamodb: URL, or an export's ARN.
  static base::Result<std::unique_ptr<ExportApi>> connect(const Url& url, base::Executor executor, base::Clock& clock,
                                                          base::Rng rng, base::Log& log);
  aws::Exports& exports() { return *exports_; }
  aws::DynamoDb& dynamodb() { return *dynamodb_; }
  bool is_aws() const { return access_->is_aws(); }

 private:
  std::unique_ptr<Access> access_;
  std::unique_ptr<aws::Client> client_;
  std::unique_ptr<aws::Exports> exports_;
  std::unique_ptr<aws::DynamoDb> dynamodb_;
};

class ExportPlace {
 public:
  // s3://…, a folder, or an export's ARN, whose bucket DescribeExport tells. An ARN's bucket is reached with the ARN's
  // options of who we are. `worker` reads a folder's files. Usage for an export that failed or is not complete.
  static base::Task<base::Result<std::unique_ptr<ExportPlace>>> open(Url url, base::Executor executor,
                                                                     base::Clock& clock, base::Rng rng, base::Log& log,
                                                                     base::Worker& worker);
  // Of a complete export as it was described.
  static base::Result<std::unique_ptr<ExportPlace>> of(const aws::ExportDescription& described, const Url& who,
                                                       base::Executor executor, base::Clock& clock, base::Rng rng,
                                                       base::Log& log);
  backfill::Objects& objects() { return *objects_; }
  const backfill::FindExports& find() const { return find_; }
  // The API that described it, of an ARN; else null. It can tell the table's key.
  ExportApi* api() { return api_.get(); }

 private:
  base::Result<> connect(const Url& url, base::Executor executor, base::Clock& clock, base::Rng rng, base::Log& log);

  std::unique_ptr<ExportApi> api_;
  std::unique_ptr<Access> access_;
  std::unique_ptr<aws::Client> client_;
  std::unique_ptr<aws::S3> s3_;
  std::unique_ptr<backfill::Objects> objects_;
  backfill::FindExports find_;
};

}  // namespace moveout::app
