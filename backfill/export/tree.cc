#include "backfill/export/tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "aws/times.h"
#include "backfill/export/md5.h"
#include "base/mutant.h"

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

// A line of manifest-files.json has some 250 bytes, and a file of an export some tens of megabytes at most.
constexpr std::uint64_t kSummaryBytesMax = 1 << 20;
constexpr std::uint64_t kFilesBytesMax = 64 << 20;
constexpr std::string_view kSummary = "manifest-summary.json";

std::unexpected<base::Error> corrupt(std::string what) { return base::fail(ErrorKind::Corrupt, std::move(what)); }

// The folder without its last component, "" at the top; both end in '/'.
std::string parent_of(const std::string& folder) {
  if (folder.empty()) return folder;
  return folder.substr(0, folder.substr(0, folder.size() - 1).rfind('/') + 1);
}

// A manifest, held against the MD5 that stands beside it under one of the names in use.
Task<Result<std::string>> read_manifest(Objects& objects, std::string name, std::uint64_t bytes_max) {
  Result<std::string> text = co_await read_small(objects, name, bytes_max);
  if (!text) co_return text;
  const std::string stem = name.substr(0, name.size() - std::string_view(".json").size());
  for (const std::string& beside : {stem + ".md5", stem + ".checksum", name + ".md5", name + ".checksum"}) {
    Result<std::string> stated = co_await read_small(objects, beside, 4096);
    if (!stated && stated.error().kind == ErrorKind::NotFound) continue;
    if (!stated) co_return base::fail(stated.error());
    while (!stated->empty() && static_cast<unsigned char>(stated->back()) <= ' ') stated->pop_back();
    if (!is_md5(*stated)) co_return corrupt(objects.where(beside) + " is no MD5 in base64");
    if (*stated != md5_of(*text) && !base::mutant("md5_unchecked")) {
      co_return corrupt(objects.where(name) + " is damaged: its MD5 is not the one that stands beside it");
    }
    co_return text;
  }
  co_return base::fail(ErrorKind::NotFound, objects.where(stem) +
                                                ".md5 (or .checksum) is missing: the manifest "
                                                "cannot be verified; copy the export as a whole");
}

struct Found {
  std::vector<std::string> folders;  // that hold a summary
  std::vector<std::string> begun;    // that hold only _started
};

Found folders_of(const std::vector<StoredObject>& all) {
  std::set<std::string> summaries;
  std::set<std::string> started;
  for (const StoredObject& each : all) {
    const std::size_t slash = each.name.rfind('/') + 1;
    const std::string_view file = std::string_view(each.name).substr(slash);
    if (file == kSummary) summaries.insert(each.name.substr(0, slash));
    if (file == "_started") started.insert(each.name.substr(0, slash));
  }
  Found found;
  found.folders.assign(summaries.begin(), summaries.end());
  std::ranges::set_difference(started, summaries, std::back_inserter(found.begun));
  return found;
}

std::unexpected<base::Error> not_complete(const Objects& objects, const std::string& folder) {
  return base::fail(ErrorKind::NotFound, objects.where(folder) +
                                             " holds an export that was begun and is not complete: it has _started and "
                                             "no manifest-summary.json; wait for it with `moveout export wait`");
}

Task<Result<std::vector<std::string>>> find_folders(Objects& objects, FindExports wanted) {
  const std::string& root = wanted.root;
  Result<StoredObject> own = co_await objects.look(root + std::string(kSummary));
  if (own) co_return std::vector<std::string>{root};
  if (own.error().kind != ErrorKind::NotFound) co_return base::fail(own.error());
  const bool inside = root == "AWSDynamoDB/" || root.ends_with("/AWSDynamoDB/");
  Result<std::vector<StoredObject>> all = co_await objects.list(inside ? root : root + "AWSDynamoDB/");
  if (all && all->empty()) all = co_await objects.list(root + "_started");
  if (!all) co_return base::fail(all.error());
  Found found = folders_of(*all);
  if (!wanted.only.empty()) {
    const auto other = [&wanted](const std::string& folder) { return !folder.ends_with("/" + wanted.only + "/"); };
    std::erase_if(found.folders, other);
    std::erase_if(found.begun, other);
  }
  if (found.folders.empty() && !found.begun.empty()) co_return not_complete(objects, found.begun.front());
  if (found.folders.empty()) {
    co_return base::fail(ErrorKind::NotFound,
                         objects.where(root) +
                             " holds no export: neither manifest-summary.json nor AWSDynamoDB/ with "
                             "one in it");
  }
  co_return std::move(found.folders);
}

// Where a key of the manifest lies here: the export may have been copied to another bucket, prefix or folder.
Result<std::string> place_of(const std::string& key, const ExportSummary& summary, const std::string& folder) {
  const auto below = below_prefix(key, summary.prefix);
  if (!below) return corrupt("a key that does not lie under the export's prefix");
  const std::string_view rest = below->substr(std::string_view("AWSDynamoDB/").size());
  const std::string id = summary.arn.substr(summary.arn.rfind('/') + 1) + "/";
  if (rest.starts_with(id)) return folder + std::string(rest.substr(id.size()));
  return parent_of(folder) + std::string(rest);
}

