// Version: (era, band, t), compared in that order. Highest wins, everywhere (docs/consistency.md §2).
#pragma once

#include <compare>
#include <cstdint>

#include "base/error.h"

namespace moveout::item {

enum class Band : std::uint8_t { Backfill = 0, Incremental = 1, Change = 2 };

// The slots left free between two fold values, for repairs.
inline constexpr std::int64_t kFoldStep = 16;

struct Version {
  std::uint32_t era = 0;  // 0 … 255
  Band band = Band::Backfill;
  std::int64_t t = 0;  // µs since 1970, folded; 0 … 2^53 − 1

  friend auto operator<=>(const Version&, const Version&) = default;

  // One integer in the same order: era 8 bits, band 2, t 53.
  std::int64_t packed() const {
    MOVEOUT_ASSERT(era < 256 && t >= 0 && t < (std::int64_t{1} << 53));
    return (std::int64_t{era} << 55) | (static_cast<std::int64_t>(band) << 53) | t;
  }
  static Version unpacked(std::int64_t packed) {
    return Version{static_cast<std::uint32_t>(packed >> 55), static_cast<Band>((packed >> 53) & 3),
                   packed & ((std::int64_t{1} << 53) - 1)};
  }
};

}  // namespace moveout::item
