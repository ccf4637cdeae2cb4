#include "net/tls.h"

#include <algorithm>
#include <csignal>
#include <string_view>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <fmt/format.h>

namespace entrepot::net {

namespace {

constexpr std::string_view kHttp2 = "h2";
constexpr std::string_view kHttp11 = "http/1.1";
int speaks_http2 = 1;  // only its address counts

std::string last_reason() {
    const unsigned long code = ERR_peek_last_error();
    const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
    ERR_clear_error();
    return text != nullptr ? text : "unreadable";
}

// OpenSSL writes to sockets with write(2), which raises SIGPIPE on a broken connection.
void ignore_sigpipe() { std::signal(SIGPIPE, SIG_IGN); }

void set_common(SSL_CTX* context) {
    ignore_sigpipe();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context,
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
            SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(context, 1);
}

/// Whether `name` is in ALPN's list `offered`: names with a byte of length before each.
bool offers(std::string_view offered, std::string_view name) {
    while (!offered.empty()) {
        const auto bytes = static_cast<unsigned char>(offered[0]);
        if (offered.substr(1, bytes) == name) return true;
        offered.remove_prefix(std::min<std::size_t>(1U + bytes, offered.size()));
    }
    return false;
}

/// `argument`: null where HTTP/2 is not spoken.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_bytes,
    const unsigned char* in, unsigned int in_bytes, void* argument) {
    const std::string_view offered(reinterpret_cast<const char*>(in), in_bytes);
    std::string_view chosen;
    if (argument != nullptr && offers(offered, kHttp2))
        chosen = kHttp2;
    else if (offers(offered, kHttp11))
        chosen = kHttp11;
    else
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = reinterpret_cast<const unsigned char*>(chosen.data());
    *out_bytes = static_cast<unsigned char>(chosen.size());
    return SSL_TLSEXT_ERR_OK;
}

Status present(SSL_CTX* context, const std::string& cert_file, const std::string& key_file) {
    if (SSL_CTX_use_certificate_chain_file(context, cert_file.c_str()) != 1)
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("cannot use the certificate '{}': {}", cert_file, last_reason()));
    // A key behind a passphrase must not make OpenSSL ask for it on the terminal.
    SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return 0; });
    // Of one algorithm the two are compared when the key is read, of two only when asked.
    const bool is_read =
        SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) == 1;
    const bool is_strange = is_read
        ? SSL_CTX_check_private_key(context) != 1
        : ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
    if (is_strange) {
        ERR_clear_error();
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("the private key '{}' does not belong to '{}'", key_file, cert_file));
    }
    if (!is_read)
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("cannot use the private key '{}': {}", key_file, last_reason()));
    return {};
}

}  // namespace

void TlsContextDeleter::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

Result<TlsServerContext> TlsServerContext::make(const Options& options) {
    TlsServerContext made;
    made.context_.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* context = made.context_.get();
    if (context == nullptr) return fail(ErrorCode::kInternal, "no TLS context");
    set_common(context);
    ENTREPOT_TRY_DO(present(context, options.cert_file, options.key_file));
    if (!options.client_ca_file.empty()) {
        if (SSL_CTX_load_verify_locations(context, options.client_ca_file.c_str(), nullptr) != 1)
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("cannot use the client authorities '{}': {}", options.client_ca_file,
                    last_reason()));
        SSL_CTX_set_client_CA_list(
            context, SSL_load_client_CA_file(options.client_ca_file.c_str()));
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        // Without one, resuming a session of a client that presented a certificate fails.
        static constexpr std::string_view kSessions = "entrepot";
        SSL_CTX_set_session_id_context(context,
            reinterpret_cast<const unsigned char*>(kSessions.data()),
            static_cast<unsigned>(kSessions.size()));
    }
    SSL_CTX_set_alpn_select_cb(context, select_protocol, options.http2 ? &speaks_http2 : nullptr);
    return made;
}

Result<TlsClientContext> TlsClientContext::make(const Options& options) {
    TlsClientContext made;
    made.context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* context = made.context_.get();
    if (context == nullptr) return fail(ErrorCode::kInternal, "no TLS context");
    set_common(context);
    if (options.ca_file.empty()) {
        SSL_CTX_set_default_verify_paths(context);
    } else if (SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1) {
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("cannot use the authorities '{}': {}", options.ca_file, last_reason()));
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (!options.client_cert_file.empty())
        ENTREPOT_TRY_DO(present(context, options.client_cert_file, options.client_key_file));
    return made;
}

}  // namespace entrepot::net
