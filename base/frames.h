// Frames: checksummed pieces, one after the other, in an append-only file. Each is whole or, at the very end, torn.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "base/disk.h"

namespace moveout::base {

//   frame = magic (4), payload size (4), checksum of the payload (8), payload; integers little endian
struct FrameKind {
  std::string_view magic;       // 4 bytes that begin every frame of this kind
  std::uint64_t seed = 0;       // of the checksum: the low half of XXH3-128
  std::size_t payload_max = 0;  // more was never written
};

// Blocking, like Disk. Holds no place of its own: who uses it knows how far the file is durable.
class Frames {
 public:
  // The payload of one whole frame, and the offset behind it. False: enough.
  using Visit = std::function<Result<bool>(std::string_view payload, std::uint64_t behind)>;

  Frames(Disk& disk, FrameKind kind) : disk_(disk), kind_(kind) {}
  std::string frame(std::string_view payload) const;
  // Not synced.
  Result<> append(const std::string& file, std::string_view payload);
  // Visits frames from the offset `from` on until one is not whole, the visitor has enough, or `to` is reached; answers
  // the offset behind the last one visited.
  Result<std::uint64_t> walk(const std::string& file, std::uint64_t from, std::uint64_t to, const Visit& visit);
  // Behind the first frame that is not whole there may be the rest of a torn write, never a whole frame: that would be
  // damage in the middle, and something lost.
  Result<bool> whole_frame_in(const std::string& file, std::uint64_t from, std::uint64_t to);

 private:
  Disk& disk_;
  FrameKind kind_;
};

// Numbers in a payload.
template <class T>
void put(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}
template <class T>
bool get(std::string_view* bytes, T* value) {
  if (bytes->size() < sizeof(T)) return false;
  std::memcpy(value, bytes->data(), sizeof(T));
  bytes->remove_prefix(sizeof(T));
  return true;
}

}  // namespace moveout::base
