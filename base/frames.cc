#include "base/frames.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <algorithm>
#include <optional>

namespace moveout::base {
namespace {

constexpr std::size_t kHead = 4 + 4 + 8;
constexpr std::size_t kPiece = 1 << 20;  // read at once

std::uint64_t checksum_of(const FrameKind& kind, std::string_view payload) {
  return XXH3_128bits_withSeed(payload.data(), payload.size(), kind.seed).low64;
}

// One whole frame at the front of `bytes`: its payload.
std::optional<std::string_view> take_frame(const FrameKind& kind, std::string_view* bytes) {
  std::string_view rest = *bytes;
  std::uint32_t size = 0;
  std::uint64_t checksum = 0;
  if (!rest.starts_with(kind.magic)) return std::nullopt;
  rest.remove_prefix(kind.magic.size());
  if (!get(&rest, &size) || !get(&rest, &checksum) || size > kind.payload_max || rest.size() < size) {
    return std::nullopt;
  }
  const std::string_view payload = rest.substr(0, size);
  if (checksum_of(kind, payload) != checksum) return std::nullopt;
  *bytes = rest.substr(size);
  return payload;
}

}  // namespace

std::string Frames::frame(std::string_view payload) const {
  MOVEOUT_ASSERT(payload.size() <= kind_.payload_max);
  std::string out(kind_.magic);
  put(out, static_cast<std::uint32_t>(payload.size()));
  put(out, checksum_of(kind_, payload));
  out.append(payload);
  return out;
}

Result<> Frames::append(const std::string& file, std::string_view payload) {
  return disk_.append(file, frame(payload));
}

Result<std::uint64_t> Frames::walk(const std::string& file, std::uint64_t from, std::uint64_t to, const Visit& visit) {
  std::string held;
  std::uint64_t read_to = from, at = from;
  for (;;) {
    std::string_view rest = held;
    while (const std::optional<std::string_view> payload = take_frame(kind_, &rest)) {
      const std::uint64_t behind = read_to - rest.size();
      const Result<bool> more = visit(*payload, behind);
      if (!more) return fail(more.error());
      at = behind;
      if (!*more) return at;
    }
    held.erase(0, held.size() - rest.size());
    // A frame that is all here and still not whole ends the walk.
    if (read_to == to || held.size() > kHead + kind_.payload_max) return at;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, to - read_to));
    const Result<std::string> bytes = disk_.read(file, read_to, wanted);
    if (!bytes) return fail(bytes.error());
    if (bytes->empty()) return at;
    held += *bytes;
    read_to += bytes->size();
  }
}

Result<bool> Frames::whole_frame_in(const std::string& file, std::uint64_t from, std::uint64_t to) {
  std::string held;
  for (std::uint64_t at = from; at < to;) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, to - at));
    const Result<std::string> bytes = disk_.read(file, at, wanted);
    if (!bytes) return fail(bytes.error());
    if (bytes->empty()) break;
    held += *bytes;
    at += bytes->size();
    std::size_t found = held.find(kind_.magic);
    for (; found != std::string::npos; found = held.find(kind_.magic, found + 1)) {
      std::string_view rest = std::string_view(held).substr(found);
      if (take_frame(kind_, &rest)) return true;
      // It may go on in the next piece.
      if (at < to && rest.size() < kHead + kind_.payload_max) break;
    }
    const std::size_t tail = std::min(held.size(), kind_.magic.size() - 1);
    held.erase(0, found != std::string::npos ? found : held.size() - tail);
  }
  return false;
}

}  // namespace moveout::base
