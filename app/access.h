// Access: where one side of a move answers, and who we are there. Source and target have one each, so that they may be
// of two accounts, partitions or regions.
#pragma once

#include <memory>

#include "app/url.h"
#include "aws/client.h"
#include "aws/credentials.h"
#include "aws/endpoints.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/task.h"
#include "base/worker.h"
#include "http/http.h"

namespace moveout::app {

class Access {
 public:
  // An s3: URL stands for its bucket's service, an export's ARN for its table's. A dynamodb: URL with its options
  // endpoint, profile, role_arn, external_id, session_name and tls. Contacts nobody. Usage for a region, endpoint,
  // profile, role or proxy that cannot be used.
  static base::Result<std::unique_ptr<Access>> make(const Url& url, base::Executor executor, base::Clock& clock,
                                                    base::Log& log);

  // Of an s3: URL, S3's own in each place.
  const aws::Endpoints& endpoints() const { return endpoints_; }
  bool is_aws() const { return aws::is_aws(endpoints_.dynamodb); }
  http::Transport& transport() { return *transport_; }
  aws::CredentialsProvider& credentials() { return *credentials_; }
  // For clients of this side: region and endpoint are set.
  aws::ClientConfig client_config(aws::Api api) const;

 private:
  aws::Endpoints endpoints_;
  std::unique_ptr<base::Worker> programs_;  // of credential_process: no checkpoint waits behind a slow one
  std::unique_ptr<http::Transport> transport_;
  std::unique_ptr<http::Transport> services_;  // STS and IAM Identity Center
  std::unique_ptr<http::Transport> metadata_;  // containers' and instances' keys: never through a proxy
  std::unique_ptr<aws::CredentialsProvider> credentials_;
};

}  // namespace moveout::app
