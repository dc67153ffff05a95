#include "backfill/unpacking.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;

class Gzip final : public Unpacking {
 public:
  Gzip() : state_(std::make_unique<inflate_state>()) {}

  Result<> unpack(std::string_view& packed, std::string& out, std::size_t room) override {
    const std::size_t before = out.size();
    out.resize(before + room);
    std::size_t filled = 0;
    Result<> result;
    while (result && filled < room) {
      if (!inside_) {
        if (packed.empty()) break;
        isal_inflate_init(state_.get());
        state_->crc_flag = ISAL_GZIP;
        inside_ = true;
      }
      const std::size_t take = std::min<std::size_t>(packed.size(), std::numeric_limits<std::uint32_t>::max() / 2);
      state_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(packed.data()));
      state_->avail_in = static_cast<std::uint32_t>(take);
      state_->next_out = reinterpret_cast<std::uint8_t*>(out.data() + before + filled);
      state_->avail_out = static_cast<std::uint32_t>(room - filled);
      const int code = isal_inflate(state_.get());
      packed.remove_prefix(take - state_->avail_in);
      const std::size_t got = room - filled - state_->avail_out;
      filled += got;
      if (code == ISAL_INCORRECT_CHECKSUM) {
        result = base::fail(ErrorKind::Corrupt, "gzip: the checksum is not that of the content");
      } else if (code < 0) {
        result = base::fail(ErrorKind::Corrupt, "gzip: damaged, or no gzip at all");
      } else if (state_->block_state == ISAL_BLOCK_FINISH) {
        inside_ = false;
      } else if (packed.empty() && got == 0) {
        break;
      }
    }
    out.resize(before + filled);
    return result;
  }
  bool whole() const override { return !inside_; }

 private:
  std::unique_ptr<inflate_state> state_;
  bool inside_ = false;  // a member has begun
};

class Zstd final : public Unpacking {
 public:
  Zstd() : context_(ZSTD_createDCtx()) { MOVEOUT_ASSERT(context_ != nullptr); }

  Result<> unpack(std::string_view& packed, std::string& out, std::size_t room) override {
    const std::size_t before = out.size();
    out.resize(before + room);
    ZSTD_outBuffer to{out.data() + before, room, 0};
    Result<> result;
    while (result && to.pos < to.size) {
      ZSTD_inBuffer from{packed.data(), packed.size(), 0};
      const std::size_t filled = to.pos;
      const std::size_t left = ZSTD_decompressStream(context_.get(), &to, &from);
      packed.remove_prefix(from.pos);
      if (ZSTD_isError(left)) {
        result = base::fail(ErrorKind::Corrupt, std::string("zstd: ") + ZSTD_getErrorName(left));
      } else {
        whole_ = left == 0;
        if (packed.empty() && (to.pos == filled || whole_)) break;
      }
    }
    out.resize(before + to.pos);
    return result;
  }
  bool whole() const override { return whole_; }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  bool whole_ = true;
};

}  // namespace

std::unique_ptr<Unpacking> Unpacking::gzip() { return std::make_unique<Gzip>(); }

std::unique_ptr<Unpacking> Unpacking::of(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1F\x8B")) return gzip();
  if (first_bytes.starts_with("\x28\xB5\x2F\xFD")) return std::make_unique<Zstd>();
  return nullptr;
}

}  // namespace moveout::backfill
