// ExportWorld: exports as trees of bytes in memory, as DynamoDB writes them, and a reader over them. For unit tests.
#pragma once

#include <fmt/format.h>
#include <isa-l.h>

#include <algorithm>

#include <map>
#include <string>
#include <vector>

#include "aws/times.h"
#include "backfill/export/export_source.h"
#include "backfill/export/md5.h"
#include "base/inline_worker.h"
#include "base/memory_disk.h"
#include "base/run_task.h"

namespace moveout::test {

inline std::string gzip_of(const std::string& text) {
  isal_zstream stream;
  isal_deflate_init(&stream);
  stream.gzip_flag = IGZIP_GZIP;
  stream.end_of_stream = 1;
  stream.flush = NO_FLUSH;
  std::string out(text.size() + text.size() / 8 + 1024, '\0');
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<std::uint32_t>(text.size());
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = static_cast<std::uint32_t>(out.size());
  MOVEOUT_ASSERT(isal_deflate(&stream) == COMP_OK && stream.avail_in == 0);
  out.resize(out.size() - stream.avail_out);
  return out;
}

class MemoryObjects final : public backfill::Objects {
 public:
  explicit MemoryObjects(bool near) : near_(near) {}
  base::Task<base::Result<backfill::StoredObject>> look(std::string name) override {
    const auto found = files.find(name);
    if (found == files.end()) co_return base::fail(base::ErrorKind::NotFound, name + " is not there");
    co_return object_of(name, found->second);
  }
  base::Task<base::Result<std::vector<backfill::StoredObject>>> list(std::string prefix) override {
    if (deny_list) co_return base::fail(base::ErrorKind::Denied, "no right to list");
    std::vector<backfill::StoredObject> found;
    for (const auto& [name, bytes] : files) {
      if (name.starts_with(prefix)) found.push_back(object_of(name, bytes));
    }
    co_return found;
  }
  base::Task<base::Result<std::string>> read(backfill::StoredObject object, std::uint64_t offset,
                                             std::uint64_t size) override {
    const auto found = files.find(object.name);
    if (found == files.end()) co_return base::fail(base::ErrorKind::NotFound, object.name + " is not there");
    if (object_of(object.name, found->second).tag != object.tag) {
      co_return base::fail(base::ErrorKind::Conflict, object.name + " is another one");
    }
    ++reads;
    if (offset >= found->second.size()) co_return std::string();
    co_return found->second.substr(offset, size);
  }
  bool is_near() const override { return near_; }
  std::string where(const std::string& name) const override { return "memory:" + name; }

  std::map<std::string, std::string> files;
  bool deny_list = false;
  int reads = 0;

 private:
  static backfill::StoredObject object_of(const std::string& name, const std::string& bytes) {
    return {name, bytes.size(), backfill::md5_of(bytes)};
  }
  bool near_;
};

class QuietLog final : public base::Log {
 public:
  void write(base::LogLevel, std::string_view, const std::vector<base::LogField>&) override {}
  bool enabled(base::LogLevel) const override { return false; }
};

// What one export holds: the text of each data file.
struct ExportMade {
  std::string id = "01695353076000-a1b2c3d4";
  std::string prefix = "pre/fix";
  std::string table = "orders";
  std::string format = "DYNAMODB_JSON";
  std::int64_t time_us = 1'695'353'076'500'000;
  std::int64_t from_us = 0, to_us = 0;  // incremental where to_us > 0
  std::vector<std::string> files;

