// Md5: what an export's manifests give of each file.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace moveout::backfill {

class Md5 {
 public:
  Md5();
  ~Md5();
  void add(std::string_view bytes);
  // In base64, as the manifests write it. Once.
  std::string done();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string md5_of(std::string_view bytes);
// 24 characters of base64 that say 16 bytes.
bool is_md5(std::string_view text);

}  // namespace moveout::backfill
