#include "app/access.h"

#include "aws/environment.h"
#include "aws/fetch.h"
#include "aws/profile.h"
#include "net/http_client.h"
#include "net/proxy.h"
#include "net/thread_worker.h"

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;

namespace {

aws::ChainConfig chain_config(const Url& url, const aws::Endpoints& endpoints) {
  aws::ChainConfig chain;
  chain.profile = url.option("profile");
  chain.role.arn = url.option("role_arn");
  chain.role.external_id = url.option("external_id");
  chain.role.session_name = url.option("session_name");
  chain.region = endpoints.region;
  chain.endpoint_is_local = aws::is_loopback(endpoints.dynamodb);
  chain.plain_http = url.option("tls") == "false";
  return chain;
}

Result<aws::Endpoints> endpoints_of(const Url& url, const aws::Environment& environment, const aws::Profile& profile) {
  const aws::EndpointWish wish{url.region, url.option("endpoint")};
  if (url.scheme != Scheme::S3) return aws::resolve_endpoints(wish, environment, profile);
  Result<aws::ServicePlace> place = aws::resolve_s3(wish, environment, profile);
  if (!place) return fail(place.error());
  return aws::Endpoints{place->region, place->endpoint, place->endpoint};
}

}  // namespace

Result<std::unique_ptr<Access>> Access::make(const Url& url, base::Executor executor, base::Clock& clock,
                                             base::Log& log) {
  auto access = std::make_unique<Access>();
  access->programs_ = std::make_unique<net::ThreadWorker>("keys");
  const aws::Environment environment = aws::system_environment(*access->programs_, clock);
  Result<aws::Profile> profile = aws::load_profile(environment, url.option("profile"));
  if (!profile) return fail(profile.error());
  Result<aws::Endpoints> endpoints = endpoints_of(url, environment, *profile);
  if (!endpoints) return fail(endpoints.error());
  for (const http::Endpoint& endpoint : {endpoints->dynamodb, endpoints->streams}) {
    if (endpoint.tls || aws::is_loopback(endpoint) || url.option("tls") == "false") continue;
    return fail(ErrorKind::Usage,
                "endpoint " + endpoint.to_string() +
                    ": plain HTTP beyond this machine shows the items to the network; use https://, or ask "
                    "for it with ?tls=false");
  }
  aws::ChainConfig chain = chain_config(url, *endpoints);
  if (chain.role.arn.empty() && !(chain.role.external_id.empty() && chain.role.session_name.empty())) {
    return fail(ErrorKind::Usage, "external_id and session_name go with role_arn, and there is none");
  }
  if (!chain.role.arn.empty()) {
    if (Result<> sound = aws::check_role(chain.role); !sound) return fail(sound.error());
  }
  net::HttpClientOptions options;
  options.connections_max = 256;  // many tables, each with its own number of requests under way
  options.ca_file = environment.get("AWS_CA_BUNDLE");
  net::HttpClientOptions metadata = options;
  metadata.body_bytes_max = aws::kAnswerBytesMax;
  Result<net::ProxyRules> proxies =
      net::proxies_from([&environment](std::string_view name) -> std::optional<std::string> {
        const auto found = environment.vars.find(std::string(name));
        return found == environment.vars.end() ? std::nullopt : std::optional(found->second);
      });
  if (!proxies) return fail(proxies.error());
  options.proxies = std::move(*proxies);
  net::HttpClientOptions services = options;
  services.body_bytes_max = aws::kAnswerBytesMax;

  access->endpoints_ = std::move(*endpoints);
  access->transport_ = std::make_unique<net::HttpClient>(executor, std::move(options));
  access->services_ = std::make_unique<net::HttpClient>(executor, std::move(services));
  access->metadata_ = std::make_unique<net::HttpClient>(executor, std::move(metadata));
  access->credentials_ = std::make_unique<aws::CredentialsChain>(std::move(chain), environment, *access->services_,
                                                                 *access->metadata_, clock, log);
  return access;
}

aws::ClientConfig Access::client_config(aws::Api api) const {
  aws::ClientConfig config;
  config.region = endpoints_.region;
  config.endpoint = endpoints_.dynamodb;
  config.retry.give_up_unreached = base::Millis(15000);
  if (api == aws::Api::S3) {
    config.service = "s3";
    // A part of some megabytes over a slow line takes its time.
    config.timeout = base::Millis(120000);
  }
  if (api == aws::Api::DynamoDbStreams) {
    config.endpoint = endpoints_.streams;
    config.target_prefix = "DynamoDBStreams_20120810";
  }
  return config;
}

}  // namespace moveout::app
