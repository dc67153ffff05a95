#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>

#include "net/test_peers.h"

namespace moveout::net::testing {

namespace {

template <class T, void (*release)(T*)>
struct Release {
  void operator()(T* one) const { release(one); }
};
using Key = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Release<X509, X509_free>>;
using Bio = std::unique_ptr<BIO, Release<BIO, BIO_free_all>>;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

void add_extension(X509* certificate, X509* issuer, int name, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, name, value.c_str());
  MOVEOUT_ASSERT(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Identity make(const Identity* ca, const std::string& name, int days) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  MOVEOUT_ASSERT(key && certificate);
  static long serial = 1;
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -2 * 86400);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days * 86400L);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  Certificate issuer;
  Key issuer_key;
  if (ca != nullptr) {
    const Bio certificate_text(BIO_new_mem_buf(ca->certificate.data(), static_cast<int>(ca->certificate.size())));
    const Bio key_text(BIO_new_mem_buf(ca->key.data(), static_cast<int>(ca->key.size())));
    issuer.reset(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
    issuer_key.reset(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
    const bool address = name.find_first_not_of("0123456789.:") == std::string::npos;
    add_extension(certificate.get(), issuer.get(), NID_subject_alt_name, (address ? "IP:" : "DNS:") + name);
  } else {
    add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  }
  X509* const by = issuer ? issuer.get() : certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(by));
  MOVEOUT_ASSERT(X509_sign(certificate.get(), issuer_key ? issuer_key.get() : key.get(), EVP_sha256()) > 0);

  const Bio certificate_out(BIO_new(BIO_s_mem()));
  const Bio key_out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(certificate_out.get(), certificate.get());
  PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {text_of(certificate_out.get()), text_of(key_out.get())};
}

}  // namespace

Identity make_ca() { return make(nullptr, "moveout test CA", 1); }

Identity make_leaf(const Identity& ca, const std::string& name, int days) { return make(&ca, name, days); }

TemporaryFile::TemporaryFile(const std::string& content) : path_("/tmp/moveout-test-XXXXXX") {
  const int file = ::mkstemp(path_.data());
  MOVEOUT_ASSERT(file >= 0);
  MOVEOUT_ASSERT(::write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  ::close(file);
}

TemporaryFile::~TemporaryFile() { ::unlink(path_.c_str()); }

}  // namespace moveout::net::testing
