#include "aws/exports.h"

#include <fmt/format.h>

#include "aws/answers.h"
#include "base/json.h"
#include "item/json.h"

namespace moveout::aws {

namespace json = base::json;
using base::ErrorKind;
using base::Result;
using base::Task;

namespace {

std::string quoted(std::string_view text) {
  std::string out;
  item::append_json_string(out, text);
  return out;
}

// Seconds with milliseconds, without an exponent.
std::string seconds(base::Instant instant) {
  const std::int64_t millis = base::micros_of(instant) / 1000;
  return fmt::format("{}.{:03}", millis / 1000, millis % 1000);
}

std::string body_of(const ExportWish& wish) {
  std::string out = "{\"TableArn\":" + quoted(wish.table_arn) + ",\"S3Bucket\":" + quoted(wish.bucket);
  const auto add = [&out](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    out += fmt::format(",\"{}\":", name);
    item::append_json_string(out, value);
  };
  add("S3Prefix", wish.prefix);
  add("S3BucketOwner", wish.bucket_owner);
  add("S3SseAlgorithm", wish.sse);
  add("S3SseKmsKeyId", wish.kms_key_id);
  add("ExportFormat", wish.format);
  add("ClientToken", wish.client_token);
  add("ExportType", wish.window ? "INCREMENTAL_EXPORT" : "FULL_EXPORT");
  if (wish.window) {
    out += ",\"IncrementalExportSpecification\":{\"ExportFromTime\":" + seconds(wish.window->from) +
           ",\"ExportToTime\":" + seconds(wish.window->to) + ",\"ExportViewType\":" + quoted(wish.window->view) + "}";
  } else if (wish.time) {
    out += ",\"ExportTime\":" + seconds(*wish.time);
  }
  return out + "}";
}

Result<ExportDescription> read_description(std::string_view body) {
  const Result<json::object> top = read_object(body);
  if (!top) return base::fail(top.error());
  const json::object* at = object_in(*top, "ExportDescription");
  if (at == nullptr) return base::fail(ErrorKind::Corrupt, "no ExportDescription");
  ExportDescription out;
  struct Member {
    const char* name;
    std::string* into;
  };
  for (const Member& each : {Member{"ExportArn", &out.arn},
                             {"ExportStatus", &out.status},
                             {"FailureCode", &out.failure_code},
                             {"FailureMessage", &out.failure_message},
                             {"TableArn", &out.table_arn},
                             {"TableId", &out.table_id},
                             {"S3Bucket", &out.bucket},
                             {"S3Prefix", &out.prefix},
                             {"ExportManifest", &out.manifest_key},
                             {"ExportFormat", &out.format},
                             {"ExportType", &out.type}}) {
    Result<std::string> text = text_in(*at, each.name);
    if (!text) return base::fail(text.error());
    *each.into = std::move(*text);
  }
  if (out.arn.empty() || out.status.empty()) return base::fail(ErrorKind::Corrupt, "an export without ARN or status");
  out.time = instant_in(*at, "ExportTime");
  out.started = instant_in(*at, "StartTime");
  out.ended = instant_in(*at, "EndTime");
  out.items = integer_in(*at, "ItemCount");
  out.billed_bytes = integer_in(*at, "BilledSizeBytes");
  if (const json::object* window = object_in(*at, "IncrementalExportSpecification")) {
    out.window.from = instant_in(*window, "ExportFromTime");
    out.window.to = instant_in(*window, "ExportToTime");
    Result<std::string> view = text_in(*window, "ExportViewType");
    if (!view) return base::fail(view.error());
    out.window.view = std::move(*view);
  }
  return out;
}

Task<Result<ExportDescription>> description(Client& client, std::string operation, std::string body,
                                            std::string subject) {
  ExportDescription out;
  CallOptions options;
  options.subject = std::move(subject);
  options.check = [&out](const std::shared_ptr<const std::string>& text) -> Result<> {
    Result<ExportDescription> read = read_description(*text);
    if (!read) return base::fail(read.error());
    out = std::move(*read);
    return {};
  };
  const Result<Answer> answer = co_await client.call(std::move(operation), std::move(body), std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return out;
}

}  // namespace

Task<Result<ExportDescription>> Exports::request(ExportWish wish) {
  return description(client_, "ExportTableToPointInTime", body_of(wish), "table " + quoted(wish.table_arn));
}

Task<Result<ExportDescription>> Exports::describe(std::string arn) {
  return description(client_, "DescribeExport", "{\"ExportArn\":" + quoted(arn) + "}", "export " + quoted(arn));
}

Task<Result<std::vector<ExportSummary>>> Exports::list(std::string table_arn) {
  std::vector<ExportSummary> all;
  std::string token;
  do {
    std::vector<ExportSummary> some;
    std::string next;
    CallOptions options;
    options.subject = table_arn.empty() ? "all tables" : "table " + quoted(table_arn);
    options.check = [&some, &next](const std::shared_ptr<const std::string>& body) -> Result<> {
      const Result<json::object> top = read_object(*body);
      if (!top) return base::fail(top.error());
      some.clear();
      const json::array* list = array_in(*top, "ExportSummaries");
      if (list == nullptr) return base::fail(ErrorKind::Corrupt, "no ExportSummaries");
      for (const json::value& each : *list) {
        if (!each.is_object()) return base::fail(ErrorKind::Corrupt, "an export that is no object");
        Result<std::string> arn = required_text_in(each.as_object(), "ExportArn");
        Result<std::string> status = required_text_in(each.as_object(), "ExportStatus");
        Result<std::string> type = text_in(each.as_object(), "ExportType");
        if (!arn || !status || !type) return base::fail(ErrorKind::Corrupt, "an export without ARN or status");
        some.push_back({std::move(*arn), std::move(*status), std::move(*type)});
      }
      Result<std::string> more = text_in(*top, "NextToken");
      if (!more) return base::fail(more.error());
      next = std::move(*more);
      return {};
    };
    std::string body = "{\"MaxResults\":25";
    if (!table_arn.empty()) body += ",\"TableArn\":" + quoted(table_arn);
    if (!token.empty()) body += ",\"NextToken\":" + quoted(token);
    const Result<Answer> answer = co_await client_.call("ListExports", body + "}", std::move(options));
    if (!answer) co_return base::fail(answer.error());
    all.insert(all.end(), some.begin(), some.end());
    // A page that leads to itself would never end.
    if (next == token) break;
    token = std::move(next);
  } while (!token.empty());
  co_return all;
}

Task<Result<PointInTimeRecovery>> Exports::recovery(std::string table) {
  PointInTimeRecovery out;
  CallOptions options;
  options.subject = "table " + quoted(table);
  options.check = [&out](const std::shared_ptr<const std::string>& body) -> Result<> {
    const Result<json::object> top = read_object(*body);
    if (!top) return base::fail(top.error());
    const json::object* backups = object_in(*top, "ContinuousBackupsDescription");
    if (backups == nullptr) return base::fail(ErrorKind::Corrupt, "no ContinuousBackupsDescription");
    const json::object* recovery = object_in(*backups, "PointInTimeRecoveryDescription");
    out = {};
    if (recovery == nullptr) return {};
    const Result<std::string> status = text_in(*recovery, "PointInTimeRecoveryStatus");
    if (!status) return base::fail(status.error());
    out.enabled = *status == "ENABLED";
    out.earliest = instant_in(*recovery, "EarliestRestorableDateTime");
    out.latest = instant_in(*recovery, "LatestRestorableDateTime");
    return {};
  };
  const Result<Answer> answer =
      co_await client_.call("DescribeContinuousBackups", "{\"TableName\":" + quoted(table) + "}", std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return out;
}

Task<Result<>> Exports::enable_recovery(std::string table) {
  CallOptions options;
  options.subject = "table " + quoted(table);
  std::string body = "{\"TableName\":" + quoted(table) +
                     ",\"PointInTimeRecoverySpecification\":{\"PointInTimeRecoveryEnabled\":true}}";
  const Result<Answer> answer = co_await client_.call("UpdateContinuousBackups", std::move(body), std::move(options));
  if (!answer) co_return base::fail(answer.error());
  co_return Result<>();
}

std::optional<ExportArn> parse_export_arn(std::string_view text) {
  // arn:PARTITION:dynamodb:REGION:ACCOUNT:table/NAME/export/ID
  std::string_view rest = text;
  const auto field = [&rest](char until) {
    const std::size_t end = rest.find(until);
    const std::string_view part = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
    return part;
  };
  ExportArn out;
  if (field(':') != "arn" || field(':').empty() || field(':') != "dynamodb") return std::nullopt;
  out.region = field(':');
  if (field(':').empty() || field('/') != "table") return std::nullopt;
  out.table = field('/');
  if (field('/') != "export") return std::nullopt;
  out.id = rest;
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  for (const std::string& part : {out.region, out.table, out.id}) {
    if (part.empty() || part.find_first_not_of(plain) != part.npos) return std::nullopt;
  }
  out.table_arn = text.substr(0, text.size() - out.id.size() - std::string_view("/export/").size());
  return out;
}

}  // namespace moveout::aws
