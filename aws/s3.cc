#include "aws/s3.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "aws/endpoints.h"
#include "aws/errors.h"
#include "aws/xml.h"
#include "sigv4/canonical.h"

namespace moveout::aws {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string subject_of(const std::string& bucket, std::string_view key) {
  return key.empty() ? "bucket " + shown_text(bucket) : "s3://" + shown_text(bucket) + "/" + shown_text(key);
}

// "bytes 0-9/100".
struct Range {
  std::uint64_t first = 0, last = 0, size = 0;
};
std::optional<Range> range_of(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (dash == text.npos || slash == text.npos || slash < dash) return std::nullopt;
  const auto first = number_of(text.substr(0, dash));
  const auto last = number_of(text.substr(dash + 1, slash - dash - 1));
  const auto size = number_of(text.substr(slash + 1));
  if (!first || !last || !size || *last < *first || *last >= *size) return std::nullopt;
  return Range{*first, *last, *size};
}

std::unexpected<base::Error> corrupt(std::string what) { return base::fail(ErrorKind::Corrupt, std::move(what)); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Keys of a listing that was asked for with encoding-type=url.
Result<std::string> url_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else if (i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      return corrupt("a listing with a bad %-escape in a key");
    }
  }
  return out;
}

Result<ObjectList> read_list(const std::string& body) {
  Result<XmlElement> root = parse_xml(body);
  if (!root) return base::fail(root.error());
  if (root->name != "ListBucketResult") return corrupt("a listing that is none");
  const bool encoded = root->text_of("EncodingType") == "url";
  const auto text = [encoded](const std::string& raw) -> Result<std::string> {
    if (encoded) return url_decoded(raw);
    return raw;
  };
  ObjectList list;
  for (const XmlElement& each : root->children) {
    if (each.name == "Contents") {
      Result<std::string> key = text(each.text_of("Key"));
      if (!key) return base::fail(key.error());
      const auto size = number_of(each.text_of("Size"));
      if (key->empty() || !size) return corrupt("a listing with an object that has no key or size");
      list.objects.push_back({std::move(*key), *size, each.text_of("ETag")});
    } else if (each.name == "CommonPrefixes") {
      Result<std::string> folder = text(each.text_of("Prefix"));
      if (!folder) return base::fail(folder.error());
      list.folders.push_back(std::move(*folder));
    }
  }
  if (root->text_of("IsTruncated") == "true") {
    list.next = root->text_of("NextContinuationToken");
    if (list.next.empty()) return corrupt("a listing that goes on nowhere");
  }
  return list;
}

Result<> check_part(const http::Response& response, std::uint64_t offset, std::uint64_t length, const std::string& etag,
                    ObjectPart& part) {
  part.bytes = response.body;
  part.etag = response.headers.get("etag");
  if (!etag.empty() && part.etag != etag) return corrupt("the ETag is not that of the object asked for");
  if (response.status == 206) {
    const auto range = range_of(response.headers.get("content-range"));
    if (!range || range->first != offset || range->last - range->first + 1 != response.body->size()) {
      return corrupt("a part that is not the one asked for");
    }
    part.offset = offset;
    part.size = range->size;
    if (response.body->size() != std::min(length, range->size - offset)) return corrupt("a part that is too short");
    return {};
  }
  // A server that knows no ranges sends all of it.
  if (offset != 0 || response.body->size() > length) return corrupt("the whole object in place of a part");
  part.offset = 0;
  part.size = response.body->size();
  return {};
}

bool fits_under_certificate(std::string_view bucket) {
  return bucket.find('.') == bucket.npos && std::ranges::all_of(bucket, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

}  // namespace

std::string why_no_bucket(std::string_view bucket) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (bucket.size() < 3 || bucket.size() > 255) return "a bucket's name has 3 to 63 characters";
  if (!std::ranges::all_of(bucket, plain)) return "a bucket's name is made of a-z, 0-9, . and -";
  return {};
}

RestCall S3::rest(std::string method, const std::string& bucket, std::string_view key, std::string_view query) const {
  RestCall call;
  http::Request& request = call.request;
  request.method = std::move(method);
  request.endpoint = client_.config().endpoint;
  const bool under = config_.style == S3Style::Virtual ||
                     (config_.style == S3Style::Auto && is_aws(request.endpoint) && fits_under_certificate(bucket));
  request.target = "/";
  if (under) {
    request.endpoint.host = bucket + "." + request.endpoint.host;
  } else {
    request.target += sigv4::uri_encode(bucket, false);
    if (!key.empty()) request.target += '/';
  }
  request.target += sigv4::uri_encode(key, true);
  if (!query.empty()) {
    request.target += '?';
    request.target += query;
  }
  if (config_.requester_pays) request.headers.add("x-amz-request-payer", "requester");
  return call;
}

