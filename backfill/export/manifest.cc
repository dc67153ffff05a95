#include "backfill/export/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "aws/answers.h"
#include "aws/exports.h"
#include "aws/times.h"
#include "backfill/export/md5.h"
#include "base/json.h"
#include "base/mutant.h"

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;
namespace json = base::json;

std::unexpected<base::Error> corrupt(std::string what) { return base::fail(ErrorKind::Corrupt, std::move(what)); }

// At most so much of a key in a message.
std::string shown(std::string_view key) {
  std::string out(key.substr(0, 200));
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
  return out;
}

Result<std::uint64_t> count_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  json::error_code ec;
  const std::uint64_t number = value == nullptr ? 0 : value->to_number<std::uint64_t>(ec);
  if (value == nullptr || !value->is_number() || value->is_double() || ec) {
    return corrupt(std::string(name) + " is not a count");
  }
  return number;
}

Result<base::Instant> time_in(const json::object& object, std::string_view name) {
  const Result<std::string> text = aws::required_text_in(object, name);
  if (!text) return base::fail(text.error());
  const auto time = aws::parse_iso_time(*text);
  if (!time || base::micros_of(*time) <= 0) return corrupt(std::string(name) + " is not a time");
  return *time;
}

Result<> read_window(const json::object& object, ExportSummary& out) {
  const Result<base::Instant> from = time_in(object, "exportFromTime");
  const Result<base::Instant> to = time_in(object, "exportToTime");
  const Result<std::string> view = aws::required_text_in(object, "outputView");
  if (!from) return base::fail(from.error());
  if (!to) return base::fail(to.error());
  if (!view) return base::fail(view.error());
  if (*from >= *to) return corrupt("exportFromTime is not before exportToTime");
  // The service's own spelling has been seen with an S at the end of each word and without.
  out.old_images = view->starts_with("NEW_AND_OLD");
  if (!out.old_images && !view->starts_with("NEW_IMAGE")) return corrupt("outputView is none that is known");
  out.from = *from;
  out.to = *to;
  return {};
}

}  // namespace

