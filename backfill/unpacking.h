// Unpacking: gzip and zstd as a stream, piece by piece. Members and frames may follow each other.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::backfill {

class Unpacking {
 public:
  virtual ~Unpacking() = default;
  // contract: takes packed bytes off the front of `packed` and appends at most `room` unpacked bytes to `out`. When it
  // returns, `packed` is empty or `out` has grown by `room`. Corrupt for what is damaged (checksums are looked at);
  // after that it is not called again.
  virtual base::Result<> unpack(std::string_view& packed, std::string& out, std::size_t room) = 0;
  // contract: whether what was taken so far ends where a member or frame ends.
  virtual bool whole() const = 0;

  static std::unique_ptr<Unpacking> gzip();
  // By the first bytes of a file (4 are enough); nothing for what is not packed.
  static std::unique_ptr<Unpacking> of(std::string_view first_bytes);
};

}  // namespace moveout::backfill