// Each file is there, and in the folder that is the export's own there is no other.
Task<Result<std::vector<DataFile>>> find_files(Objects& objects, base::Log& log, ExportSummary summary,
                                               std::vector<ExportFile> entries, std::string folder) {
  std::vector<DataFile> files;
  for (ExportFile& entry : entries) {
    Result<std::string> name = place_of(entry.key, summary, folder);
    if (!name) co_return base::fail(name.error());
    files.push_back({{std::move(*name), 0, {}}, std::move(entry)});
  }
  const std::string data = summary.incremental ? parent_of(folder) + "data/" : folder + "data/";
  Result<std::vector<StoredObject>> listed = co_await objects.list(data);
  if (!listed && listed.error().kind != ErrorKind::Denied) co_return base::fail(listed.error());
  std::map<std::string, StoredObject> there;
  if (listed) {
    for (StoredObject& each : *listed) there.emplace(each.name, each);
  } else {
    log.warn("export.not_listed", {{"folder", objects.where(data)}, {"because", listed.error().what}});
  }
  for (DataFile& file : files) {
    if (const auto found = there.find(file.object.name); found != there.end()) {
      file.object = std::move(found->second);
      there.erase(found);
      continue;
    }
    Result<StoredObject> object = co_await objects.look(file.object.name);
    if (!object && object.error().kind == ErrorKind::NotFound) {
      co_return base::fail(ErrorKind::NotFound,
                           objects.where(file.object.name) + " is listed by the export's manifest and is not there");
    }
    if (!object) co_return base::fail(object.error());
    file.object = std::move(*object);
  }
  if (!summary.incremental && !there.empty()) {
    co_return corrupt(
        fmt::format("{} is in the export's folder, but its manifest does not list it ({} such files): what "
                    "stands there is not only this export",
                    objects.where(there.begin()->first), there.size()));
  }
  co_return files;
}

Task<Result<ExportTree>> read_tree(Objects& objects, base::Log& log, std::string folder) {
  Result<std::string> text = co_await read_manifest(objects, folder + std::string(kSummary), kSummaryBytesMax);
  if (!text) co_return base::fail(text.error());
  Result<ExportSummary> summary = parse_export_summary(*text);
  if (!summary) co_return corrupt(objects.where(folder) + std::string(kSummary) + ": " + summary.error().what);
  Result<std::string> name = place_of(summary->files_key, *summary, folder);
  if (!name) co_return base::fail(name.error());
  text = co_await read_manifest(objects, std::move(*name), kFilesBytesMax);
  if (!text) co_return base::fail(text.error());
  Result<std::vector<ExportFile>> entries = parse_export_files(*text, *summary);
  if (!entries) co_return corrupt(objects.where(folder) + ": " + entries.error().what);
  Result<std::vector<DataFile>> files = co_await find_files(objects, log, *summary, std::move(*entries), folder);
  if (!files) co_return base::fail(files.error());
  co_return ExportTree{std::move(folder), std::move(*summary), std::move(*files)};
}

Result<> check(const std::vector<ExportTree>& trees, const FindExports& wanted, const Objects& objects) {
  if (!wanted.chain) {
    if (trees.size() == 1) return {};
    std::string names;
    for (const ExportTree& tree : trees) {
      names += "\n  " + tree.summary.arn.substr(tree.summary.arn.rfind('/') + 1) +
               (tree.summary.incremental
                    ? " incremental, from " + aws::iso_time(tree.summary.from) + " to " + aws::iso_time(tree.summary.to)
                    : " full, of " + aws::iso_time(tree.summary.time));
    }
    return base::fail(ErrorKind::Usage,
                      fmt::format("{} holds {} exports: name the folder of one, or load them in their order with "
                                  "--chain{}",
                                  objects.where(wanted.root), trees.size(), names));
  }
  std::vector<ExportSummary> windows;
  std::optional<ChainStart> start;
  for (const ExportTree& tree : trees) {
    if (tree.summary.incremental) {
      windows.push_back(tree.summary);
    } else if (start) {
      return base::fail(ErrorKind::Usage, objects.where(wanted.root) +
                                              " holds several full exports; a chain begins "
                                              "with one at most");
    } else {
      start = ChainStart{tree.summary.time, wanted.margin};
      if (tree.summary.table_arn != trees.back().summary.table_arn) {
        return base::fail(ErrorKind::Usage, "a chain of one table is expected: " + tree.summary.table_arn + " and " +
                                                trees.back().summary.table_arn);
      }
    }
  }
  return check_chain(windows, start);
}

}  // namespace

Task<Result<std::vector<ExportTree>>> find_exports(Objects& objects, base::Log& log, FindExports wanted) {
  Result<std::vector<std::string>> folders = co_await find_folders(objects, wanted);
  if (!folders) co_return base::fail(folders.error());
  std::vector<ExportTree> trees;
  for (std::string& folder : *folders) {
    Result<ExportTree> tree = co_await read_tree(objects, log, std::move(folder));
    if (!tree) co_return base::fail(tree.error());
    trees.push_back(std::move(*tree));
  }
  std::ranges::sort(trees, [](const ExportTree& a, const ExportTree& b) {
    const ExportSummary& one = a.summary;
    const ExportSummary& two = b.summary;
    if (one.incremental != two.incremental) return two.incremental;
    return std::tie(one.incremental ? one.from : one.time, one.arn) <
           std::tie(two.incremental ? two.from : two.time, two.arn);
  });
  if (Result<> sound = check(trees, wanted, objects); !sound) co_return base::fail(sound.error());
  co_return trees;
}

}  // namespace moveout::backfill