Task<Result<ObjectList>> S3::list(ListRequest request) {
  // In the order of names, as the signature sorts them.
  std::string query;
  const auto add = [&query](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    if (!query.empty()) query += '&';
    query += name;
    query += '=';
    query += sigv4::uri_encode(value, false);
  };
  add("continuation-token", request.token);
  add("delimiter", request.delimiter);
  add("encoding-type", "url");
  add("list-type", "2");
  if (request.keys_max > 0) add("max-keys", std::to_string(request.keys_max));
  add("prefix", request.prefix);
  add("start-after", request.start_after);
  RestCall call = rest("GET", request.bucket, {}, query);
  ObjectList list;
  call.check = [&list](const http::Response& response) -> Result<> {
    Result<ObjectList> read = read_list(*response.body);
    if (!read) return base::fail(read.error());
    list = std::move(*read);
    return {};
  };
  CallOptions options;
  options.subject = subject_of(request.bucket, {});
  // By the name of the right that it needs.
  Result<Answer> answer = co_await client_.call("ListBucket", std::move(call), std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return list;
}

Task<Result<ObjectInfo>> S3::head(std::string bucket, std::string key) {
  RestCall call = rest("HEAD", bucket, key, {});
  ObjectInfo info{key, 0, {}};
  call.check = [&info](const http::Response& response) -> Result<> {
    const auto size = number_of(response.headers.get("content-length"));
    if (!size) return corrupt("an object without a size");
    info.size = *size;
    info.etag = response.headers.get("etag");
    return {};
  };
  CallOptions options;
  options.subject = subject_of(bucket, key);
  Result<Answer> answer = co_await client_.call("GetObject", std::move(call), std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return info;
}

Task<Result<ObjectPart>> S3::get(std::string bucket, std::string key, std::uint64_t offset, std::uint64_t length,
                                 std::string etag) {
  MOVEOUT_ASSERT(length > 0);
  RestCall call = rest("GET", bucket, key, {});
  call.request.headers.add("Range", fmt::format("bytes={}-{}", offset, offset + length - 1));
  if (!etag.empty()) call.request.headers.add("If-Match", etag);
  ObjectPart part;
  call.check = [&part, &etag, offset, length](const http::Response& response) {
    return check_part(response, offset, length, etag, part);
  };
  CallOptions options;
  options.subject = subject_of(bucket, key);
  Result<Answer> answer = co_await client_.call("GetObject", std::move(call), options);
  if (answer) co_return part;
  // No byte of an empty object can be had as a range: then its head says so.
  if (offset != 0 || answer.error().what.find("InvalidRange") == std::string::npos)
    co_return base::fail(answer.error());
  Result<ObjectInfo> info = co_await head(bucket, key);
  if (!info) co_return base::fail(info.error());
  if (info->size != 0 || (!etag.empty() && info->etag != etag)) co_return base::fail(answer.error());
  co_return ObjectPart{std::make_shared<const std::string>(), 0, 0, info->etag};
}

Task<Result<ObjectPart>> S3::get_small(std::string bucket, std::string key, std::uint64_t bytes_max) {
  Result<ObjectPart> part = co_await get(bucket, key, 0, bytes_max);
  if (part && part->size > bytes_max) {
    co_return base::fail(ErrorKind::TooLarge, fmt::format("{} has {} bytes, more than the {} that such a file may have",
                                                          subject_of(bucket, key), part->size, bytes_max));
  }
  co_return part;
}

Task<Result<ObjectInfo>> S3::put(std::string bucket, std::string key, std::string body, PutOptions options) {
  RestCall call = rest("PUT", bucket, key, {});
  http::Headers& headers = call.request.headers;
  headers.add("Content-Type", options.content_type);
  if (!options.sse.empty()) headers.add("x-amz-server-side-encryption", options.sse);
  if (!options.kms_key_id.empty()) headers.add("x-amz-server-side-encryption-aws-kms-key-id", options.kms_key_id);
  const std::uint64_t size = body.size();
  call.request.body = std::move(body);
  CallOptions about;
  about.subject = subject_of(bucket, key);
  Result<Answer> answer = co_await client_.call("PutObject", std::move(call), std::move(about));
  if (!answer) co_return base::fail(answer.error());
  co_return ObjectInfo{key, size, std::string(answer->headers.get("etag"))};
}

}  // namespace moveout::aws
