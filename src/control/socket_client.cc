#include "control/socket_client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/text.h"

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

/// Reads one answer of our own server as its bytes come: a head, then a body by its length, in
/// chunks, or up to the end of the connection.
class AnswerReader {
public:
    explicit AnswerReader(const BodySink& sink) : sink_(sink) {}

    Status feed(std::string_view bytes) {
        if (framing_ == Framing::kHead) {
            text_ += bytes;
            const auto end = text_.find("\r\n\r\n");
            if (end == std::string::npos)
                return text_.size() > kHeadBytesMax ? broken("its head does not end") : Status();
            ENTREPOT_TRY_DO(read_head(std::string_view(text_).substr(0, end + 2)));
            const std::string rest = text_.substr(end + 4);
            text_.clear();
            return body(rest);
        }
        return body(bytes);
    }
    Result<SocketAnswer> finish() {
        if (framing_ == Framing::kHead) return broken("it hung up before it had answered");
        if (framing_ == Framing::kChunks ? !is_last_seen_
                                         : framing_ == Framing::kLength && left_ > 0)
            return broken("it broke off in the midst of the answer");
        return std::move(answer_);
    }

private:
    enum class Framing : std::uint8_t { kHead, kLength, kChunks, kToEnd };
    static constexpr std::size_t kHeadBytesMax = 64 * 1024;
    static constexpr std::size_t kSizeLineMax = 20;

    static std::unexpected<Error> broken(std::string_view how) {
        return fail(ErrorCode::kUpstreamProtocol,
            fmt::format("the gateway did not answer as it should: {}; look at its log", how));
    }

    Status read_head(std::string_view head) {
        if (!head.starts_with("HTTP/1.1 ") ||
            std::from_chars(head.data() + 9, head.data() + head.size(), answer_.status).ec !=
                std::errc())
            return broken("no status line");
        framing_ = Framing::kToEnd;
        for (const std::string_view line : split(head, '\n')) {
            const auto colon = line.find(':');
            if (colon == std::string_view::npos) continue;
            const std::string_view name = line.substr(0, colon);
            const std::string_view value = trim(line.substr(colon + 1));
            if (equals_ignoring_case(name, "transfer-encoding")) framing_ = Framing::kChunks;
            if (equals_ignoring_case(name, "content-length")) {
                framing_ = Framing::kLength;
                if (std::from_chars(value.data(), value.data() + value.size(), left_).ec !=
                    std::errc())
                    return broken("its length is no number");
            }
        }
        return {};
    }

    Status deliver(std::string_view part) {
        if (part.empty()) return {};
        if (!sink_ || answer_.status >= 300) {
            answer_.body += part;
        } else if (!sink_(part)) {
            return fail(ErrorCode::kCancelled, "nobody takes the answer any more");
        }
        return {};
    }

    Status body(std::string_view bytes) {
        if (framing_ == Framing::kToEnd) return deliver(bytes);
        if (framing_ == Framing::kLength) {
            const std::string_view part = bytes.substr(0, left_);
            left_ -= part.size();
            return deliver(part);
        }
        while (!bytes.empty() && !is_last_seen_) {
            if (left_ > 0) {
                const std::string_view part = bytes.substr(0, left_);
                left_ -= part.size();
                bytes.remove_prefix(part.size());
                ENTREPOT_TRY_DO(deliver(part));
                continue;
            }
            // A size line; after the first chunk an empty one stands before it.
            const char c = bytes.front();
            bytes.remove_prefix(1);
            if (c != '\n') {
                if (c != '\r') text_ += c;
                if (text_.size() > kSizeLineMax) return broken("a chunk without a size");
                continue;
            }
            if (text_.empty()) continue;
            const char* const end = text_.data() + text_.size();
            if (std::from_chars(text_.data(), end, left_, 16).ptr != end)
                return broken("a chunk's size is no number");
            text_.clear();
            is_last_seen_ = left_ == 0;
        }
        return {};
    }

    const BodySink& sink_;
    SocketAnswer answer_;
    Framing framing_ = Framing::kHead;
    std::string text_;      ///< of the head, or of a size line
    std::size_t left_ = 0;  ///< of the body, or of the chunk
    bool is_last_seen_ = false;
};

}  // namespace

Result<std::optional<SocketAnswer>> ask_running_gateway(const std::filesystem::path& data,
    std::string_view method, std::string_view target, std::string_view body, const BodySink& sink) {
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
    AnswerReader reader(sink);
    char part[64 * 1024];
    for (;;) {
        const auto got = ::recv(socket.number(), part, sizeof part, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return fail(ErrorCode::kIo,
                fmt::format("the gateway at '{}' did not answer: {}", path, std::strerror(errno)));
        if (got == 0) break;
        ENTREPOT_TRY_DO(reader.feed({part, static_cast<std::size_t>(got)}));
    }
    ENTREPOT_TRY(SocketAnswer answer, reader.finish());
    return std::optional(std::move(answer));
}

}  // namespace entrepot::control
