#include "app/url.h"

#include <filesystem>
#include <set>

#include "aws/exports.h"
#include "aws/s3.h"

namespace moveout::app {

using base::ErrorKind;
using base::Result;

namespace {

std::unexpected<base::Error> wrong(std::string_view text, std::string_view why) {
  return base::fail(ErrorKind::Usage, "URL \"" + std::string(text) + "\": " + std::string(why));
}

// Secrets are looked for first, in every scheme, and never repeated: what stands before the @ of //user:password@host,
// and ?password=.
bool holds_secret(std::string_view scheme, std::string_view text) {
  const std::size_t question = text.find('?');
  if (const std::size_t start = text.find("//"); start < question && scheme != "sqlite" && scheme != "file") {
    const std::string_view host = text.substr(start + 2, text.find_first_of("/?", start + 2) - start - 2);
    const std::size_t at = host.rfind('@');
    if (at != host.npos && (scheme == "dynamodb" || scheme == "s3" || host.substr(0, at).find(':') != host.npos))
      return true;
  }
  for (std::size_t at = question; at < text.size(); at = text.find('&', at + 1)) {
    const std::string_view name = text.substr(at + 1, text.find('=', at) - at - 1);
    if (name == "password" || name == "secret" || name == "secret_key" || name == "token") return true;
  }
  return false;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool percent_decode(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) return false;
    out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
    i += 2;
  }
  return true;
}

std::string percent_encode(std::string_view text, std::string_view kept) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~' || kept.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += "0123456789ABCDEF"[static_cast<unsigned char>(c) >> 4];
      out += "0123456789ABCDEF"[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).lexically_normal().string(); }

// Schemes of the field that later versions serve, so that the answer is not "unknown".
bool known_later(std::string_view scheme) {
  static const std::set<std::string_view> later{"cql",     "alternator", "postgres", "postgresql",
                                                "kinesis", "sqs",        "kafka",    "journal"};
  return later.contains(scheme);
}

Result<std::map<std::string, std::string>> parse_options(std::string_view whole, std::string_view query,
                                                         const std::set<std::string_view>& allowed) {
  std::map<std::string, std::string> options;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return wrong(whole, "option \"" + std::string(pair) + "\" has no value");
    const std::string name(pair.substr(0, equals));
    if (!allowed.contains(name)) return wrong(whole, "unknown option \"" + name + "\"");
    std::string value;
    if (!percent_decode(pair.substr(equals + 1), value)) return wrong(whole, "bad %-escape in option \"" + name + "\"");
    if (!options.emplace(name, value).second) return wrong(whole, "option \"" + name + "\" stands twice");
  }
  return options;
}

// A name, a glob, or an ARN. It becomes names of files, so nothing else gets through.
bool can_be_table(std::string_view table) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-*?";
  std::string_view name = table;
  if (name.starts_with("arn:")) {
    name = name.substr(name.find_last_of(":/") + 1);
    const std::string_view before = table.substr(0, table.size() - name.size());
    if (before.find_first_not_of(std::string(plain) + ":/") != before.npos) return false;
  }
  return !name.empty() && !name.starts_with('.') && name.size() <= 255 && name.find_first_not_of(plain) == name.npos;
}

Result<> check_tls(std::string_view whole, const Url& url) {
  const std::string tls = url.option("tls");
  if (!tls.empty() && tls != "true" && tls != "false") return wrong(whole, "tls is true or false");
  if (tls == "true" && url.option("endpoint").starts_with("http://")) return wrong(whole, "tls=true with http://");
  return {};
}

Result<Url> parse_dynamodb(std::string_view whole, std::string_view rest, std::string_view query) {
  if (!rest.starts_with("//")) return wrong(whole, "expected dynamodb://REGION/TABLE");
  rest.remove_prefix(2);
  Url url{.scheme = Scheme::DynamoDb, .region = {}, .table = {}, .path = {}, .options = {}};
  const std::size_t slash = rest.find('/');
  url.region = rest.substr(0, slash);
  if (slash != std::string_view::npos && !percent_decode(rest.substr(slash + 1), url.table)) {
    return wrong(whole, "bad %-escape in the table's name");
  }
  Result<std::map<std::string, std::string>> options =
      parse_options(whole, query, {"endpoint", "external_id", "profile", "region", "role_arn", "session_name", "tls"});
  if (!options) return base::fail(options.error());
  url.options = std::move(*options);
  if (url.region.empty()) url.region = url.option("region");
  if (Result<> sound = check_tls(whole, url); !sound) return base::fail(sound.error());
  if (!url.table.empty() && !can_be_table(url.table)) {
    return wrong(whole, "a table's name is made of a-z, A-Z, 0-9, _ . and -, and begins with no dot; or it is an ARN");
  }
  return url;
}

