// Exports: point-in-time recovery and exports to S3, as DynamoDB's API has them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"

namespace moveout::aws {

// From inclusive, to exclusive.
struct ExportWindow {
  base::Instant from{};
  base::Instant to{};
  std::string view = "NEW_AND_OLD_IMAGES";  // or NEW_IMAGE
};

struct ExportWish {
  std::string table_arn;
  std::string bucket;
  std::string prefix;
  std::string bucket_owner;              // the account's number, where the bucket is another's
  std::string format = "DYNAMODB_JSON";  // or ION
  std::string sse;                       // AES256 or KMS; empty: as the bucket is set
  std::string kms_key_id;                // with KMS
  std::string client_token;              // the same wish with the same token is the same export, for 8 hours
  std::optional<base::Instant> time;     // full: nothing = now
  std::optional<ExportWindow> window;    // incremental
};

struct ExportDescription {
  std::string arn;
  std::string status;  // IN_PROGRESS, COMPLETED, FAILED
  std::string failure_code, failure_message;
  std::string table_arn, table_id;
  std::string bucket, prefix;
  std::string manifest_key;  // of manifest-summary.json, once complete
  std::string format;        // DYNAMODB_JSON or ION
  std::string type;          // FULL_EXPORT or INCREMENTAL_EXPORT
  base::Instant time{};      // full
  ExportWindow window;       // incremental
  base::Instant started{}, ended{};
  std::int64_t items = 0;
  std::int64_t billed_bytes = 0;
};

struct ExportSummary {
  std::string arn, status, type;
};

struct PointInTimeRecovery {
  bool enabled = false;
  base::Instant earliest{}, latest{};
};

// Errors: those of aws/client.h; Usage for a wish that the service refuses (no point-in-time recovery, a time outside
// of it, a window of less than 15 minutes or more than 24 hours), Conflict for a token that was used for another wish.
class Exports {
 public:
  explicit Exports(Client& client) : client_(client) {}
  base::Task<base::Result<ExportDescription>> request(ExportWish wish);
  base::Task<base::Result<ExportDescription>> describe(std::string arn);
  // Newest first, as the service gives them; all tables' when the ARN is empty.
  base::Task<base::Result<std::vector<ExportSummary>>> list(std::string table_arn);
  base::Task<base::Result<PointInTimeRecovery>> recovery(std::string table);
  base::Task<base::Result<>> enable_recovery(std::string table);

 private:
  Client& client_;
};

// "arn:aws:dynamodb:us-east-1:123456789012:table/orders/export/01695353076000-a1b2c3d4" in its parts; nothing for what
// is no export's ARN.
struct ExportArn {
  std::string region, table, table_arn, id;
};
std::optional<ExportArn> parse_export_arn(std::string_view text);

}  // namespace moveout::aws
