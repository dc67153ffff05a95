#include "backfill/export/md5.h"

#include <openssl/evp.h>

#include <array>

#include "item/json.h"

namespace moveout::backfill {

struct Md5::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Md5::Md5() : state_(std::make_unique<State>()) {
  MOVEOUT_ASSERT(state_->context != nullptr && EVP_DigestInit_ex(state_->context, EVP_md5(), nullptr) == 1);
}
Md5::~Md5() = default;

void Md5::add(std::string_view bytes) {
  MOVEOUT_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string Md5::done() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  MOVEOUT_ASSERT(EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1 && size == 16);
  return item::encode_base64({reinterpret_cast<const char*>(digest.data()), size});
}

std::string md5_of(std::string_view bytes) {
  Md5 md5;
  md5.add(bytes);
  return md5.done();
}

bool is_md5(std::string_view text) {
  const auto bytes = item::decode_base64(text);
  return text.size() == 24 && bytes && bytes->size() == 16;
}

}  // namespace moveout::backfill
