#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

typedef struct ssl_ctx_st SSL_CTX;

namespace entrepot::net {

struct TlsContextDeleter {
    void operator()(SSL_CTX* context) const;
};

/// What a TLS listener presents. TLS 1.2 and later.
class TlsServerContext {
public:
    struct Options {
        std::string cert_file;       ///< PEM chain
        std::string key_file;        ///< PEM
        std::string client_ca_file;  ///< when set, clients must present a certificate it signed
        bool http2 = true;           ///< preferred to HTTP/1.1, where the client offers both
    };
    /// Errors: kBadConfiguration, naming the file.
    [[nodiscard]] static Result<TlsServerContext> make(const Options& options);
    [[nodiscard]] SSL_CTX* native() const { return context_.get(); }

private:
    std::unique_ptr<SSL_CTX, TlsContextDeleter> context_;
};

/// What a client offers by ALPN, HTTP/2 first; one at least.
struct TlsOffer {
    bool http1 = true;
    bool http2 = false;
};

/// What we trust upstream. TLS 1.2 and later; the name is always verified.
class TlsClientContext {
public:
    struct Options {
        std::string ca_file;           ///< PEM bundle instead of the system's
        std::string client_cert_file;  ///< PEM chain that is presented to who asks; empty: none
        std::string client_key_file;   ///< PEM
    };
    /// Errors: kBadConfiguration, naming the file.
    [[nodiscard]] static Result<TlsClientContext> make(const Options& options);
    [[nodiscard]] SSL_CTX* native() const { return context_.get(); }

private:
    std::unique_ptr<SSL_CTX, TlsContextDeleter> context_;
};

}  // namespace entrepot::net
