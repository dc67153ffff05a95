#include "aws/endpoints.h"

#include <doctest/doctest.h>

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

namespace {

// With the default profile of `config`.
base::Result<Endpoints> resolve(EndpointWish wish, std::map<std::string, std::string> vars,
                                const std::string& config = "", const std::string& chosen = "") {
  Environment environment;
  environment.vars = std::move(vars);
  environment.vars["HOME"] = "/h";
  environment.read_file = [&config](const std::string& path) -> base::Result<std::string> {
    if (path == "/h/.aws/config" && !config.empty()) return config;
    return base::fail(ErrorKind::NotFound, "no");
  };
  const auto profile = load_profile(environment, chosen);
  REQUIRE(profile.has_value());
  return resolve_endpoints(wish, environment, *profile);
}

std::string host(Api api, const std::string& region, bool fips, bool dual) {
  const auto endpoint = aws_endpoint(api, region, fips, dual);
  return endpoint ? endpoint->to_string() : "none";
}

}  // namespace

TEST_CASE("every partition's endpoints are those of the AWS SDKs") {
  // region, then plain, dual stack, FIPS, both: as botocore 1.44.5 resolves them.
  struct Row {
    const char* region;
    std::string dynamodb[4];
    std::string streams[4];
  };
  const auto row = [](const char* region, const std::string& suffix, const std::string& dual) {
    const std::string r = std::string(".") + region + ".";
    return Row{region,
               {"https://dynamodb" + r + suffix, "https://dynamodb" + r + dual, "https://dynamodb-fips" + r + suffix,
                "https://dynamodb-fips" + r + dual},
               {"https://streams.dynamodb" + r + suffix, "https://streams-dynamodb" + r + dual,
                "https://streams.dynamodb-fips" + r + suffix, "https://streams-dynamodb-fips" + r + dual}};
  };
  std::vector<Row> rows = {
      row("us-east-1", "amazonaws.com", "api.aws"),
      row("ap-southeast-4", "amazonaws.com", "api.aws"),
      row("mx-central-1", "amazonaws.com", "api.aws"),
      row("cn-northwest-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
      row("us-gov-west-1", "amazonaws.com", "api.aws"),
      row("us-iso-east-1", "c2s.ic.gov", "api.aws.ic.gov"),
      row("us-isob-east-1", "sc2s.sgov.gov", "api.aws.scloud"),
      row("eu-isoe-west-1", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
      row("us-isof-south-1", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
      row("eusc-de-east-1", "amazonaws.eu", "api.amazonwebservices.eu"),
  };
  rows[4].dynamodb[2] = "https://dynamodb.us-gov-west-1.amazonaws.com";
  rows[4].streams[2] = "https://streams.dynamodb.us-gov-west-1.amazonaws.com";
  for (const Row& one : rows) {
    CAPTURE(one.region);
    for (int i = 0; i < 4; ++i) {
      const bool dual = i % 2 == 1;
      const bool fips = i >= 2;
      CHECK(host(Api::DynamoDb, one.region, fips, dual) == one.dynamodb[i]);
      CHECK(host(Api::DynamoDbStreams, one.region, fips, dual) == one.streams[i]);
      CHECK(is_aws(*aws_endpoint(Api::DynamoDb, one.region, fips, dual)));
      CHECK(is_aws(*aws_endpoint(Api::DynamoDbStreams, one.region, fips, dual)));
    }
  }
}

TEST_CASE("what is no region of any partition is refused, unless an endpoint is given") {
  for (const char* region : {"us-east", "useast1", "us-east-1a", "US-EAST-1", "mars-north-1", "us--1", "us-east-",
                             "us-east-1.evil.example", "local", "-", "us east-1"}) {
    CAPTURE(region);
    const auto endpoints = resolve({region, ""}, {});
    REQUIRE(!endpoints.has_value());
    CHECK(endpoints.error().kind == ErrorKind::Usage);
    CHECK(endpoints.error().what.find(region) != std::string::npos);
  }
  CHECK(resolve({"local", "http://localhost:8000"}, {})->region == "local");
  CHECK(!resolve({"a/b", "http://localhost:8000"}, {}).has_value());
}

TEST_CASE("the endpoint rules, from the strongest") {
  struct Row {
    const char* what;
    EndpointWish wish;
    std::map<std::string, std::string> vars;
    const char* config;
    const char* dynamodb;
    const char* streams;
  };
  for (const Row& row : {
           Row{"nothing set",
               {"us-east-1", ""},
               {},
               "",
               "https://dynamodb.us-east-1.amazonaws.com",
               "https://streams.dynamodb.us-east-1.amazonaws.com"},
           Row{"the URL's covers Streams and wins over everything",
               {"us-east-1", "http://localhost:8000"},
               {{"AWS_ENDPOINT_URL", "http://all:1"},
                {"AWS_ENDPOINT_URL_DYNAMODB", "http://ddb:1"},
                {"AWS_ENDPOINT_URL_DYNAMODB_STREAMS", "http://str:1"}},
               "[default]\nendpoint_url = http://profile:1\n",
               "http://localhost:8000",
               "http://localhost:8000"},
           Row{"the URL's is an AWS host: Streams has its own beside it",
               {"us-east-1", "https://dynamodb-fips.us-east-1.amazonaws.com"},
               {},
               "",
               "https://dynamodb-fips.us-east-1.amazonaws.com",
               "https://streams.dynamodb-fips.us-east-1.amazonaws.com"},
           Row{"the same under dual stack",
               {"us-east-1", "https://dynamodb.us-east-1.api.aws"},
               {},
               "",
               "https://dynamodb.us-east-1.api.aws",
               "https://streams-dynamodb.us-east-1.api.aws"},
           Row{"an interface endpoint does not serve Streams",
               {"us-east-1", "https://vpce-1.dynamodb.us-east-1.vpce.amazonaws.com"},
               {},
               "",
               "https://vpce-1.dynamodb.us-east-1.vpce.amazonaws.com",
               "https://streams.dynamodb.us-east-1.amazonaws.com"},
           Row{"only AWS_ENDPOINT_URL",
               {"us-east-1", ""},
               {{"AWS_ENDPOINT_URL", "http://all:1"}},
               "[default]\nendpoint_url = http://profile:1\n",
               "http://all:1",
               "http://all:1"},
           Row{"only AWS_ENDPOINT_URL_DYNAMODB, no AWS host",
               {"us-east-1", ""},
               {{"AWS_ENDPOINT_URL_DYNAMODB", "http://ddb:1"}},
               "",
               "http://ddb:1",
               "http://ddb:1"},
           Row{"only AWS_ENDPOINT_URL_DYNAMODB, an AWS host",
               {"us-east-1", ""},
               {{"AWS_ENDPOINT_URL_DYNAMODB", "https://vpce-1.dynamodb.us-east-1.vpce.amazonaws.com"}},
               "",
               "https://vpce-1.dynamodb.us-east-1.vpce.amazonaws.com",
               "https://streams.dynamodb.us-east-1.amazonaws.com"},
           Row{"each its own",
               {"us-east-1", ""},
               {{"AWS_ENDPOINT_URL_DYNAMODB", "http://ddb:1"}, {"AWS_ENDPOINT_URL_DYNAMODB_STREAMS", "http://str:1"}},
               "",
               "http://ddb:1",
               "http://str:1"},
           Row{"a service's own before the one for all",
               {"us-east-1", ""},
               {{"AWS_ENDPOINT_URL_DYNAMODB", "http://ddb:1"}, {"AWS_ENDPOINT_URL", "http://all:1"}},
               "",
               "http://ddb:1",
               "http://all:1"},
           Row{"only Streams",
               {"us-east-1", ""},
               {{"AWS_ENDPOINT_URL_DYNAMODB_STREAMS", "http://str:1"}},
               "",
               "https://dynamodb.us-east-1.amazonaws.com",
               "http://str:1"},
           Row{"the profile's",
               {"us-east-1", ""},
               {},
               "[default]\nendpoint_url = http://profile:1\n",
               "http://profile:1",
               "http://profile:1"},
           Row{"the profile's services before its endpoint_url",
               {"us-east-1", ""},
               {},
               "[default]\nendpoint_url = http://profile:1\nservices = s\n[services s]\ndynamodb =\n  endpoint_url = "
               "http://svc:1\n",
               "http://svc:1",
               "http://profile:1"},
           Row{"all configured ones ignored",
               {"us-east-1", ""},
               {{"AWS_ENDPOINT_URL", "http://all:1"}, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"}},
               "",
               "https://dynamodb.us-east-1.amazonaws.com",
               "https://streams.dynamodb.us-east-1.amazonaws.com"},
           Row{"an empty variable is none",
               {"us-east-1", ""},
               {{"AWS_ENDPOINT_URL", ""}},
               "",
               "https://dynamodb.us-east-1.amazonaws.com",
               "https://streams.dynamodb.us-east-1.amazonaws.com"},
           Row{"FIPS and dual stack by the environment",
               {"us-east-1", ""},
               {{"AWS_USE_FIPS_ENDPOINT", "true"}, {"AWS_USE_DUALSTACK_ENDPOINT", "true"}},
               "",
               "https://dynamodb-fips.us-east-1.api.aws",
               "https://streams-dynamodb-fips.us-east-1.api.aws"},
           Row{"FIPS by the profile, and not when the environment says no",
               {"us-east-1", ""},
               {{"AWS_USE_DUALSTACK_ENDPOINT", "false"}},
               "[default]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n",
               "https://dynamodb-fips.us-east-1.amazonaws.com",
               "https://streams.dynamodb-fips.us-east-1.amazonaws.com"},
       }) {
    CAPTURE(row.what);
    const auto endpoints = resolve(row.wish, row.vars, row.config);
    REQUIRE(endpoints.has_value());
    CHECK(endpoints->dynamodb.to_string() == row.dynamodb);
    CHECK(endpoints->streams.to_string() == row.streams);
  }
}

TEST_CASE("the region: URL, chosen profile, environment, default profile") {
  const std::string config = "[default]\nregion = eu-west-1\n[profile p]\nregion = eu-west-2\n";
  const std::map<std::string, std::string> both = {{"AWS_REGION", "eu-west-3"}, {"AWS_DEFAULT_REGION", "eu-north-1"}};
  CHECK(resolve({"us-east-1", ""}, both, config, "p")->region == "us-east-1");
  CHECK(resolve({"", ""}, both, config, "p")->region == "eu-west-2");
  CHECK(resolve({"", ""}, both, config)->region == "eu-west-3");
  CHECK(resolve({"", ""}, {{"AWS_DEFAULT_REGION", "eu-north-1"}}, config)->region == "eu-north-1");
  CHECK(resolve({"", ""}, {}, config)->region == "eu-west-1");
  CHECK(resolve({"", "http://localhost:8000"}, {})->region == "us-east-1");
  const auto none = resolve({"", ""}, {});
  REQUIRE(!none.has_value());
  CHECK(none.error().kind == ErrorKind::Usage);
  CHECK(none.error().what.find("AWS_DEFAULT_REGION") != std::string::npos);
}

TEST_CASE("an endpoint that is no URL is refused by the name of where it stands") {
  const auto in_url = resolve({"us-east-1", "localhost:8000"}, {});
  REQUIRE(!in_url.has_value());
  CHECK(in_url.error().kind == ErrorKind::Usage);
  const auto in_variable = resolve({"us-east-1", ""}, {{"AWS_ENDPOINT_URL_DYNAMODB", "localhost:8000"}});
  REQUIRE(!in_variable.has_value());
  CHECK(in_variable.error().what.starts_with("AWS_ENDPOINT_URL_DYNAMODB: "));
  const auto in_profile = resolve({"us-east-1", ""}, {}, "[default]\nendpoint_url = x\n");
  REQUIRE(!in_profile.has_value());
  CHECK(in_profile.error().what.find("profile \"default\"") != std::string::npos);
}

TEST_CASE("AWS hosts and loopback are told from look-alikes") {
  const auto endpoint = [](const char* name) { return http::Endpoint{true, name, 443}; };
  for (const char* name : {"dynamodb.us-east-1.amazonaws.com", "x.amazonaws.com.cn", "dynamodb.us-east-1.api.aws"}) {
    CHECK(is_aws(endpoint(name)));
  }
  for (const char* name :
       {"amazonaws.com.evil.example", "notamazonaws.com", "amazonaws.com", "localhost", "10.0.0.1"}) {
    CHECK(!is_aws(endpoint(name)));
  }
  for (const char* name : {"localhost", "LOCALHOST", "x.localhost", "127.0.0.1", "127.8.9.1", "::1"}) {
    CHECK(is_loopback(endpoint(name)));
  }
  for (const char* name : {"localhost.example", "128.0.0.1", "127.evil.example", "10.0.0.1", "::2"}) {
    CHECK(!is_loopback(endpoint(name)));
  }
}

TEST_CASE("the services that give credentials have a host of their own in every partition, with FIPS and dual stack") {
  struct Row {
    Api api;
    const char* region;
    const char* plain;
    const char* fips;
    const char* dual_stack;
    const char* both;
  };
  for (const Row& row :
       {Row{Api::Sts, "us-east-1", "sts.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com",
            "sts.us-east-1.api.aws", "sts-fips.us-east-1.api.aws"},
        Row{Api::Sts, "us-gov-west-1", "sts.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com",
            "sts.us-gov-west-1.api.aws", "sts-fips.us-gov-west-1.api.aws"},
        Row{Api::Sts, "cn-north-1", "sts.cn-north-1.amazonaws.com.cn", "sts-fips.cn-north-1.amazonaws.com.cn",
            "sts.cn-north-1.api.amazonwebservices.com.cn", "sts-fips.cn-north-1.api.amazonwebservices.com.cn"},
        Row{Api::Sts, "eusc-de-east-1", "sts.eusc-de-east-1.amazonaws.eu", "sts-fips.eusc-de-east-1.amazonaws.eu",
            "sts.eusc-de-east-1.api.amazonwebservices.eu", "sts-fips.eusc-de-east-1.api.amazonwebservices.eu"},
        Row{Api::Sso, "us-isob-east-1", "portal.sso.us-isob-east-1.sc2s.sgov.gov",
            "portal.sso-fips.us-isob-east-1.sc2s.sgov.gov", "portal.sso.us-isob-east-1.api.aws.scloud",
            "portal.sso-fips.us-isob-east-1.api.aws.scloud"},
        Row{Api::SsoOidc, "eu-isoe-west-1", "oidc.eu-isoe-west-1.cloud.adc-e.uk",
            "oidc-fips.eu-isoe-west-1.cloud.adc-e.uk", "oidc.eu-isoe-west-1.api.cloud-aws.adc-e.uk",
            "oidc-fips.eu-isoe-west-1.api.cloud-aws.adc-e.uk"}}) {
    CAPTURE(row.plain);
    CHECK(aws_endpoint(row.api, row.region, false, false)->host == row.plain);
    CHECK(aws_endpoint(row.api, row.region, true, false)->host == row.fips);
    CHECK(aws_endpoint(row.api, row.region, false, true)->host == row.dual_stack);
    CHECK(aws_endpoint(row.api, row.region, true, true)->host == row.both);
  }
}

TEST_CASE("where STS and SSO are asked can be said, one by one or for all") {
  Environment environment;
  Profile profile;
  const auto place = [&](Api api, const char* region = "eu-west-1") {
    const auto found = resolve_service(api, region, environment, profile);
    return found ? found->endpoint.to_string() + " " + found->region : found.error().what;
  };
  CHECK(place(Api::Sts) == "https://sts.eu-west-1.amazonaws.com eu-west-1");
  profile.config["sts_regional_endpoints"] = "legacy";
  CHECK(place(Api::Sts) == "https://sts.amazonaws.com us-east-1");
  CHECK(place(Api::Sts, "eu-south-1") == "https://sts.eu-south-1.amazonaws.com eu-south-1");
  CHECK(place(Api::Sso) == "https://portal.sso.eu-west-1.amazonaws.com eu-west-1");
  environment.vars["AWS_STS_REGIONAL_ENDPOINTS"] = "regional";
  CHECK(place(Api::Sts) == "https://sts.eu-west-1.amazonaws.com eu-west-1");
  environment.vars["AWS_USE_FIPS_ENDPOINT"] = "true";
  CHECK(place(Api::Sts) == "https://sts-fips.eu-west-1.amazonaws.com eu-west-1");
  profile.config["endpoint_url"] = "http://localhost:1";
  CHECK(place(Api::SsoOidc) == "http://localhost:1 eu-west-1");
  profile.services["sso_oidc.endpoint_url"] = "http://localhost:2";
  CHECK(place(Api::SsoOidc) == "http://localhost:2 eu-west-1");
  environment.vars["AWS_ENDPOINT_URL"] = "http://localhost:3";
  CHECK(place(Api::SsoOidc) == "http://localhost:3 eu-west-1");
  environment.vars["AWS_ENDPOINT_URL_SSO_OIDC"] = "http://localhost:4";
  environment.vars["AWS_ENDPOINT_URL_SSO"] = "http://localhost:5";
  environment.vars["AWS_ENDPOINT_URL_STS"] = "http://localhost:6";
  CHECK(place(Api::SsoOidc) == "http://localhost:4 eu-west-1");
  CHECK(place(Api::Sso) == "http://localhost:5 eu-west-1");
  CHECK(place(Api::Sts) == "http://localhost:6 eu-west-1");
  environment.vars["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
  CHECK(place(Api::SsoOidc) == "https://oidc-fips.eu-west-1.amazonaws.com eu-west-1");
  environment.vars.clear();
  profile = {};
  CHECK(place(Api::Sts, "ddblocal").find("AWS_ENDPOINT_URL_STS") != std::string::npos);
  environment.vars["AWS_ENDPOINT_URL_STS"] = "localhost";
  CHECK(place(Api::Sts).find("AWS_ENDPOINT_URL_STS") != std::string::npos);
}

TEST_CASE("S3's endpoint: the URL's, the service's own variable, the region's own with FIPS and dual stack") {
  Environment environment;
  Profile profile;
  const auto host = [&](const EndpointWish& wish) {
    const auto place = resolve_s3(wish, environment, profile);
    REQUIRE_MESSAGE(place.has_value(), (place ? "" : place.error().what));
    return place->region + " " + place->endpoint.to_string();
  };
  CHECK(host({"eu-west-3", ""}) == "eu-west-3 https://s3.eu-west-3.amazonaws.com");
  CHECK(host({"cn-north-1", ""}) == "cn-north-1 https://s3.cn-north-1.amazonaws.com.cn");
  CHECK(host({"", "http://localhost:9000"}) == "us-east-1 http://localhost:9000");
  environment.vars["AWS_USE_FIPS_ENDPOINT"] = "true";
  CHECK(host({"us-east-1", ""}) == "us-east-1 https://s3-fips.us-east-1.amazonaws.com");
  environment.vars["AWS_USE_DUALSTACK_ENDPOINT"] = "true";
  CHECK(host({"us-gov-west-1", ""}) == "us-gov-west-1 https://s3-fips.dualstack.us-gov-west-1.amazonaws.com");
  environment.vars["AWS_ENDPOINT_URL"] = "http://localhost:1";
  CHECK(host({"eu-west-3", ""}) == "eu-west-3 http://localhost:1");
  environment.vars["AWS_ENDPOINT_URL_S3"] = "http://localhost:2";
  CHECK(host({"eu-west-3", ""}) == "eu-west-3 http://localhost:2");
  CHECK(host({"eu-west-3", "http://localhost:3"}) == "eu-west-3 http://localhost:3");
}
