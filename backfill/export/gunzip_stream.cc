#include "backfill/export/gunzip_stream.h"

#include <fmt/format.h>
#include <isa-l.h>

#include <algorithm>

namespace moveout::backfill {

using base::ErrorKind;
using base::Result;

struct GunzipStream::State {
  GunzipLimits limits;
  inflate_state inflate;
  std::string input;
  std::size_t at = 0;  // of input, unread
  std::uint64_t in = 0, out = 0;
  bool between = false;  // members: a whole one has ended, and no next one has begun
  bool any = false;      // a byte was fed

  void begin_member() {
    isal_inflate_init(&inflate);
    inflate.crc_flag = ISAL_GZIP;
  }
  // Bytes that were read ahead of the member's end go before what is left of the input.
  void end_member() {
    std::string ahead;
    for (int i = 0; i < inflate.read_in_length / 8; ++i) ahead += static_cast<char>(inflate.read_in >> (8 * i));
    input = ahead + input.substr(at);
    at = 0;
    between = true;
  }
};

GunzipStream::GunzipStream(GunzipLimits limits) : state_(std::make_unique<State>()) {
  state_->limits = limits;
  state_->begin_member();
}
GunzipStream::~GunzipStream() = default;

void GunzipStream::feed(std::string_view bytes) {
  State& state = *state_;
  MOVEOUT_ASSERT(state.at == state.input.size());
  state.input.assign(bytes);
  state.at = 0;
  state.in += bytes.size();
  state.any = state.any || !bytes.empty();
}

Result<bool> GunzipStream::inflate(std::string& out, std::size_t room) {
  State& state = *state_;
  inflate_state& inflate = state.inflate;
  const std::size_t before = out.size();
  std::size_t used = 0;
  out.resize(before + room);
  bool dry = false;
  while (used < room && !dry) {
    if (state.between) {
      if (state.at == state.input.size()) {
        dry = true;
        break;
      }
      state.between = false;
      state.begin_member();
    }
    inflate.next_in = reinterpret_cast<unsigned char*>(state.input.data()) + state.at;
    inflate.avail_in = static_cast<std::uint32_t>(state.input.size() - state.at);
    inflate.next_out = reinterpret_cast<unsigned char*>(out.data()) + before + used;
    inflate.avail_out = static_cast<std::uint32_t>(room - used);
    const int code = isal_inflate(&inflate);
    used = room - inflate.avail_out;
    state.at = state.input.size() - inflate.avail_in;
    if (code != ISAL_DECOMP_OK) {
      out.resize(before);
      return base::fail(ErrorKind::Corrupt, "damaged gzip data, or a wrong checksum in it");
    }
    if (inflate.block_state == ISAL_BLOCK_FINISH) {
      state.end_member();
    } else if (inflate.avail_out > 0) {
      dry = true;
    }
  }
  out.resize(before + used);
  state.out += used;
  if (state.out > state.limits.bytes_max ||
      (state.out > state.limits.ratio_from && state.out / state.limits.ratio_max > state.in)) {
    out.resize(before);
    return base::fail(ErrorKind::TooLarge,
                      fmt::format("{} bytes of gzip data hold more than {} bytes: no export is packed like that",
                                  state.in, state.out));
  }
  return dry;
}

Result<> GunzipStream::finish() const {
  if (state_->between && state_->at == state_->input.size()) return {};
  return base::fail(ErrorKind::Corrupt, state_->any ? "gzip data that is cut off" : "not gzip data: it is empty");
}

std::uint64_t GunzipStream::bytes_out() const { return state_->out; }

}  // namespace moveout::backfill