std::optional<std::string_view> below_prefix(std::string_view key, std::string_view prefix) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (!prefix.empty()) {
    if (!key.starts_with(prefix) || key.size() <= prefix.size() || key[prefix.size()] != '/') return std::nullopt;
    key.remove_prefix(prefix.size() + 1);
  }
  if (!key.starts_with("AWSDynamoDB/") || key.size() > 1024) return std::nullopt;
  std::string_view rest = key;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    const bool plain = !part.empty() && part != "." && part != ".." &&
                       std::ranges::all_of(part, [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
    if (!plain) return std::nullopt;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (key.ends_with('/')) return std::nullopt;
  return key;
}

Result<ExportSummary> parse_export_summary(std::string_view text) {
  const Result<json::object> top = aws::read_object(text);
  if (!top) return base::fail(top.error());
  ExportSummary out;
  struct Member {
    const char* name;
    std::string* into;
    bool required;
  };
  std::string format;
  std::string type;
  for (const Member& each : {Member{"exportArn", &out.arn, true},
                             {"tableArn", &out.table_arn, true},
                             {"s3Bucket", &out.bucket, true},
                             {"s3Prefix", &out.prefix, false},
                             {"manifestFilesS3Key", &out.files_key, true},
                             {"outputFormat", &format, true},
                             {"exportType", &type, false}}) {
    Result<std::string> member = each.required ? aws::required_text_in(*top, each.name) : aws::text_in(*top, each.name);
    if (!member) return base::fail(member.error());
    *each.into = std::move(*member);
  }
  if (format != "DYNAMODB_JSON" && format != "ION") return corrupt("outputFormat is neither DYNAMODB_JSON nor ION");
  out.format = format == "ION" ? ExportFormat::Ion : ExportFormat::DynamoDbJson;
  // Full exports of before there were others say no type.
  if (!type.empty() && type != "FULL_EXPORT" && type != "INCREMENTAL_EXPORT") {
    return corrupt("exportType is none that is known");
  }
  out.incremental = type == "INCREMENTAL_EXPORT";
  const std::size_t slash = out.table_arn.rfind("table/");
  if (slash == std::string::npos) return corrupt("tableArn is not that of a table");
  out.table = out.table_arn.substr(slash + 6);
  const Result<std::uint64_t> items = count_in(*top, "itemCount");
  if (!items) return base::fail(items.error());
  out.items = *items;
  if (!below_prefix(out.files_key, out.prefix)) {
    return corrupt("manifestFilesS3Key does not lie under " + shown(out.prefix) + "/AWSDynamoDB/");
  }
  if (out.incremental) {
    if (Result<> read = read_window(*top, out); !read) return base::fail(read.error());
    return out;
  }
  const Result<base::Instant> time = time_in(*top, "exportTime");
  if (!time) return base::fail(time.error());
  out.time = *time;
  return out;
}

Result<std::vector<ExportFile>> parse_export_files(std::string_view text, const ExportSummary& summary) {
  std::vector<ExportFile> files;
  std::set<std::string, std::less<>> keys;
  std::uint64_t sum = 0;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() && text.empty()) break;
    const auto refuse = [number](const std::string& why) {
      return corrupt(fmt::format("line {} of manifest-files.json: {}", number, why));
    };
    const Result<json::object> object = aws::read_object(line);
    if (!object) return refuse(object.error().what);
    Result<std::string> key = aws::required_text_in(*object, "dataFileS3Key");
    if (!key) return refuse(key.error().what);
    Result<std::string> md5 = aws::required_text_in(*object, "md5Checksum");
    if (!md5) return refuse(md5.error().what);
    if (!is_md5(*md5)) return refuse("md5Checksum is no MD5 in base64");
    const Result<std::uint64_t> items = count_in(*object, "itemCount");
    if (!items) return refuse(items.error().what);
    if (!below_prefix(*key, summary.prefix)) {
      return refuse("the key " + shown(*key) + " does not lie under " + shown(summary.prefix) + "/AWSDynamoDB/");
    }
    if (!keys.insert(*key).second) return refuse("the key " + shown(*key) + " stands twice");
    if (*items > summary.items - std::min(sum, summary.items)) {
      return refuse(fmt::format("with it the files hold more than the {} items of the summary", summary.items));
    }
    sum += *items;
    files.push_back({std::move(*key), *items, std::move(*md5)});
  }
  if (sum != summary.items) {
    return corrupt(fmt::format("manifest-files.json lists {} items, the summary {}: is it whole?", sum, summary.items));
  }
  std::ranges::sort(files, {}, &ExportFile::key);
  return files;
}

Result<> check_chain(const std::vector<ExportSummary>& windows, std::optional<ChainStart> start) {
  const auto usage = [](std::string what) { return base::fail(ErrorKind::Usage, std::move(what)); };
  std::optional<base::Instant> at;
  if (start) at = start->time - start->margin;
  for (const ExportSummary& window : windows) {
    MOVEOUT_ASSERT(window.incremental);
    if (window.table_arn != windows.front().table_arn) {
      return usage("a chain of one table is expected: " + shown(windows.front().table_arn) + " and " +
                   shown(window.table_arn));
    }
    if (at && window.from > *at && !base::mutant("chain_hole_passes")) {
      std::string why = fmt::format("the windows have a hole: nothing covers {} (inclusive) to {} (exclusive)",
                                    aws::iso_time(*at), aws::iso_time(window.from));
      if (start && &window == &windows.front()) {
        why += fmt::format("; the full export of {} may lack writes of up to {} s before its time (export.margin)",
                           aws::iso_time(start->time), start->margin.count() / 1'000'000);
      }
      return usage(why + "; request an incremental export of that window");
    }
    if (&window == &windows.front()) {
      if (start && window.to <= start->time) {
        return usage(fmt::format("the window that ends at {} lies before the full export of {}",
                                 aws::iso_time(window.to), aws::iso_time(start->time)));
      }
    } else if (window.from < *at) {
      return usage(fmt::format("two windows overlap: one ends at {} (exclusive), the next begins at {} (inclusive)",
                               aws::iso_time(*at), aws::iso_time(window.from)));
    }
    at = window.to;
  }
  return {};
}

}  // namespace moveout::backfill
