#pragma once

#include <array>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"
#include "net/stream.h"

namespace entrepot::net {

/// Sends what an HTTP/2 session, of either side, produces: small frames share a system call.
class Http2Writer {
public:
    enum class Sent : std::uint8_t { kAll, kBlocked, kBroken };

    /// Everything that the session has now. After kBlocked, call it again when `stream` takes more.
    template <typename Session>
    [[nodiscard]] Sent send(Session& session, Stream& stream, MonotonicTime now) {
        thread_local std::array<char, kBatchBytes> batch;
        for (;;) {
            std::size_t size = 0;
            while (unsent_.empty() && size < kBatchBytes) {
                const std::string_view piece = session.produce(now);
                if (piece.empty()) break;
                if (piece.size() <= kBatchBytes - size) {
                    std::memcpy(batch.data() + size, piece.data(), piece.size());
                    size += piece.size();
                } else {
                    unsent_.assign(batch.data(), size).append(piece);
                }
            }
            iovec one{batch.data(), size};
            if (!unsent_.empty()) one = {unsent_.data(), unsent_.size()};
            if (one.iov_len == 0) return Sent::kAll;
            std::span<iovec> pieces(&one, 1);
            const Transfer sent = stream.try_write(pieces);
            if (sent.kind == Transfer::Kind::kDone) {
                std::string().swap(unsent_);
                continue;
            }
            if (sent.kind != Transfer::Kind::kWouldBlock) return Sent::kBroken;
            std::string rest(static_cast<const char*>(one.iov_base), one.iov_len);
            unsent_.swap(rest);
            return Sent::kBlocked;
        }
    }
    /// The socket has refused some of it.
    [[nodiscard]] bool has_unsent() const { return !unsent_.empty(); }

private:
    static constexpr std::size_t kBatchBytes = 64 * 1024;

    std::string unsent_;  // at most a batch and a frame
};

}  // namespace entrepot::net
