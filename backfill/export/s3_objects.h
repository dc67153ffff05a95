// S3Objects: an export where DynamoDB wrote it.
#pragma once

#include <string>

#include "aws/s3.h"
#include "backfill/export/objects.h"

namespace moveout::backfill {

class S3Objects final : public Objects {
 public:
  // `s3` lives as long.
  S3Objects(aws::S3& s3, std::string bucket) : s3_(s3), bucket_(std::move(bucket)) {}
  base::Task<base::Result<StoredObject>> look(std::string name) override;
  base::Task<base::Result<std::vector<StoredObject>>> list(std::string prefix) override;
  base::Task<base::Result<std::string>> read(StoredObject object, std::uint64_t offset, std::uint64_t size) override;
  bool is_near() const override { return false; }
  std::string where(const std::string& name) const override { return "s3://" + bucket_ + "/" + name; }

 private:
  aws::S3& s3_;
  std::string bucket_;
};

}  // namespace moveout::backfill
