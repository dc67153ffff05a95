// GunzipStream: gzip, piece by piece, by ISA-L; bounded, so that a bomb does no harm.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::backfill {

struct GunzipLimits {
  // More bytes out than this many a byte in, once over ratio_from bytes out: no export but a bomb. Deflate makes at
  // most 1,032 of one; items of JSON are packed 5 to 50 times.
  std::uint64_t ratio_max = 400;
  std::uint64_t ratio_from = std::uint64_t{64} << 20;
  std::uint64_t bytes_max = std::uint64_t{1} << 40;
};

class GunzipStream {
 public:
  explicit GunzipStream(GunzipLimits limits = {});
  ~GunzipStream();
  // What is to be unpacked next; the earlier input was taken whole. Copied.
  void feed(std::string_view bytes);
  // Appends at most `room` bytes to out. Returns whether the input is used up (then feed or finish). Corrupt: damaged
  // data or a wrong checksum. TooLarge: over a limit.
  base::Result<bool> inflate(std::string& out, std::size_t room);
  // The input has ended. Corrupt: cut off.
  base::Result<> finish() const;
  std::uint64_t bytes_out() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moveout::backfill
