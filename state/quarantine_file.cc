#include "state/quarantine_file.h"

#include <algorithm>
#include <utility>

#include "item/json.h"

namespace moveout::state {

std::string quarantine_line(std::string_view table, const item::KeySchema& schema, const PoisonRow& row) {
  std::string line = "{\"Table\":";
  item::append_json_string(line, table);
  line += ",\"Reason\":";
  item::append_json_string(line, row.reason);
  line += ",\"Era\":" + std::to_string(row.version.era);
  line += ",\"Version\":\"" + std::to_string(static_cast<int>(row.version.band)) + "/" + std::to_string(row.version.t);
  line += "\",\"Keys\":";
  const base::Result<item::Key> key = item::Key::from_encoded(row.key);
  key ? item::append_json(line, key->attributes(schema)) : void(line += "{}");
  if (!row.image.empty()) {
    line += ",\"Item\":";
    const std::size_t from = line.size();
    line += row.image;
    // White space between members may hold line ends; in texts they are escaped.
    std::replace_if(
        line.begin() + static_cast<std::ptrdiff_t>(from), line.end(), [](char c) { return c == '\n' || c == '\r'; },
        ' ');
  }
  return line + "}\n";
}

QuarantineFile::QuarantineFile(base::Disk& disk, base::Worker& worker, std::string name)
    : disk_(disk), worker_(worker), name_(std::move(name)) {}

base::Task<base::Result<>> QuarantineFile::append(std::string lines) {
  co_return co_await worker_.call([&]() -> base::Result<> {
    base::Result<> done = disk_.append(name_, lines);
    return done ? disk_.sync(name_) : done;
  });
}

base::Task<base::Result<>> QuarantineFile::rewrite(std::string lines) {
  co_return co_await worker_.call([&]() -> base::Result<> {
    if (lines.empty()) return disk_.remove(name_);
    const base::Result<std::uint64_t> size = disk_.size(name_);
    if (!size) return base::fail(size.error());
    if (*size == lines.size()) {
      const base::Result<std::string> there = disk_.read(name_, 0, lines.size());
      if (there && *there == lines) return {};
    }
    // Not in one step: what a crash leaves here is written anew from the state's rows.
    if (*size > 0) {
      if (base::Result<> cut = disk_.truncate(name_, 0); !cut) return cut;
    }
    base::Result<> done = disk_.append(name_, lines);
    return done ? disk_.sync(name_) : done;
  });
}

}  // namespace moveout::state
