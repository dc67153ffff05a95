// URLs of sources and targets, as users write them (docs/urls.md).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::app {

enum class Scheme { DynamoDb, Sqlite, File, S3, Export };

// dynamodb://REGION/TABLE · sqlite:FILE · file:PATH · s3://BUCKET/PREFIX · an export's ARN, each with ?options. Values
// are percent-decoded.
struct Url {
  Scheme scheme = Scheme::File;
  std::string region;       // dynamodb: may be empty when the environment names one
  std::string table;        // dynamodb: the path; sqlite: ?table=
  std::string path;         // sqlite and file; "-" is stdout; s3: the prefix, without / around it; export: the ARN
  std::string bucket = {};  // s3
  // dynamodb: endpoint, region, tls, and who we are there: profile, role_arn, external_id, session_name; sqlite: table;
  // file: format; s3: as dynamodb, requester_pays, style; export: as dynamodb, of the table's account
  std::map<std::string, std::string> options;

  std::string option(const std::string& name) const;
  // Without options that may change between two starts of one move (endpoint, profile, role): what the state remembers.
  std::string identity() const;
  // With all options, files by their absolute path: parse_url gives the same again. It holds no secret.
  std::string whole() const;
};

// Usage for what is not such a URL, for an unknown option, for a password in it, and for schemes this version cannot
// serve.
base::Result<Url> parse_url(std::string_view text);

}  // namespace moveout::app
