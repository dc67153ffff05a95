// Packing: a chunk of bytes as one gzip member or one zstd frame. Members and frames may follow each other in a file.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::target::file {

class Packing {
 public:
  virtual ~Packing() = default;
  // contract: appends a whole member or frame that unpacks to `bytes`.
  virtual void pack(std::string_view bytes, std::string& out) = 0;

  // By the end of the name: .gz, .zst; nothing for plain.
  static std::unique_ptr<Packing> of(std::string_view path);
};

}  // namespace moveout::target::file
