// Decoding of answer bodies: the checksum over the bytes as sent, and gzip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::aws {

// More than any answer of the protocol (1 MB pages, 16 MB batches), little enough for a bomb to do no harm.
inline constexpr std::size_t kDecodedBytesMax = std::size_t{64} << 20;

// CRC-32 as gzip and x-amz-crc32 have it.
std::uint32_t crc32_of(std::string_view bytes);
// Whether an x-amz-crc32 header (unsigned decimal) is that of `bytes`.
bool crc32_matches(std::string_view header, std::string_view bytes);

// Keeps its memory (85 KB) from body to body.
class Gunzip {
 public:
  Gunzip();
  ~Gunzip();
  // Corrupt unless `bytes` is one whole gzip member with a right checksum; TooLarge over `bytes_max` decoded.
  base::Result<std::string> decode(std::string_view bytes, std::size_t bytes_max = kDecodedBytesMax);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moveout::aws
