#include "backfill/export/gunzip_stream.h"

#include <fmt/format.h>

#include "backfill/unpacking.h"

namespace moveout::backfill {

using base::ErrorKind;
using base::Result;

struct GunzipStream::State {
  GunzipLimits limits;
  std::unique_ptr<Unpacking> gzip = Unpacking::gzip();
  std::string input;
  std::string_view left;  // of input, unread
  std::uint64_t in = 0, out = 0;
};

GunzipStream::GunzipStream(GunzipLimits limits) : state_(std::make_unique<State>()) { state_->limits = limits; }
GunzipStream::~GunzipStream() = default;

void GunzipStream::feed(std::string_view bytes) {
  State& state = *state_;
  MOVEOUT_ASSERT(state.left.empty());
  state.input.assign(bytes);
  state.left = state.input;
  state.in += bytes.size();
}

Result<bool> GunzipStream::inflate(std::string& out, std::size_t room) {
  State& state = *state_;
  const std::size_t before = out.size();
  if (!state.gzip->unpack(state.left, out, room)) {
    out.resize(before);
    return base::fail(ErrorKind::Corrupt, "damaged gzip data, or a wrong checksum in it");
  }
  const std::size_t more = out.size() - before;
  state.out += more;
  if (state.out > state.limits.bytes_max ||
      (state.out > state.limits.ratio_from && state.out / state.limits.ratio_max > state.in)) {
    out.resize(before);
    return base::fail(ErrorKind::TooLarge,
                      fmt::format("{} bytes of gzip data hold more than {} bytes: no export is packed like that",
                                  state.in, state.out));
  }
  return more < room;
}

Result<> GunzipStream::finish() const {
  if (state_->in > 0 && state_->left.empty() && state_->gzip->whole()) return {};
  return base::fail(ErrorKind::Corrupt, state_->in > 0 ? "gzip data that is cut off" : "not gzip data: it is empty");
}

std::uint64_t GunzipStream::bytes_out() const { return state_->out; }

}  // namespace moveout::backfill
