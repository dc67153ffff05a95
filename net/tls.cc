#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>

namespace moveout::net {

using base::ErrorKind;
using base::fail;
using base::Result;

namespace {

// Big enough for several records a read, so that a page costs few system calls.
constexpr std::size_t read_ahead_bytes = std::size_t{128} << 10;

int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* slot = static_cast<TlsSessionSlot*>(SSL_get_app_data(ssl));
  if (slot == nullptr) return 0;
  slot->put(session);
  return 1;
}

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, BioDeleter>;

Bio open_text(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

}  // namespace

TlsSessionSlot::~TlsSessionSlot() {
  if (session_ != nullptr) SSL_SESSION_free(session_);
}

void TlsSessionSlot::put(SSL_SESSION* session) {
  if (session_ != nullptr) SSL_SESSION_free(session_);
  session_ = session;
}

void SslDeleter::operator()(SSL* ssl) const {
  // A connection freed without this marks its session as never to be resumed. After a fatal alert it is so already.
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl);
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

std::string take_tls_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "TLS error";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "TLS error " + std::to_string(code);
}

std::string verification_failure(const SSL* ssl) {
  const long result = SSL_get_verify_result(ssl);
  return result == X509_V_OK ? std::string() : X509_verify_cert_error_string(result);
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(const std::string& ca_file) {
  std::shared_ptr<TlsContext> out(new TlsContext());
  out->context_ = SSL_CTX_new(TLS_client_method());
  MOVEOUT_ASSERT(out->context_ != nullptr);
  SSL_CTX_set_min_proto_version(out->context_, TLS1_2_VERSION);
  SSL_CTX_set_verify(out->context_, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(out->context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(out->context_, 1);
  SSL_CTX_set_default_read_buffer_len(out->context_, read_ahead_bytes);
  SSL_CTX_set_session_cache_mode(out->context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(out->context_, keep_session);
  const int loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(out->context_)
                                     : SSL_CTX_load_verify_file(out->context_, ca_file.c_str());
  if (loaded != 1) {
    return fail(ErrorKind::Usage, "TLS: cannot read certificates from " +
                                      (ca_file.empty() ? "the system's store" : "\"" + ca_file + "\"") + ": " +
                                      take_tls_error());
  }
  return out;
}

Result<std::shared_ptr<TlsContext>> TlsContext::server(const std::string& certificate_pem, const std::string& key_pem) {
  std::shared_ptr<TlsContext> out(new TlsContext());
  out->context_ = SSL_CTX_new(TLS_server_method());
  MOVEOUT_ASSERT(out->context_ != nullptr);
  SSL_CTX_set_min_proto_version(out->context_, TLS1_2_VERSION);
  SSL_CTX_set_mode(out->context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(out->context_, SSL_SESS_CACHE_OFF);
  const Bio certificate_text = open_text(certificate_pem);
  const Bio key_text = open_text(key_pem);
  X509* certificate = PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr);
  const bool used = certificate != nullptr && key != nullptr &&
                    SSL_CTX_use_certificate(out->context_, certificate) == 1 &&
                    SSL_CTX_use_PrivateKey(out->context_, key) == 1;
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (!used) return fail(ErrorKind::Usage, "TLS: the server's certificate or key cannot be used: " + take_tls_error());
  return out;
}

Ssl TlsContext::open_client(const std::string& host, TlsSessionSlot& slot) const {
  Ssl ssl(SSL_new(context_));
  MOVEOUT_ASSERT(ssl != nullptr);
  boost::system::error_code not_address;
  boost::asio::ip::make_address(host, not_address);
  int named = 0;
  if (not_address) {
    named = SSL_set1_host(ssl.get(), host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl.get(), host.c_str()) == 1;
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  } else {
    named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str());
  }
  // Without a name to check, any valid certificate would do: never go on.
  MOVEOUT_ASSERT(named == 1);
  SSL_set_app_data(ssl.get(), &slot);
  if (slot.session() != nullptr) SSL_set_session(ssl.get(), slot.session());
  SSL_set_connect_state(ssl.get());
  return ssl;
}

Ssl TlsContext::open_server() const {
  Ssl ssl(SSL_new(context_));
  MOVEOUT_ASSERT(ssl != nullptr);
  SSL_set_accept_state(ssl.get());
  return ssl;
}

}  // namespace moveout::net
