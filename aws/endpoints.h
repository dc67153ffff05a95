// Endpoints: from a region and the user's settings to the hosts that answer.
#pragma once

#include <string>

#include "aws/environment.h"
#include "aws/profile.h"
#include "base/error.h"
#include "http/http.h"

namespace moveout::aws {

enum class Api { DynamoDb, DynamoDbStreams, Sts, Sso, SsoOidc, S3 };

// What the URL says; both may be empty.
struct EndpointWish {
  std::string region;
  std::string endpoint;  // ?endpoint=
};

// A service that gives credentials: where it answers, and the region to sign for.
struct ServicePlace {
  http::Endpoint endpoint;
  std::string region;
};

struct Endpoints {
  std::string region;  // for the signature
  http::Endpoint dynamodb;
  http::Endpoint streams;
};

// Region: URL, a chosen profile, AWS_REGION, AWS_DEFAULT_REGION, the default profile.
// Endpoint: URL, AWS_ENDPOINT_URL_DYNAMODB (_DYNAMODB_STREAMS), AWS_ENDPOINT_URL, the profile's services section, the
// profile's endpoint_url, the region's own. The URL's covers Streams too; so does any other that is no AWS host, unless
// Streams has one of its own. AWS_IGNORE_CONFIGURED_ENDPOINT_URLS leaves the URL and the region only.
// AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and the profile's use_… choose among the region's own.
// Usage: no region, a region of no known partition without an endpoint, an endpoint that is no URL.
base::Result<Endpoints> resolve_endpoints(const EndpointWish& wish, const Environment& environment,
                                          const Profile& profile);

// STS, the portal of IAM Identity Center (Sso) or its token service (SsoOidc) of a region: AWS_ENDPOINT_URL_STS (_SSO,
// _SSO_OIDC), AWS_ENDPOINT_URL and the profile's as above, else the region's own. AWS_STS_REGIONAL_ENDPOINTS=legacy
// takes the global STS where that one is the region's old one.
base::Result<ServicePlace> resolve_service(Api api, const std::string& region, const Environment& environment,
                                           const Profile& profile);

// S3: ?endpoint=, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and the profile's as above, else the region's own; the region
// as for resolve_endpoints.
base::Result<ServicePlace> resolve_s3(const EndpointWish& wish, const Environment& environment, const Profile& profile);

// The region's own endpoint. Usage for a region of no known partition, and where the partition has no dual stack.
base::Result<http::Endpoint> aws_endpoint(Api api, const std::string& region, bool fips, bool dual_stack);

// A host of AWS itself, in whatever partition: its tip_wait, late and limits hold there.
bool is_aws(const http::Endpoint& endpoint);
// localhost, 127.0.0.0/8, ::1.
bool is_loopback(const http::Endpoint& endpoint);

}  // namespace moveout::aws
