#include "aws/decode.h"

#include <isa-l.h>

#include <algorithm>
#include <charconv>

namespace moveout::aws {
namespace {

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// The decoded size as the member's last four bytes state it: only a hint, it may lie.
std::size_t stated_size(std::string_view bytes) {
  if (bytes.size() < 18) return 0;
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    size |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[bytes.size() - 4 + i])) << (8 * i);
  }
  return size;
}

}  // namespace

std::uint32_t crc32_of(std::string_view bytes) { return crc32_gzip_refl(0, bytes_of(bytes), bytes.size()); }

bool crc32_matches(std::string_view header, std::string_view bytes) {
  std::uint32_t stated = 0;
  const auto [end, ec] = std::from_chars(header.data(), header.data() + header.size(), stated);
  return ec == std::errc() && end == header.data() + header.size() && stated == crc32_of(bytes);
}

struct Gunzip::State {
  inflate_state inflate;
};

Gunzip::Gunzip() : state_(std::make_unique<State>()) {}
Gunzip::~Gunzip() = default;

base::Result<std::string> Gunzip::decode(std::string_view bytes, std::size_t bytes_max) {
  const auto corrupt = [](const char* why) {
    return base::fail(base::ErrorKind::Corrupt, std::string("a gzip body that cannot be decoded: ") + why);
  };
  const auto too_large = [bytes_max] {
    return base::fail(base::ErrorKind::TooLarge,
                      "a gzip body that decodes to more than " + std::to_string(bytes_max) + " bytes");
  };
  if (bytes.size() > bytes_max) return too_large();
  inflate_state& inflate = state_->inflate;
  isal_inflate_init(&inflate);
  inflate.crc_flag = ISAL_GZIP;
  inflate.next_in = const_cast<unsigned char*>(bytes_of(bytes));
  inflate.avail_in = static_cast<std::uint32_t>(bytes.size());

  std::string out;
  // One byte more than stated, so that a true hint ends in one round; never more than deflate can make of the input.
  const std::size_t possible = std::min(bytes_max, bytes.size() * 1032) + 1;
  std::size_t room = std::min(std::max<std::size_t>(stated_size(bytes) + 1, 1024), possible);
  std::size_t used = 0;
  for (;;) {
    out.resize(room);
    inflate.next_out = reinterpret_cast<unsigned char*>(out.data()) + used;
    inflate.avail_out = static_cast<std::uint32_t>(room - used);
    const int code = isal_inflate(&inflate);
    used = room - inflate.avail_out;
    if (code != ISAL_DECOMP_OK) return corrupt("damaged data or a wrong checksum");
    if (inflate.block_state == ISAL_BLOCK_FINISH) break;
    if (inflate.avail_out > 0) return corrupt("cut off");
    if (room > bytes_max) return too_large();
    room = std::min(room * 2, bytes_max + 1);
  }
  if (used > bytes_max) return too_large();
  if (inflate.avail_in > 0) return corrupt("bytes after its end");
  out.resize(used);
  return out;
}

}  // namespace moveout::aws
