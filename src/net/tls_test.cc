#include "net/tls.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net/http2_script.h"
#include "net/http2_testing.h"
#include "net/http_client.h"
#include "net/http_client_testing.h"
#include "net/testing.h"

namespace entrepot::net {
namespace {

using testing::RawClient;
using testing::TestServer;

/// A self-signed certificate for `name` (and 127.0.0.1) in two files that go with the object.
class Certificate {
public:
    explicit Certificate(const std::string& name) {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "entrepot-tls-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        EVP_PKEY* key = EVP_EC_gen("P-256");
        X509* certificate = X509_new();
        X509_set_version(certificate, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
        X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
        X509_set_pubkey(certificate, key);
        X509_NAME* subject = X509_get_subject_name(certificate);
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
            reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
        X509_set_issuer_name(certificate, subject);
        const std::string names = "DNS:" + name + ",IP:127.0.0.1";
        for (const auto& [kind, value] : {std::pair<int, std::string>{NID_subject_alt_name, names},
                 {NID_basic_constraints, "critical,CA:TRUE"}}) {
            X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
            X509_add_ext(certificate, extension, -1);
            X509_EXTENSION_free(extension);
        }
        X509_sign(certificate, key, EVP_sha256());
        FILE* file = std::fopen(cert().c_str(), "w");
        PEM_write_X509(file, certificate);
        std::fclose(file);
        file = std::fopen(this->key().c_str(), "w");
        PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
    ~Certificate() { std::filesystem::remove_all(folder_); }
    [[nodiscard]] std::string cert() const { return folder_ + "/cert.pem"; }
    [[nodiscard]] std::string key() const { return folder_ + "/key.pem"; }

private:
    std::string folder_;
};

Co<void> echo(ServerRequest& request, ResponseWriter& response) {
    EXPECT_TRUE(request.secure);
    if (request.path == "/stream") {
        response.start(200, {});
        for (int i = 0; i < 100; ++i) {
            const Result<void> sent =
                co_await response.write(std::string(10'000, static_cast<char>('a' + i % 26)));
            EXPECT_TRUE(sent);
        }
        const Result<void> ended = co_await response.finish({});
        EXPECT_TRUE(ended);
        co_return;
    }
    const Result<void> sent = co_await response.send(200, {}, request.body);
    EXPECT_TRUE(sent);
}

struct Outcome {
    Result<std::string> body;
    bool reused = false;
};

Outcome fetch(
    const Origin& origin, std::string_view target, const std::string& body, int times = 1) {
    Core core;
    Outcome outcome;
    core.run_until_done([](Core& at, const Origin& to, std::string_view path,
                            const std::string& what, int count, Outcome& out) -> Co<void> {
        HttpClient client(at);
        Result<OriginPool*> pool = client.origin(to);
        if (!pool) {
            out.body = std::unexpected(pool.error());
            co_return;
        }
        for (int i = 0; i < count; ++i) {
            ClientRequest request;
            request.target = path;
            request.body = what;
            const ExchangeLimits limits;
            ExchangeReport report;
            Result<ClientExchange> exchange =
                co_await client.exchange(**pool, request, limits, &report);
            if (!exchange) {
                out.body = std::unexpected(exchange.error());
                co_return;
            }
            out.body = co_await exchange->read_whole_body(10'000'000);
            out.reused = report.reused;
        }
    }(core, origin, target, body, times, outcome));
    return outcome;
}

struct Secured {
    Certificate certificate{"gateway.test"};
    Result<TlsServerContext> context =
        TlsServerContext::make({certificate.cert(), certificate.key(), {}});
    TestServer server{echo, {}, &*context};
    Origin origin;
    Secured() {
        origin.secure = true;
        origin.host = "127.0.0.1";
        origin.port = server.port();
        origin.ca_file = certificate.cert();
    }
};

TEST(Tls, CarriesRequestsBothWaysOverOneKeptConnection) {
    Secured secured;
    const std::string big(1'000'000, 'x');
    for (const std::string& body : {std::string(), std::string("small"), big}) {
        const Outcome outcome = fetch(secured.origin, "/", body, 3);
        ASSERT_TRUE(outcome.body) << outcome.body.error().message << outcome.body.error().cause;
        EXPECT_EQ(*outcome.body, body);
        EXPECT_TRUE(outcome.reused);
    }
    const Outcome stream = fetch(secured.origin, "/stream", {}, 2);
    ASSERT_TRUE(stream.body);
    EXPECT_EQ(stream.body->size(), 1'000'000U);
    EXPECT_TRUE(stream.reused);
}

TEST(Tls, RefusesACertificateThatNobodyTrusts) {
    Secured secured;
    const Certificate other("gateway.test");
    for (const std::string& ca : {std::string(), other.cert()}) {
        Origin origin = secured.origin;
        origin.ca_file = ca;
        const Outcome outcome = fetch(origin, "/", "x");
        ASSERT_FALSE(outcome.body);
        EXPECT_EQ(outcome.body.error().code, ErrorCode::kUpstreamUnreachable);
        EXPECT_NE(outcome.body.error().message.find("certificate"), std::string::npos)
            << outcome.body.error().message;
    }
}

TEST(Tls, RefusesACertificateOfAnotherName) {
    Secured secured;
    Origin origin = secured.origin;
    origin.host = "localhost";  // the certificate is for gateway.test and 127.0.0.1
    const Outcome outcome = fetch(origin, "/", "x");
    ASSERT_FALSE(outcome.body);
    EXPECT_EQ(outcome.body.error().code, ErrorCode::kUpstreamUnreachable);
}

TEST(Tls, ClearTextAndHalfAHandshakeEndTheConnectionAlone) {
    Secured secured;
    RawClient clear(secured.server.port());
    clear.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)clear.read_to_end();
    RawClient half(secured.server.port());
    half.send("\x16\x03\x01");
    half.close();
    const Outcome outcome = fetch(secured.origin, "/", "still here");
    ASSERT_TRUE(outcome.body);
    EXPECT_EQ(*outcome.body, "still here");
}

TEST(Tls, AListenerCanAskForAClientCertificate) {
    const Certificate certificate("gateway.test");
    Result<TlsServerContext> context =
        TlsServerContext::make({certificate.cert(), certificate.key(), certificate.cert()});
    ASSERT_TRUE(context);
    TestServer server(echo, {}, &*context);
    Origin origin;
    origin.secure = true;
    origin.host = "127.0.0.1";
    origin.port = server.port();
    origin.ca_file = certificate.cert();
    EXPECT_FALSE(fetch(origin, "/", "x").body);
}

/// A blocking TLS client that offers `alpn` (each name with its length before it; empty: none).
class TlsClient {
public:
    TlsClient(std::uint16_t port, std::string_view alpn)
        : context_(SSL_CTX_new(TLS_client_method())),
          ssl_(SSL_new(context_)),
          socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        const timeval limit{5, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to);
        if (!alpn.empty())
            SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(alpn.data()),
                static_cast<unsigned>(alpn.size()));
        SSL_set_fd(ssl_, socket_);
        is_connected_ = SSL_connect(ssl_) == 1;
    }
    ~TlsClient() {
        SSL_free(ssl_);
        SSL_CTX_free(context_);
        ::close(socket_);
    }
    TlsClient(const TlsClient&) = delete;
    TlsClient& operator=(const TlsClient&) = delete;
    [[nodiscard]] bool is_connected() const { return is_connected_; }
    [[nodiscard]] SSL* ssl() const { return ssl_; }
    [[nodiscard]] std::string protocol() const {
        const unsigned char* name = nullptr;
        unsigned int bytes = 0;
        SSL_get0_alpn_selected(ssl_, &name, &bytes);
        return {reinterpret_cast<const char*>(name), bytes};
    }
    std::string ask(std::string_view text) {
        SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
        std::string got(65536, 0);
        const int bytes = SSL_read(ssl_, got.data(), static_cast<int>(got.size()));
        got.resize(static_cast<std::size_t>(std::max(bytes, 0)));
        return got;
    }

private:
    SSL_CTX* context_;
    SSL* ssl_;
    int socket_;
    bool is_connected_ = false;
};

TEST(Tls, SpeaksHttp2WhereTheClientOffersItAndHttp1WhereItDoesNot) {
    Secured secured;
    for (const std::string_view alpn : {"\x02h2", "\x08http/1.1\x02h2", "\x02h2\x08http/1.1"}) {
        TlsClient client(secured.server.port(), alpn);
        ASSERT_TRUE(client.is_connected());
        EXPECT_EQ(client.protocol(), "h2");
        testing::Http2Client http2(client.ssl());
        testing::Http2Request request;
        request.body = std::string(300'000, 'x');
        EXPECT_TRUE(http2.fetch(request).body == request.body);
        request.path = "/stream";
        request.body.clear();
        EXPECT_EQ(http2.fetch(request).body.size(), 1'000'000U);
    }
    for (const std::string_view alpn : {"\x08http/1.1", "\x08http/1.0\x08http/1.1", ""}) {
        TlsClient client(secured.server.port(), alpn);
        ASSERT_TRUE(client.is_connected());
        EXPECT_EQ(client.protocol(), alpn.empty() ? "" : "http/1.1");
        EXPECT_TRUE(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 200"));
    }
    TlsClient unknown(secured.server.port(),
        "\x03"
        "foo");
    EXPECT_FALSE(unknown.is_connected());
    TlsClient liar(secured.server.port(), "\x02h2");
    EXPECT_EQ(liar.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").find("HTTP/1.1"), std::string::npos);
}

TEST(Tls, AClientTakesTheVersionThatTheServerPrefersOrInsistsOnOne) {
    for (const bool offers : {true, false}) {
        const Certificate certificate("gateway.test");
        Result<TlsServerContext> context =
            TlsServerContext::make({certificate.cert(), certificate.key(), {}, offers});
        ASSERT_TRUE(context);
        TestServer server(echo, {}, &*context);
        for (const HttpVersion version : {HttpVersion::kAuto, HttpVersion::k1, HttpVersion::k2}) {
            Origin origin{true, "127.0.0.1", server.port(), certificate.cert(), {}};
            origin.http = version;
            const Outcome large = fetch(origin, "/stream", {}, 2);
            if (version == HttpVersion::k2 && !offers) {
                ASSERT_FALSE(large.body);
                EXPECT_EQ(large.body.error().code, ErrorCode::kUpstreamUnreachable);
                continue;
            }
            ASSERT_TRUE(large.body) << large.body.error().message;
            EXPECT_EQ(large.body->size(), 1'000'000U);
            EXPECT_TRUE(large.reused);
            const std::string body(400'000, 'x');
            EXPECT_TRUE(fetch(origin, "/p", body).body.value_or("") == body);
        }
    }
}

TEST(Tls, AServerThatRequiresHttp1AfterAllGetsIt) {
    const Certificate certificate("gateway.test");
    Result<TlsServerContext> context =
        TlsServerContext::make({certificate.cert(), certificate.key(), {}});
    ASSERT_TRUE(context);
    testing::Http2Script server(
        [](testing::Http2Peer& peer, int number) {
            if (number == 0) {
                peer.greet();
                peer.write(testing::http2_reset(peer.request(), NGHTTP2_HTTP_1_1_REQUIRED));
                EXPECT_TRUE(peer.ends());
                return;
            }
            EXPECT_TRUE(peer.some().starts_with("POST /p HTTP/1.1\r\n"));
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold");
        },
        &*context);
    Origin origin{true, "127.0.0.1", server.port(), certificate.cert(), {}};
    origin.http = HttpVersion::kAuto;
    EXPECT_EQ(fetch(origin, "/p", "{}").body.value_or("failed"), "old");
    EXPECT_EQ(server.connections(), 2);
}

// One of a burst is told first; the others must follow it, and so must a handshake that was under
// way.
TEST(Tls, ABurstAtAServerThatRequiresHttp1IsAnsweredWhole) {
    constexpr int kBurst = 6;
    constexpr int kStreams = 3;
    const Certificate certificate("gateway.test");
    Result<TlsServerContext> context =
        TlsServerContext::make({certificate.cert(), certificate.key(), {}});
    ASSERT_TRUE(context);
    std::atomic<int> handshakes{0};
    // The second lasts until somebody who was refused begins a third.
    const auto dawdle = [](SSL*, void* argument) {
        auto& count = *static_cast<std::atomic<int>*>(argument);
        if (count.fetch_add(1) != 1) return 1;
        for (int i = 0; i < 2000 && count < 3; ++i) ::usleep(1000);
        return 1;
    };
    SSL_CTX_set_cert_cb(context->native(), dawdle, &handshakes);
    std::atomic<int> by_http2{0};
    testing::Http2Script server(
        [&](testing::Http2Peer& peer, int) {
            if (peer.protocol() != "h2") {
                (void)peer.some();
                peer.write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nold");
                return;
            }
            peer.greet();
            while (const std::uint32_t stream = peer.next(NGHTTP2_HEADERS).stream) {
                by_http2.fetch_add(1);
                peer.write(testing::http2_reset(stream, NGHTTP2_HTTP_1_1_REQUIRED));
            }
        },
        &*context);
    Origin origin{true, "127.0.0.1", server.port(), certificate.cert(), {}};
    origin.http = HttpVersion::kAuto;
    std::vector<testing::Answer> answers;
    ClientOptions options;
    options.http2.streams_max = kStreams;  // so that the burst takes two handshakes
    const auto burst = [&](Core& core, HttpClient& client) -> Co<void> {
        Result<OriginPool*> pool = client.origin(origin);
        EXPECT_TRUE(pool);
        Scope scope(core);
        testing::ask_at_once(client, **pool, scope, kBurst, answers);
        co_await scope.join();
        testing::Answer later = co_await testing::fetch(client, **pool, testing::post("{}"), {});
        EXPECT_EQ(later.body, "old");
        EXPECT_FALSE(later.report.retried_stale);
    };
    testing::with_client(burst, options);
    for (const testing::Answer& answer : answers)
        EXPECT_EQ(answer.body, "old") << (answer.result ? "" : answer.result.error().message);
    EXPECT_EQ(by_http2, kStreams);
}

TEST(Tls, OffersNoHttp2WhereItIsTurnedOff) {
    const Certificate certificate("gateway.test");
    Result<TlsServerContext> context =
        TlsServerContext::make({certificate.cert(), certificate.key(), {}, false});
    ASSERT_TRUE(context);
    TestServer server(echo, {}, &*context);
    TlsClient both(server.port(), "\x02h2\x08http/1.1");
    EXPECT_EQ(both.protocol(), "http/1.1");
    TlsClient only(server.port(), "\x02h2");
    EXPECT_FALSE(only.is_connected());
}

TEST(Tls, NamesTheFileItCannotUse) {
    const Certificate certificate("a.test");
    const Certificate other("b.test");
    const auto missing = TlsServerContext::make({"/nowhere/cert.pem", certificate.key(), {}});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::kBadConfiguration);
    EXPECT_NE(missing.error().message.find("/nowhere/cert.pem"), std::string::npos);
    EXPECT_FALSE(TlsServerContext::make({certificate.cert(), other.key(), {}}));
    EXPECT_FALSE(TlsClientContext::make({"/nowhere/ca.pem"}));
}

}  // namespace
}  // namespace entrepot::net
