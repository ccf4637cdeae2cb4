// The gateway's own doors: listen, admin, timeouts.

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

#include "config/sections.h"

namespace entrepot::config {
namespace {

bool is_ip(const std::string& text) {
    in6_addr six{};
    in_addr four{};
    return inet_pton(AF_INET, text.c_str(), &four) == 1 ||
        inet_pton(AF_INET6, text.c_str(), &six) == 1;
}

bool is_ip_or_block(const std::string& text) {
    const auto slash = text.find('/');
    if (slash == std::string::npos) return is_ip(text);
    const std::string address = text.substr(0, slash);
    int bits = -1;
    const char* end = text.data() + text.size();
    const auto [stopped, failure] = std::from_chars(text.data() + slash + 1, end, bits);
    if (failure != std::errc() || stopped != end || bits < 0) return false;
    return is_ip(address) && bits <= (address.find(':') == std::string::npos ? 32 : 128);
}

// Splits `host:port`; a version 6 address stands in brackets.
void read_address(Reader& reader, const Node& node, ListenSettings& out) {
    const auto value = reader.text(node);
    if (!value) return;
    const auto colon = value->rfind(':');
    std::string host = colon == std::string::npos ? *value : value->substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    unsigned port = 65'536;
    if (colon != std::string::npos) {
        const char* end = value->data() + value->size();
        const auto [stopped, failure] = std::from_chars(value->data() + colon + 1, end, port);
        if (failure != std::errc() || stopped != end) port = 65'536;
    }
    if (!is_ip(host) || port > 65'535) {
        reader.error(node,
            fmt::format("'{}' is not an IP address and a port", excerpt(node.text, 60)),
            "write an address and a port such as 127.0.0.1:4100 or [::1]:4100");
        return;
    }
    out.address = std::move(host);
    out.port = static_cast<std::uint16_t>(port);
}

template <std::string TlsSettings::* Member>
void read_path(Reader& reader, const Node& node, TlsSettings& out) {
    if (auto value = reader.text(node)) out.*Member = std::move(*value);
}

constexpr Field<TlsSettings> kTlsFields[] = {
    {"cert", "path", "required", "Certificate chain, PEM.", read_path<&TlsSettings::cert_file>},
    {"key", "path", "required", "Private key, PEM.", read_path<&TlsSettings::key_file>},
    {"client_ca", "path", "no client certificates",
        "Authorities whose client certificates are demanded and accepted, PEM.",
        read_path<&TlsSettings::client_ca_file>},
};

void read_tls(Reader& reader, const Node& node, ListenSettings& out) {
    reader.section(tls_section(), node, out.tls.emplace());
}

void read_trusted_proxies(Reader& reader, const Node& node, ListenSettings& out) {
    reader.each_item(node, [&](const Node& item) {
        auto value = reader.text(item);
        if (!value) return;
        if (is_ip_or_block(*value)) {
            out.trusted_proxies.push_back(std::move(*value));
        } else {
            reader.error(item, fmt::format("'{}' is no address or block", excerpt(item.text, 60)),
                "write an IP address such as 10.0.0.7 or a block such as 10.0.0.0/8");
        }
    });
}

constexpr Field<ListenSettings> kListenFields[] = {
    {"address", "address:port", "required", "IP address and port; port 0 lets the system choose.",
        read_address},
    {"tls", "map: [tls](#tls)", "clear text", "Serve TLS with this certificate.", read_tls},
    {"trusted_proxies", "list of addresses or CIDR blocks", "none",
        "Proxies whose `x-forwarded-for` is believed.", read_trusted_proxies},
};

constexpr Field<ListenSettings> kAdminFields[] = {
    {"listen", "address:port, or a map: [listen](#listen)", "required",
        "Where the admin plane listens.", read_listen},
};

template <std::int64_t ClientTimeouts::* Member>
void read_ms(Reader& reader, const Node& node, ClientTimeouts& out) {
    if (const auto value = reader.integer(node, 1, 86'400'000)) out.*Member = *value;
}

constexpr Field<ClientTimeouts> kClientTimeoutFields[] = {
    {"header_ms", "integer, 1 to 86400000", "10000",
        "From the first byte of a request to the end of its head.",
        read_ms<&ClientTimeouts::header_ms>},
    {"body_ms", "integer, 1 to 86400000", "60000", "The whole body of a request.",
        read_ms<&ClientTimeouts::body_ms>},
    {"keep_alive_ms", "integer, 1 to 86400000", "75000", "A connection without a request.",
        read_ms<&ClientTimeouts::keep_alive_ms>},
    {"write_ms", "integer, 1 to 86400000", "60000", "One write that the client does not read.",
        read_ms<&ClientTimeouts::write_ms>},
    {"drain_ms", "integer, 1 to 86400000", "30000",
        "How long open exchanges may go on after SIGTERM.", read_ms<&ClientTimeouts::drain_ms>},
};

void read_http2_enabled(Reader& reader, const Node& node, ClientHttp2& out) {
    if (const auto value = reader.boolean(node)) out.is_enabled = *value;
}

template <std::int64_t ClientHttp2::* Member, std::int64_t kMost>
void read_http2_bound(Reader& reader, const Node& node, ClientHttp2& out) {
    if (const auto value = reader.integer(node, 1, kMost)) out.*Member = *value;
}

constexpr Field<ClientHttp2> kClientHttp2Fields[] = {
    {"enabled", "true or false", "true",
        "Off: TLS offers HTTP/1.1 alone, and prior knowledge is refused.", read_http2_enabled},
    {"streams_max", "integer, 1 to 10000", "128",
        "Requests of one connection at once. A client that has more waits, or opens another.",
        read_http2_bound<&ClientHttp2::streams_max, 10'000>},
    {"requests_max", "integer, 1 to 1000000000", "10000",
        "After so many the connection is retired at its next moment without a request, and after "
        "twice as many in any case: all its requests are served by one core, and the client's next "
        "connection may come to another.",
        read_http2_bound<&ClientHttp2::requests_max, 1'000'000'000>},
    {"age_ms", "integer, 1 to 86400000", "600000",
        "The same by its age, less up to an eighth by chance, so that connections of one moment "
        "are not retired in one.",
        read_http2_bound<&ClientHttp2::age_ms, 86'400'000>},
};

}  // namespace

void read_books_currency(Reader& reader, const Node& node, std::string_view what, Currency& out) {
    const auto value = reader.text(node);
    if (!value) return;
    const auto currency = Currency::parse(*value);
    if (!currency) {
        reader.error(node, fmt::format("'{}' is not a currency", excerpt(node.text, 40)),
            "write three capital letters such as USD");
    } else if (*currency != reader.currency()) {
        reader.error(node,
            fmt::format("the {} is in {}, the books are in {}", what, currency->code(),
                reader.currency().code()),
            fmt::format("write its amounts in {}: dated exchange rates (`fx`) are not read by this "
                        "build",
                reader.currency().code()));
    } else {
        out = *currency;
    }
}

const Section<TlsSettings>& tls_section() {
    static const Section<TlsSettings> section{"tls",
        "In `listen` and in `admin.listen`. Files are read at start: a new certificate needs a "
        "restart.",
        kTlsFields};
    return section;
}

const Section<ListenSettings>& listen_section() {
    static const Section<ListenSettings> section{"listen",
        "Either `address:port` alone, or this map. A change needs a restart.", kListenFields};
    return section;
}

const Section<ListenSettings>& admin_section() {
    static const Section<ListenSettings> section{
        "admin", "The admin plane has a listener of its own.", kAdminFields};
    return section;
}

const Section<ClientTimeouts>& client_timeouts_section() {
    static const Section<ClientTimeouts> section{"timeouts",
        "Bounds of the client's side, in milliseconds. Those of the suppliers' side stand at each "
        "cloud.",
        kClientTimeoutFields};
    return section;
}

const Section<ClientHttp2>& client_http2_section() {
    static const Section<ClientHttp2> section{"http2",
        "Bounds of each HTTP/2 connection of a client. Retired is who has been told GOAWAY: its "
        "requests under way are answered, its next ones go to a new connection.",
        kClientHttp2Fields};
    return section;
}

void read_listen(Reader& reader, const Node& node, ListenSettings& out) {
    if (node.is_scalar()) {
        read_address(reader, node, out);
    } else {
        reader.section(listen_section(), node, out);
    }
}

void read_admin(Reader& reader, const Node& node, ListenSettings& out) {
    reader.section(admin_section(), node, out);
}

void check_name(Reader& reader, const Node::Member& member) {
    const bool good = !member.key.empty() && member.key.size() <= 64 &&
        member.key.find_first_not_of(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
            std::string::npos;
    if (!good)
        reader.error(member.key_at, reader.path(),
            fmt::format("'{}' cannot be a name", excerpt(member.key)),
            "use letters, digits, '.', '_' and '-', at most 64");
}

}  // namespace entrepot::config
