#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nghttp2/nghttp2.h>

#include "base/time.h"
#include "net/http2_options.h"

namespace entrepot::net {

/// So many at once, and so many a second after that.
class Pace {
public:
    Pace(std::uint32_t burst, std::uint32_t per_second)
        : interval_ns_(1'000'000'000 / std::max<std::int64_t>(per_second, 1)),
          ahead_max_ns_(interval_ns_ * burst) {}
    /// False when one more is too many.
    [[nodiscard]] bool take(MonotonicTime now) {
        due_ns_ = std::max(due_ns_, now.ns) + interval_ns_;
        return due_ns_ - now.ns <= ahead_max_ns_;
    }

private:
    std::int64_t interval_ns_;
    std::int64_t ahead_max_ns_;
    std::int64_t due_ns_ = 0;
};

/// Counts what costs a peer nothing and us something: the frames a flood is made of. The peer that
/// sends too many loses its connection.
class Http2Guard {
public:
    explicit Http2Guard(const Http2Options& options)
        : control_(options.control_burst, options.control_per_second),
          resets_(options.resets_burst, options.resets_per_second) {}

    /// Bytes that have come, after the preface. nghttp2 tells nothing of frames that it skips (of
    /// unknown types, on streams that are gone), so their heads are read here.
    void received(std::string_view bytes, MonotonicTime now) {
        while (!bytes.empty()) {
            if (payload_left_ > 0) {
                const std::size_t skipped = std::min(payload_left_, bytes.size());
                payload_left_ -= skipped;
                bytes.remove_prefix(skipped);
                continue;
            }
            head_[head_size_++] = static_cast<std::uint8_t>(bytes.front());
            bytes.remove_prefix(1);
            if (head_size_ < head_.size()) continue;
            head_size_ = 0;
            payload_left_ = std::size_t{head_[0]} << 16U | std::size_t{head_[1]} << 8U | head_[2];
            frame(head_[3], head_[4], now);
        }
    }
    /// A stream that ended before its time, by the peer's fault or wish.
    void reset(MonotonicTime now) {
        if (!resets_.take(now)) flooded_ = true;
    }
    /// A DATA frame left: the peer may well answer it with window updates.
    void data_sent() { window_updates_left_ += kWindowUpdatesPerData; }
    /// A head of absurd size, seen while it was decoded.
    void flood() { flooded_ = true; }

    [[nodiscard]] bool flooded() const { return flooded_; }

private:
    static constexpr std::int64_t kWindowUpdatesPerStream = 10;
    static constexpr std::int64_t kWindowUpdatesPerData = 10;
    static constexpr std::int64_t kWindowUpdatesMax = 100'000;

    void frame(std::uint8_t type, std::uint8_t flags, MonotonicTime now) {
        switch (type) {
            case NGHTTP2_HEADERS: window_updates_left_ += kWindowUpdatesPerStream; break;
            case NGHTTP2_CONTINUATION: break;  // nghttp2 allows eight, and a head has a bound
            case NGHTTP2_RST_STREAM: reset(now); break;
            case NGHTTP2_WINDOW_UPDATE:
                if (--window_updates_left_ < 0) flooded_ = true;
                break;
            case NGHTTP2_DATA:
                if (payload_left_ == 0 && (flags & NGHTTP2_FLAG_END_STREAM) == 0) control(now);
                break;
            default: control(now); break;  // PING, SETTINGS, PRIORITY, GOAWAY, what nobody knows
        }
        window_updates_left_ = std::min(window_updates_left_, kWindowUpdatesMax);
    }
    void control(MonotonicTime now) {
        if (!control_.take(now)) flooded_ = true;
    }

    Pace control_;
    Pace resets_;
    std::int64_t window_updates_left_ = 1000;
    std::size_t payload_left_ = 0;
    std::array<std::uint8_t, 9> head_{};
    std::size_t head_size_ = 0;
    bool flooded_ = false;
};

}  // namespace entrepot::net
