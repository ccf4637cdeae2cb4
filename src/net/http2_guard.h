#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

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

    /// Bytes that have come.
    void received(std::size_t bytes) {
        // nghttp2 skips frames of types that it does not know and tells nobody.
        unexplained_bytes_ += static_cast<std::int64_t>(bytes);
        if (unexplained_bytes_ > kUnexplainedBytesMax) flooded_ = true;
    }
    /// The head of a frame that has come.
    void frame(const nghttp2_frame_hd& head, MonotonicTime now) {
        unexplained_bytes_ -= kFrameHeadBytes + static_cast<std::int64_t>(head.length);
        switch (head.type) {
            case NGHTTP2_HEADERS: window_updates_left_ += kWindowUpdatesPerStream; break;
            case NGHTTP2_CONTINUATION: break;  // nghttp2 allows eight, and a head has a bound
            case NGHTTP2_RST_STREAM: reset(now); break;
            case NGHTTP2_WINDOW_UPDATE:
                if (--window_updates_left_ < 0) flooded_ = true;
                break;
            case NGHTTP2_DATA:
                if (head.length == 0 && (head.flags & NGHTTP2_FLAG_END_STREAM) == 0) control(now);
                break;
            default: control(now); break;  // PING, SETTINGS, PRIORITY, GOAWAY
        }
        window_updates_left_ = std::min(window_updates_left_, kWindowUpdatesMax);
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
    static constexpr std::int64_t kFrameHeadBytes = 9;
    static constexpr std::int64_t kUnexplainedBytesMax = 1024 * 1024;  // browsers grease

    void control(MonotonicTime now) {
        if (!control_.take(now)) flooded_ = true;
    }

    Pace control_;
    Pace resets_;
    std::int64_t window_updates_left_ = 1000;
    std::int64_t unexplained_bytes_ = 0;
    bool flooded_ = false;
};

}  // namespace entrepot::net
