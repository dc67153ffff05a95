#include "aws/ini.h"

#include <doctest/doctest.h>

#include <utility>

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

TEST_CASE("the shared files' dialect: sections, comments, nesting, case") {
  const auto ini = parse_ini(
      "\xEF\xBB\xBF# a comment\r\n"
      "[default]\r\n"
      "Region = eu-west-3 ; near\r\n"
      "empty =\n"
      "\n"
      "[ profile   \"my team\" ]  # why\n"
      "  aws_access_key_id = AB#C\n"
      "  services = s\n"
      "  credential_process = sh -c 'a # b ; c'\n"
      "[services s]\n"
      "dynamodb =\n"
      "  endpoint_url = http://localhost:8000\n"
      "  signature = v4\n"
      "kinesis = \n"
      "  endpoint_url = http://k\n"
      "[default]\n"
      "region = us-east-1\n",
      "f");
  REQUIRE(ini.has_value());
  CHECK(ini->at("default").at("region") == "us-east-1");
  CHECK(ini->at("default").at("empty").empty());
  const Section& team = ini->at("profile my team");
  CHECK(team.at("aws_access_key_id") == "AB#C");
  CHECK(team.at("credential_process") == "sh -c 'a # b ; c'");
  CHECK(ini->at("services s").at("dynamodb.endpoint_url") == "http://localhost:8000");
  CHECK(ini->at("services s").at("dynamodb.signature") == "v4");
  CHECK(ini->at("services s").at("kinesis.endpoint_url") == "http://k");
  CHECK(parse_ini("[a]\nregion = x ; y\n", "f")->at("a").at("region") == "x");
}

TEST_CASE("a line that cannot be read is named by file and line, and not quoted") {
  for (const auto& [text, line] : {std::pair{"[a]\nsecret stuff\n", ":2:"},
                                   {"x = 1\n", ":1:"},
                                   {"[a\n", ":1:"},
                                   {"[]\n", ":1:"},
                                   {"\n[a] secret\n", ":2:"},
                                   {"[a]\n\n= secret\n", ":3:"},
                                   {"[a]\nb =\n  secret\n", ":3:"},
                                   {"[a]\nb =\n  = secret\n", ":3:"}}) {
    CAPTURE(text);
    const auto ini = parse_ini(text, "/home/u/.aws/config");
    REQUIRE(!ini.has_value());
    CHECK(ini.error().kind == ErrorKind::Usage);
    CHECK(ini.error().what.starts_with(std::string("/home/u/.aws/config") + line));
    CHECK(ini.error().what.find("secret") == std::string::npos);
  }
}
