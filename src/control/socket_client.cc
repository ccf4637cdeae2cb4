#include "control/socket_client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace entrepot::control {
namespace {

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int number() const { return number_; }

private:
    int number_;
};

// `HTTP/1.1 200 OK`, header lines, an empty line, the body up to the end of the connection.
Result<SocketAnswer> parse_answer(std::string text) {
    SocketAnswer answer;
    const auto end = text.find("\r\n\r\n");
    if (end == std::string::npos || !text.starts_with("HTTP/1.1 ") ||
        std::from_chars(text.data() + 9, text.data() + end, answer.status).ec != std::errc())
        return fail(ErrorCode::kUpstreamProtocol,
            "the gateway hung up before it had answered; look at its log");
    answer.body = text.substr(end + 4);
    return answer;
}

}  // namespace

Result<std::optional<SocketAnswer>> ask_running_gateway(const std::filesystem::path& data,
    std::string_view method, std::string_view target, std::string_view body) {
    const std::string path = (data / "control.sock").string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return std::nullopt;  // none can listen there either
    std::memcpy(address.sun_path, path.data(), path.size());
    const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{60, 0};
    ::setsockopt(socket.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket.number(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (::connect(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR) return std::nullopt;
        return fail(ErrorCode::kIo,
            fmt::format("cannot reach the gateway at '{}': {}; run this as the user it runs as",
                path, std::strerror(errno)));
    }
    const std::string request = fmt::format(
        "{} {} HTTP/1.1\r\nhost: entrepot\r\nconnection: close\r\ncontent-type: "
        "application/json\r\n"
        "content-length: {}\r\n\r\n{}",
        method, target, body.size(), body);
    std::string_view left = request;
    while (!left.empty()) {
        const auto sent = ::send(socket.number(), left.data(), left.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0)
            return fail(ErrorCode::kIo,
                fmt::format("the gateway at '{}' hung up: {}", path, std::strerror(errno)));
        left.remove_prefix(static_cast<std::size_t>(sent));
    }
    std::string text;
    char part[16 * 1024];
    for (;;) {
        const auto got = ::recv(socket.number(), part, sizeof part, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return fail(ErrorCode::kIo,
                fmt::format("the gateway at '{}' did not answer: {}", path, std::strerror(errno)));
        if (got == 0) break;
        text.append(part, static_cast<std::size_t>(got));
    }
    ENTREPOT_TRY(SocketAnswer answer, parse_answer(std::move(text)));
    return std::optional(std::move(answer));
}

}  // namespace entrepot::control
