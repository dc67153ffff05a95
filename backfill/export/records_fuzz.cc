// Whatever a data file holds: records in JSON and in Ion are read or refused, and what Ion gives is an item.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "backfill/export/ion.h"
#include "backfill/export/ion_text.h"
#include "backfill/export/lines.h"
#include "item/json.h"

using namespace moveout;
using namespace moveout::backfill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  text += '\n';
  text.reserve(text.size() + 64);
  RecordRules rules{{{"id", item::KeyType::S}, std::nullopt}, {0, item::Band::Backfill, 1}, (data[0] & 1) != 0, true};
  if ((data[0] & 2) != 0) rules.key.sort = item::KeyAttribute{"n", item::KeyType::N};
  item::Batch batch;
  const auto buffer = std::make_shared<const std::string>(std::move(text));
  if ((data[0] & 4) == 0) {
    const auto read = read_lines(buffer, rules, 1, batch);
    MOVEOUT_ASSERT(!read || read->items == batch.size());
    static_cast<void>(key_of_record(buffer->substr(0, buffer->find('\n'))));
    return 0;
  }
  const auto read = read_ion_lines(*buffer, rules, 1, batch);
  MOVEOUT_ASSERT(!read || read->items == batch.size());
  for (std::size_t i = 0; read && i < batch.size(); ++i) {
    // Under 32 levels what was written is read again.
    if (!batch[i].is_delete()) static_cast<void>(item::parse_item(batch[i].image));
  }
  static_cast<void>(key_of_ion_record(buffer->substr(0, buffer->find('\n'))));
  return 0;
}
