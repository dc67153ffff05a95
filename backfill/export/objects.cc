#include "backfill/export/objects.h"

#include <fmt/format.h>

namespace moveout::backfill {

using base::ErrorKind;
using base::Result;

base::Task<Result<std::string>> read_small(Objects& objects, std::string name, std::uint64_t bytes_max) {
  Result<StoredObject> object = co_await objects.look(name);
  if (!object) co_return base::fail(object.error());
  if (object->size > bytes_max) {
    co_return base::fail(ErrorKind::TooLarge, fmt::format("{} has {} bytes; such a file has at most {}",
                                                          objects.where(name), object->size, bytes_max));
  }
  if (object->size == 0) co_return std::string();
  const std::uint64_t size = object->size;
  Result<std::string> bytes = co_await objects.read(std::move(*object), 0, size);
  if (bytes && bytes->size() != size) {
    co_return base::fail(ErrorKind::Corrupt, objects.where(name) + " became shorter while it was read");
  }
  co_return bytes;
}

}  // namespace moveout::backfill
