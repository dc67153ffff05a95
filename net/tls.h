// TLS settings and sessions, over OpenSSL. The sessions' bytes travel through net/stream.h.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;

namespace moveout::net {

// The last session a server gave, for a shorter handshake next time. Lives as long as the connections that name it.
class TlsSessionSlot {
 public:
  TlsSessionSlot() = default;
  TlsSessionSlot(const TlsSessionSlot&) = delete;
  TlsSessionSlot& operator=(const TlsSessionSlot&) = delete;
  ~TlsSessionSlot();
  // Takes the reference over.
  void put(ssl_session_st* session);
  ssl_session_st* session() const { return session_; }

 private:
  ssl_session_st* session_ = nullptr;
};

struct SslDeleter {
  void operator()(ssl_st* ssl) const;
};
using Ssl = std::unique_ptr<ssl_st, SslDeleter>;

class TlsContext {
 public:
  // TLS 1.2 or later, the peer's chain always verified against `ca_file` (PEM), or against the system's CAs when it is
  // empty. Usage error when the file cannot be read as certificates.
  static base::Result<std::shared_ptr<TlsContext>> client(const std::string& ca_file);
  // A server's, from PEM text.
  static base::Result<std::shared_ptr<TlsContext>> server(const std::string& certificate_pem,
                                                          const std::string& key_pem);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  // A client's session: `host` is checked against the certificate and, unless an address, sent as SNI.
  Ssl open_client(const std::string& host, TlsSessionSlot& slot) const;
  Ssl open_server() const;

 private:
  TlsContext() = default;
  ssl_ctx_st* context_ = nullptr;
};

// Why verification failed, for the person who reads it; empty when it did not.
std::string verification_failure(const ssl_st* ssl);
// The oldest error OpenSSL has queued for this thread, and clears the queue.
std::string take_tls_error();

}  // namespace moveout::net
