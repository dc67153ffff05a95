// Whatever bytes come: unpacked or refused, within the limits, and the same however they are cut.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "backfill/export/gunzip_stream.h"

using namespace moveout;

namespace {

constexpr std::size_t kOutMax = 1 << 20;

// Nothing when it is refused.
std::optional<std::string> unpack(std::string_view bytes, std::size_t step, std::size_t room) {
  backfill::GunzipStream stream({.ratio_max = 400, .ratio_from = 1 << 16, .bytes_max = kOutMax});
  std::string out;
  while (!bytes.empty()) {
    const std::string_view some = bytes.substr(0, step);
    bytes.remove_prefix(some.size());
    stream.feed(some);
    for (;;) {
      const auto dry = stream.inflate(out, room);
      if (!dry) return std::nullopt;
      MOVEOUT_ASSERT(out.size() <= kOutMax && out.size() == stream.bytes_out());
      if (*dry) break;
    }
  }
  if (!stream.finish()) return std::nullopt;
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto whole = unpack(bytes, bytes.size() + 1, 1 << 16);
  const auto pieces = unpack(bytes, data[0] + 1U, data[1] * 16U + 1U);
  // A limit may be met in one cut and not yet in another; an answer that is one is the only one.
  if (whole && pieces) MOVEOUT_ASSERT(*whole == *pieces);
  return 0;
}
