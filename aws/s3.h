// S3: the object calls moveout makes, typed. Errors are those of aws/client.h: NotFound for a bucket or key that is not
// there, Conflict where the object is no longer the one that If-Match names.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"

namespace moveout::aws {

// Auto: virtual (bucket.host) on AWS for a bucket whose name fits under its certificate, path (host/bucket) elsewhere.
enum class S3Style { Auto, Path, Virtual };

struct S3Config {
  S3Style style = S3Style::Auto;
  bool requester_pays = false;
};

struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;
  std::string etag;  // with its quotes
};

struct ObjectList {
  std::vector<ObjectInfo> objects;   // in the order of keys
  std::vector<std::string> folders;  // common prefixes, with a delimiter
  std::string next;                  // continuation token; empty on the last page
};

struct ListRequest {
  std::string bucket;
  std::string prefix;
  std::string delimiter;
  std::string token;
  std::string start_after;
  int keys_max = 0;  // 0: the server's own, 1,000
};

struct ObjectPart {
  std::shared_ptr<const std::string> bytes;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // of the whole object
  std::string etag;
};

// How an object is to lie there; all empty: as the bucket is set.
struct PutOptions {
  std::string sse;         // AES256 or aws:kms
  std::string kms_key_id;  // with aws:kms
  std::string content_type = "application/octet-stream";
};

// Single executor. Every call is harmless to repeat and is retried by the client's policy; an object is read in parts,
// so a broken connection costs one part and not the object.
class S3 {
 public:
  S3(Client& client, S3Config config) : client_(client), config_(config) {}
  base::Task<base::Result<ObjectList>> list(ListRequest request);
  base::Task<base::Result<ObjectInfo>> head(std::string bucket, std::string key);
  // `length` bytes from `offset`, fewer only at the object's end. etag not empty: Conflict unless it is that object.
  // What comes is checked: the part that was asked for, of an object of that size and etag. An empty object is a part
  // of no bytes.
  base::Task<base::Result<ObjectPart>> get(std::string bucket, std::string key, std::uint64_t offset,
                                           std::uint64_t length, std::string etag = {});
  // The whole object, at most bytes_max (TooLarge).
  base::Task<base::Result<ObjectPart>> get_small(std::string bucket, std::string key, std::uint64_t bytes_max);
  base::Task<base::Result<ObjectInfo>> put(std::string bucket, std::string key, std::string body, PutOptions options);

 private:
  RestCall rest(std::string method, const std::string& bucket, std::string_view key, std::string_view query) const;

  Client& client_;
  S3Config config_;
};

// Why it cannot be a bucket's name or an access point's ARN; empty: it can.
std::string why_no_bucket(std::string_view bucket);

}  // namespace moveout::aws
