// Whatever a manifest says: read or refused; what is read keeps its promises.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

#include "backfill/export/manifest.h"
#include "backfill/export/md5.h"

using namespace moveout::backfill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\n');
  const auto summary = parse_export_summary(text.substr(0, cut));
  ExportSummary other;
  other.items = 10;
  const auto files =
      parse_export_files(cut == text.npos ? text : text.substr(cut + 1), summary.has_value() ? *summary : other);
  if (!files) return 0;
  std::uint64_t items = 0;
  std::set<std::string> keys;
  for (const ExportFile& file : *files) {
    items += file.items;
    MOVEOUT_ASSERT(keys.insert(file.key).second && is_md5(file.md5));
    const auto below = below_prefix(file.key, summary ? summary->prefix : "");
    MOVEOUT_ASSERT(below && below->starts_with("AWSDynamoDB/") && below->find("/../") == below->npos);
  }
  MOVEOUT_ASSERT(items == (summary ? summary->items : 10));
  return 0;
}