  std::string top() const { return (prefix.empty() ? "" : prefix + "/") + "AWSDynamoDB/"; }
  std::string folder() const { return top() + id + "/"; }
  std::string data() const { return to_us > 0 ? top() + "data/" : folder() + "data/"; }
  std::string key(std::size_t file) const { return data() + id.substr(15) + fmt::format("file{:02}.json.gz", file); }
  static std::size_t lines(const std::string& text) { return static_cast<std::size_t>(std::ranges::count(text, '\n')); }
};

inline std::string time_text(std::int64_t us) {
  const std::string text = aws::iso_time(base::instant_of_micros(us));
  return text.substr(0, text.size() - 1) + fmt::format(".{:03}Z", us / 1000 % 1000);
}

inline void put_with_md5(std::map<std::string, std::string>& files, const std::string& name, std::string text) {
  files[name.substr(0, name.size() - 5) + ".md5"] = backfill::md5_of(text);
  files[name] = std::move(text);
}

inline std::string files_line(const std::string& key, std::size_t items, const std::string& bytes) {
  return fmt::format("{{\"itemCount\":{},\"md5Checksum\":\"{}\",\"etag\":\"e-1\",\"dataFileS3Key\":\"{}\"}}\n", items,
                     backfill::md5_of(bytes), key);
}

inline std::string summary_text(const ExportMade& made, std::size_t items) {
  std::string text = fmt::format(
      "{{\"version\":\"2023-08-01\",\"exportArn\":\"arn:aws:dynamodb:us-east-1:1:table/{0}/export/{1}\",\"startTime\":"
      "\"2023-09-22T03:24:36.000Z\",\"endTime\":\"2023-09-22T03:29:36.000Z\",\"tableArn\":"
      "\"arn:aws:dynamodb:us-east-1:1:table/{0}\",\"tableId\":\"t\",\"s3Bucket\":\"bucket\",\"s3Prefix\":{2},"
      "\"s3SseAlgorithm\":\"AES256\",\"s3SseKmsKeyId\":null,\"manifestFilesS3Key\":\"{3}manifest-files.json\","
      "\"billedSizeBytes\":1,\"itemCount\":{4},\"outputFormat\":\"{5}\"",
      made.table, made.id, made.prefix.empty() ? "null" : "\"" + made.prefix + "\"", made.folder(), items, made.format);
  if (made.to_us > 0) {
    text += fmt::format(
        ",\"exportFromTime\":\"{}\",\"exportToTime\":\"{}\",\"outputView\":\"NEW_AND_OLD_IMAGES\",\"exportType\":"
        "\"INCREMENTAL_EXPORT\"}}",
        time_text(made.from_us), time_text(made.to_us));
  } else {
    text += fmt::format(",\"exportTime\":\"{}\",\"exportType\":\"FULL_EXPORT\"}}", time_text(made.time_us));
  }
  return text;
}

// Writes it as the service does.
inline void put_export(std::map<std::string, std::string>& files, const ExportMade& made) {
  files[made.folder() + "_started"] = "";
  std::string list;
  std::size_t items = 0;
  for (std::size_t i = 0; i < made.files.size(); ++i) {
    const std::string packed = gzip_of(made.files[i]);
    files[made.key(i)] = packed;
    list += files_line(made.key(i), ExportMade::lines(made.files[i]), packed);
    items += ExportMade::lines(made.files[i]);
  }
  put_with_md5(files, made.folder() + "manifest-files.json", list);
  put_with_md5(files, made.folder() + "manifest-summary.json", summary_text(made, items));
}

inline std::string item_line(int number, std::size_t size = 20) {
  return fmt::format("{{\"Item\":{{\"id\":{{\"S\":\"key {}\"}},\"pad\":{{\"S\":\"{}\"}}}}}}\n", number,
                     std::string(size, 'x'));
}

inline ExportMade small_export() {
  ExportMade made;
  made.files = {item_line(1) + item_line(2), "", item_line(3)};
  return made;
}

struct Read {
  item::Version version;
  std::string image;  // empty: a delete
  friend bool operator==(const Read&, const Read&) = default;
};

struct ExportWorld {
  explicit ExportWorld(bool near = true) : objects(near) {}

  // A process's source: found, and told the key.
  base::Result<std::unique_ptr<backfill::ExportSource>> source(backfill::ExportConfig config = {}) {
    auto made = std::make_unique<backfill::ExportSource>(std::move(config), objects, &spool,
                                                         std::vector<base::Worker*>{&worker}, log);
    known = base::run_task(made->begin());
    if (!known) return base::fail(known.error());
    made->set(known->key.value_or(key), {0, item::Band::Backfill, known->t_us.value_or(1)});
    return made;
  }
  // A part from `at` to its end; what was read before an error is in `into`. `ats`: each page's.
  base::Result<> read(backfill::ExportSource& from, std::size_t part, std::string at,
                      std::multimap<std::string, Read>& into, std::vector<std::string>* ats = nullptr) {
    const auto reader = from.open(part, std::move(at));
    for (;;) {
      base::Result<backfill::FilePage> page = base::run_task(reader->next());
      if (!page) return base::fail(page.error());
      for (std::size_t i = 0; i < page->writes.size(); ++i) {
        const item::Write write = page->writes[i];
        into.emplace(std::string(write.key), Read{write.version, std::string(write.image)});
      }
      if (ats != nullptr) ats->push_back(page->at);
      if (page->last) return {};
    }
  }
  base::Result<std::multimap<std::string, Read>> read_all(backfill::ExportConfig config = {}) {
    auto from = source(std::move(config));
    if (!from) return base::fail(from.error());
    std::multimap<std::string, Read> all;
    for (std::size_t part = 0; part < (*from)->parts(); ++part) {
      if (base::Result<> done = read(**from, part, {}, all); !done) return base::fail(done.error());
    }
    return all;
  }

  MemoryObjects objects;
  base::MemoryDisk spool;
  base::InlineWorker worker;
  QuietLog log;
  item::KeySchema key{{"id", item::KeyType::S}, std::nullopt};
  base::Result<backfill::FilesKnown> known;
};

}  // namespace moveout::test