Result<Url> parse_s3(std::string_view whole, std::string_view rest, std::string_view query) {
  if (!rest.starts_with("//")) return wrong(whole, "expected s3://BUCKET/PREFIX");
  rest.remove_prefix(2);
  Url url{.scheme = Scheme::S3, .region = {}, .table = {}, .path = {}, .options = {}};
  const std::size_t slash = rest.find('/');
  if (!percent_decode(rest.substr(0, slash), url.bucket)) return wrong(whole, "bad %-escape in the bucket");
  if (const std::string why = aws::why_no_bucket(url.bucket); !why.empty()) return wrong(whole, why);
  if (slash != rest.npos && !percent_decode(rest.substr(slash + 1), url.path)) {
    return wrong(whole, "bad %-escape in the prefix");
  }
  while (url.path.starts_with('/')) url.path.erase(0, 1);
  while (url.path.ends_with('/')) url.path.pop_back();
  Result<std::map<std::string, std::string>> options = parse_options(
      whole, query,
      {"endpoint", "external_id", "profile", "region", "requester_pays", "role_arn", "session_name", "style", "tls"});
  if (!options) return base::fail(options.error());
  url.options = std::move(*options);
  url.region = url.option("region");
  const std::string style = url.option("style");
  if (!style.empty() && style != "path" && style != "virtual") return wrong(whole, "style is path or virtual");
  const std::string pays = url.option("requester_pays");
  if (!pays.empty() && pays != "true" && pays != "false") return wrong(whole, "requester_pays is true or false");
  if (Result<> sound = check_tls(whole, url); !sound) return base::fail(sound.error());
  return url;
}

Result<Url> parse_export(std::string_view whole, std::string_view arn, std::string_view query) {
  const auto parts = aws::parse_export_arn(arn);
  if (!parts) return wrong(whole, "an export's ARN is arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/export/ID");
  Url url{.scheme = Scheme::Export,
          .region = parts->region,
          .table = parts->table,
          .path = std::string(arn),
          .options = {}};
  Result<std::map<std::string, std::string>> options =
      parse_options(whole, query, {"endpoint", "external_id", "profile", "role_arn", "session_name", "tls"});
  if (!options) return base::fail(options.error());
  url.options = std::move(*options);
  if (Result<> sound = check_tls(whole, url); !sound) return base::fail(sound.error());
  return url;
}

}  // namespace

std::string Url::option(const std::string& name) const {
  const auto it = options.find(name);
  return it == options.end() ? std::string() : it->second;
}

std::string Url::identity() const {
  switch (scheme) {
    case Scheme::DynamoDb:
      return "dynamodb://" + region + "/" + table;
    case Scheme::Sqlite:
      return "sqlite:" + absolute(path);
    case Scheme::File:
      return path == "-" ? "-" : "file:" + absolute(path);
    case Scheme::S3:
      return "s3://" + bucket + "/" + path;
    case Scheme::Export:
      return path;
  }
  return {};
}

std::string Url::whole() const {
  if (path == "-") return path;
  std::string out = scheme == Scheme::Export ? path
                    : scheme == Scheme::S3   ? "s3://" + percent_encode(bucket, "") + "/" + percent_encode(path, "/")
                    : scheme == Scheme::DynamoDb
                        ? "dynamodb://" + region + (table.empty() ? "" : "/") + percent_encode(table, "")
                    : scheme == Scheme::Sqlite ? "sqlite:" + percent_encode(absolute(path), "/")
                                               : "file:" + percent_encode(absolute(path), "/");
  char before = '?';
  for (const auto& [name, value] : options) {
    out += before + name + '=' + percent_encode(value, "/:");
    before = '&';
  }
  return out;
}

Result<Url> parse_url(std::string_view text) {
  if (text == "-") return Url{.scheme = Scheme::File, .region = {}, .table = {}, .path = "-", .options = {}};
  const std::size_t colon = text.find(':');
  const std::size_t slash = text.find('/');
  if (colon == std::string_view::npos || slash < colon) {
    // A bare path is a file.
    if (text.empty()) return wrong(text, "empty");
    return Url{.scheme = Scheme::File, .region = {}, .table = {}, .path = std::string(text), .options = {}};
  }
  const std::string_view scheme = text.substr(0, colon);
  std::string_view rest = text.substr(colon + 1);
  const std::size_t question = rest.find('?');
  const std::string_view query = question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
  rest = rest.substr(0, question);
  if (holds_secret(scheme, text)) {
    return wrong(std::string(scheme) + ":…",
                 "a password or key does not belong in a URL: use the environment, a profile or a password file");
  }
  if (scheme == "dynamodb") return parse_dynamodb(text, rest, query);
  if (scheme == "s3") return parse_s3(text, rest, query);
  if (scheme == "arn") return parse_export(text, text.substr(0, text.find('?')), query);
  if (scheme == "sqlite" || scheme == "file") {
    if (rest.starts_with("//")) rest.remove_prefix(2);
    Url url{.scheme = scheme == "sqlite" ? Scheme::Sqlite : Scheme::File,
            .region = {},
            .table = {},
            .path = {},
            .options = {}};
    if (!percent_decode(rest, url.path)) return wrong(text, "bad %-escape in the path");
    if (url.path.empty()) return wrong(text, "no path; expected " + std::string(scheme) + ":FILE");
    const std::set<std::string_view> allowed =
        url.scheme == Scheme::Sqlite ? std::set<std::string_view>{"table"} : std::set<std::string_view>{"format"};
    Result<std::map<std::string, std::string>> options = parse_options(text, query, allowed);
    if (!options) return base::fail(options.error());
    url.options = std::move(*options);
    url.table = url.option("table");
    const std::string format = url.option("format");
    if (!format.empty() && format != "aws" && format != "lines") return wrong(text, "format is aws or lines");
    return url;
  }
  if (known_later(scheme)) return wrong(text, "this version cannot serve " + std::string(scheme) + ":// yet");
  return wrong(text, "unknown scheme \"" + std::string(scheme) +
                         "\"; known: dynamodb://REGION/TABLE, sqlite:FILE, file:PATH, s3://BUCKET/PREFIX");
}

}  // namespace moveout::app
