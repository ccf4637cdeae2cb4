#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "net/http_server.h"

namespace entrepot::net {

namespace {

Result<int> open_listener(const std::string& host, std::uint16_t& port) {
    sockaddr_storage storage{};
    socklen_t size = 0;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        size = sizeof *v4;
    } else if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        size = sizeof *v6;
    } else {
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("'{}' is not an address to listen on; give an IPv4 or IPv6 address", host));
    }
    const int descriptor =
        ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    if (descriptor >= 0) {
        ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    }
    if (descriptor < 0 || ::bind(descriptor, reinterpret_cast<sockaddr*>(&storage), size) != 0 ||
        ::listen(descriptor, 4096) != 0) {
        const int error = errno;
        if (descriptor >= 0) ::close(descriptor);
        return fail(ErrorCode::kIo,
            fmt::format("cannot listen on {} port {}: {}", host, port, std::strerror(error)));
    }
    size = sizeof storage;
    ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &size);
    port = ntohs(storage.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
    return descriptor;
}

}  // namespace

Result<Listener> Listener::bind(std::string_view address) {
    const std::size_t colon = address.rfind(':');
    const auto bad = [&] {
        return fail(ErrorCode::kBadConfiguration,
            fmt::format(
                "'{}' is not an address and port such as 127.0.0.1:4100 or [::1]:4100", address));
    };
    if (colon == std::string_view::npos) return bad();
    std::string_view host = address.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    const std::string_view digits = address.substr(colon + 1);
    Listener made;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), made.port_);
    if (error != std::errc() || end != digits.data() + digits.size()) return bad();
    made.host_ = std::string(host);

    // A port that was asked for by number must be ours alone: with SO_REUSEPORT a second gateway of
    // the same user would silently share it. A probe without that option tells.
    if (made.port_ != 0) {
        const int probe = ::socket(host.find(':') == std::string_view::npos ? AF_INET : AF_INET6,
            SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in v4{};
        sockaddr_in6 v6{};
        const int one = 1;
        ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        int bound = 0;
        if (::inet_pton(AF_INET, made.host_.c_str(), &v4.sin_addr) == 1) {
            v4.sin_family = AF_INET;
            v4.sin_port = htons(made.port_);
            bound = ::bind(probe, reinterpret_cast<sockaddr*>(&v4), sizeof v4);
        } else if (::inet_pton(AF_INET6, made.host_.c_str(), &v6.sin6_addr) == 1) {
            v6.sin6_family = AF_INET6;
            v6.sin6_port = htons(made.port_);
            bound = ::bind(probe, reinterpret_cast<sockaddr*>(&v6), sizeof v6);
        }
        const int why = errno;
        ::close(probe);
        if (bound != 0)
            return fail(ErrorCode::kIo,
                fmt::format("cannot listen on {}: {}; choose another address or port", address,
                    std::strerror(why)));
    }
    Result<int> opened = open_listener(made.host_, made.port_);
    if (!opened) return std::unexpected(std::move(opened).error());
    made.descriptor_ = *opened;
    return made;
}

Result<Listener> Listener::bind_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(ErrorCode::kIo,
            fmt::format("the path of the socket '{}' is longer than {} bytes; choose a shorter "
                        "data folder",
                path, sizeof address.sun_path - 1));
    std::memcpy(address.sun_path, path.data(), path.size());
    Listener made;
    made.host_ = path;
    made.descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ::unlink(path.c_str());
    // The mode is that of the descriptor before bind: nobody else can connect, not even for a
    // moment.
    if (made.descriptor_ < 0 || ::fchmod(made.descriptor_, 0600) != 0 ||
        ::bind(made.descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::chmod(path.c_str(), 0600) != 0 || ::listen(made.descriptor_, 128) != 0)
        return fail(
            ErrorCode::kIo, fmt::format("cannot listen on '{}': {}", path, std::strerror(errno)));
    return made;
}

Result<Listener> Listener::again() const {
    Listener made;
    made.host_ = host_;
    made.port_ = port_;
    Result<int> opened = open_listener(made.host_, made.port_);
    if (!opened) return std::unexpected(std::move(opened).error());
    made.descriptor_ = *opened;
    return made;
}

Listener::Listener(Listener&& other) noexcept
    : host_(std::move(other.host_)),
      port_(other.port_),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

Listener& Listener::operator=(Listener&& other) noexcept {
    if (this != &other) {
        close();
        host_ = std::move(other.host_);
        port_ = other.port_;
        descriptor_ = std::exchange(other.descriptor_, -1);
    }
    return *this;
}

Listener::~Listener() { close(); }

void Listener::close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
}

}  // namespace entrepot::net
