#include "aws/endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace moveout::aws {
namespace {

using base::ErrorKind;

struct Partition {
  // What a region's name begins with, before its "-direction-number".
  std::string_view regions;  // separated by blanks
  std::string_view suffix;
  std::string_view dual_stack_suffix;
  // GovCloud's FIPS endpoints are its plain ones.
  bool fips_is_plain = false;
};

// Before the domain; the FIPS host has "-fips" behind it. Order: Api.
constexpr std::array<std::string_view, 6> kPrefixes = {"dynamodb", "dynamodb", "sts", "portal.sso", "oidc", "s3"};
constexpr std::array<std::string_view, 6> kServiceIds = {"DYNAMODB", "DYNAMODB_STREAMS", "STS",
                                                         "SSO",      "SSO_OIDC",         "S3"};

// Where `legacy` means the global STS.
constexpr std::string_view kLegacyStsRegions =
    " ap-northeast-1 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 eu-central-1 eu-north-1 eu-west-1 eu-west-2 "
    "eu-west-3 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2 ";

// AWS's partitions.json. The longer names come first: "us-gov" before "us".
constexpr std::array kPartitions = {
    Partition{"us-gov", "amazonaws.com", "api.aws", true},
    Partition{"us-isob", "sc2s.sgov.gov", "api.aws.scloud"},
    Partition{"us-isof", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    Partition{"us-iso", "c2s.ic.gov", "api.aws.ic.gov"},
    Partition{"eu-isoe", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    Partition{"eusc-de", "amazonaws.eu", "api.amazonwebservices.eu"},
    Partition{"cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    Partition{"us eu ap sa ca me af il mx", "amazonaws.com", "api.aws"},
};

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}
bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// "<beginning>-<word>-<number>".
bool matches(std::string_view region, std::string_view beginning) {
  if (!region.starts_with(beginning) || region.size() <= beginning.size() || region[beginning.size()] != '-')
    return false;
  region.remove_prefix(beginning.size() + 1);
  const std::size_t dash = region.find('-');
  return dash != std::string_view::npos && is_word(region.substr(0, dash)) && is_number(region.substr(dash + 1));
}

const Partition* partition_of(std::string_view region) {
  for (const Partition& partition : kPartitions) {
    std::string_view names = partition.regions;
    while (!names.empty()) {
      const std::string_view name = names.substr(0, names.find(' '));
      if (matches(region, name)) return &partition;
      names.remove_prefix(std::min(names.size(), name.size() + 1));
    }
  }
  return nullptr;
}

bool ends_in_domain(std::string_view host, std::string_view domain) {
  return host.size() > domain.size() && host.ends_with(domain) && host[host.size() - domain.size() - 1] == '.';
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The configured endpoint of one API; nothing when there is none.
base::Result<std::optional<http::Endpoint>> configured(Api api, const Environment& environment,
                                                       const Profile& profile) {
  struct Place {
    std::string name;
    std::string value;
  };
  const std::string service(kServiceIds[static_cast<std::size_t>(api)]);
  const auto nested = profile.services.find(lower(service) + ".endpoint_url");
  const std::string variable = "AWS_ENDPOINT_URL_" + service;
  const std::string in_profile = "profile \"" + profile.name + "\"";
  for (const Place& place :
       {Place{variable, environment.get(variable)}, Place{"AWS_ENDPOINT_URL", environment.get("AWS_ENDPOINT_URL")},
        Place{"the services of " + in_profile, nested == profile.services.end() ? std::string() : nested->second},
        Place{"endpoint_url of " + in_profile, profile.get("endpoint_url")}}) {
    if (place.value.empty()) continue;
    auto endpoint = http::parse_endpoint(place.value);
    if (!endpoint) return base::fail(ErrorKind::Usage, place.name + ": " + endpoint.error().what);
    return std::move(*endpoint);
  }
  return std::nullopt;
}

struct Wanted {
  bool fips = false;
  bool dual_stack = false;
};

Wanted wanted(const Environment& environment, const Profile& profile) {
  const auto flag = [&](const char* variable, const char* setting) {
    return environment.get(variable).empty() ? lower(profile.get(setting)) == "true" : environment.flag(variable);
  };
  return {flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
          flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")};
}

base::Result<std::string> region_of(const EndpointWish& wish, const Environment& environment, const Profile& profile,
                                    bool has_endpoint) {
  std::string region = wish.region;
  if (region.empty() && profile.chosen) region = profile.get("region");
  for (const char* variable : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (region.empty()) region = environment.get(variable);
  }
  if (region.empty()) region = profile.get("region");
  if (region.empty() && has_endpoint) return std::string("us-east-1");
  if (region.empty()) {
    return base::fail(
        ErrorKind::Usage,
        fmt::format("no region; looked at: the URL (dynamodb://REGION/TABLE, s3://BUCKET?region=REGION), AWS_REGION, "
                    "AWS_DEFAULT_REGION, profile \"{}\"",
                    profile.name));
  }
  const bool sound = region.size() <= 63 && std::ranges::all_of(region, [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                     });
  if (!sound) return base::fail(ErrorKind::Usage, "region \"" + region + "\": expected a name like us-east-1");
  return region;
}

// Streams has a host of its own on AWS: a DynamoDB host there does not answer for it. An interface endpoint (vpce) has
// no name that could be derived.
std::optional<http::Endpoint> streams_of(const http::Endpoint& dynamodb) {
  if (!is_aws(dynamodb)) return dynamodb;
  if (!dynamodb.host.starts_with("dynamodb")) return std::nullopt;
  http::Endpoint streams = dynamodb;
  const bool dual_stack = std::ranges::any_of(kPartitions, [&](const Partition& partition) {
    return ends_in_domain(dynamodb.host, partition.dual_stack_suffix);
  });
  streams.host = (dual_stack ? "streams-" : "streams.") + dynamodb.host;
  return streams;
}

}  // namespace

base::Result<http::Endpoint> aws_endpoint(Api api, const std::string& region, bool fips, bool dual_stack) {
  const Partition* partition = partition_of(region);
  if (partition == nullptr) {
    return base::fail(
        ErrorKind::Usage,
        fmt::format("region \"{}\" is of no AWS partition that moveout knows; check its spelling, or give "
                    "its host with {}",
                    region,
                    api == Api::DynamoDb || api == Api::DynamoDbStreams
                        ? "?endpoint= (DynamoDB Local: ?endpoint=http://localhost:8000)"
                        : "AWS_ENDPOINT_URL_" + std::string(kServiceIds[static_cast<std::size_t>(api)])));
  }
  std::string host;
  // Under the dual-stack domains Streams is "streams-dynamodb", under the others "streams.dynamodb".
  if (api == Api::DynamoDbStreams) host = dual_stack ? "streams-" : "streams.";
  host += kPrefixes[static_cast<std::size_t>(api)];
  const bool s3 = api == Api::S3;
  if (fips && (s3 || !(partition->fips_is_plain && !dual_stack))) host += "-fips";
  // S3's dual stack is a word before the region, under the partition's plain domain.
  if (s3 && dual_stack) host += ".dualstack";
  host += '.';
  host += region;
  host += '.';
  host += dual_stack && !s3 ? partition->dual_stack_suffix : partition->suffix;
  return http::Endpoint{true, host, 443};
}

bool is_aws(const http::Endpoint& endpoint) {
  return std::ranges::any_of(kPartitions, [&](const Partition& partition) {
    return ends_in_domain(endpoint.host, partition.suffix) ||
           ends_in_domain(endpoint.host, partition.dual_stack_suffix);
  });
}

bool is_loopback(const http::Endpoint& endpoint) {
  const std::string host = lower(endpoint.host);
  if (host == "localhost" || host.ends_with(".localhost") || host == "::1") return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

base::Result<ServicePlace> resolve_service(Api api, const std::string& region, const Environment& environment,
                                           const Profile& profile) {
  if (!environment.flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
    auto found = configured(api, environment, profile);
    if (!found) return base::fail(found.error());
    if (*found) return ServicePlace{std::move(**found), region};
  }
  const Wanted want = wanted(environment, profile);
  std::string style = environment.get("AWS_STS_REGIONAL_ENDPOINTS");
  if (style.empty()) style = profile.get("sts_regional_endpoints");
  if (api == Api::Sts && lower(style) == "legacy" && !want.fips && !want.dual_stack &&
      kLegacyStsRegions.find(" " + region + " ") != std::string_view::npos) {
    return ServicePlace{{true, "sts.amazonaws.com", 443}, "us-east-1"};
  }
  auto endpoint = aws_endpoint(api, region, want.fips, want.dual_stack);
  if (!endpoint) return base::fail(endpoint.error());
  return ServicePlace{std::move(*endpoint), region};
}

base::Result<ServicePlace> resolve_s3(const EndpointWish& wish, const Environment& environment,
                                      const Profile& profile) {
  std::optional<http::Endpoint> endpoint;
  if (!wish.endpoint.empty()) {
    auto parsed = http::parse_endpoint(wish.endpoint);
    if (!parsed) return base::fail(parsed.error());
    endpoint = std::move(*parsed);
  } else if (!environment.flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
    auto found = configured(Api::S3, environment, profile);
    if (!found) return base::fail(found.error());
    endpoint = std::move(*found);
  }
  auto region = region_of(wish, environment, profile, endpoint.has_value());
  if (!region) return base::fail(region.error());
  if (endpoint) return ServicePlace{std::move(*endpoint), std::move(*region)};
  const Wanted want = wanted(environment, profile);
  auto own = aws_endpoint(Api::S3, *region, want.fips, want.dual_stack);
  if (!own) return base::fail(own.error());
  return ServicePlace{std::move(*own), std::move(*region)};
}

base::Result<Endpoints> resolve_endpoints(const EndpointWish& wish, const Environment& environment,
                                          const Profile& profile) {
  std::optional<http::Endpoint> dynamodb;
  std::optional<http::Endpoint> streams;
  if (!wish.endpoint.empty()) {
    auto endpoint = http::parse_endpoint(wish.endpoint);
    if (!endpoint) return base::fail(endpoint.error());
    dynamodb = std::move(*endpoint);
    streams = streams_of(*dynamodb);
  } else if (!environment.flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
    auto found = configured(Api::DynamoDb, environment, profile);
    if (!found) return base::fail(found.error());
    dynamodb = std::move(*found);
    found = configured(Api::DynamoDbStreams, environment, profile);
    if (!found) return base::fail(found.error());
    streams = std::move(*found);
    // A stand-in answers for both.
    if (dynamodb && !streams && !is_aws(*dynamodb)) streams = dynamodb;
  }
  auto region = region_of(wish, environment, profile, dynamodb.has_value());
  if (!region) return base::fail(region.error());
  const Wanted want = wanted(environment, profile);
  Endpoints out;
  out.region = std::move(*region);
  const auto choose = [&](const std::optional<http::Endpoint>& found, Api api) -> base::Result<http::Endpoint> {
    if (found) return *found;
    return aws_endpoint(api, out.region, want.fips, want.dual_stack);
  };
  auto chosen = choose(dynamodb, Api::DynamoDb);
  if (!chosen) return base::fail(chosen.error());
  out.dynamodb = std::move(*chosen);
  chosen = choose(streams, Api::DynamoDbStreams);
  if (!chosen) return base::fail(chosen.error());
  out.streams = std::move(*chosen);
  return out;
}

}  // namespace moveout::aws
