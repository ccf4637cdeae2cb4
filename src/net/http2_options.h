#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace entrepot::net {

/// The bounds of HTTP/2, each per connection. What a connection may hold, in sum: of bodies
/// 2 * streams_max * window_bytes + 2 * ServerOptions::body_bytes_max, of answers
/// 2 * streams_max * 64 KiB, inside nghttp2 session_bytes_max, and 64 KiB that the socket refused.
struct Http2Options {
    bool enabled = true;
    /// Open at once; as many again may still be ending (a reset stream's handler settles).
    std::uint32_t streams_max = 128;
    /// Of each body may come unasked. Two round trips then carry a request of half a megabyte.
    std::uint32_t window_bytes = 256 * 1024;
    std::size_t session_bytes_max = 2 * 1024 * 1024;

    /// A connection that is older than either is retired at its next moment without a request, and
    /// at twice that in any case: the kernel gives the client's next one to some other core.
    std::size_t requests_max = 10'000;
    milliseconds age_max{600'000};

    // More than a client that cancels everything at once and begins anew; a flood has 10^5 a
    // second.
    std::uint32_t resets_burst = 512;
    std::uint32_t resets_per_second = 50;
    // PING, SETTINGS, PRIORITY, empty DATA.
    std::uint32_t control_burst = 1000;
    std::uint32_t control_per_second = 100;
};

/// The bounds of a connection to a supplier. Its streams are ours, its frames are not.
[[nodiscard]] inline Http2Options http2_towards_suppliers() {
    Http2Options options;
    options.streams_max = 100;  // what most servers allow
    options.window_bytes = 512 * 1024;
    options.requests_max = 100'000;
    options.age_max = milliseconds(1'800'000);  // a name may lead elsewhere by then
    // Some measure the round trip by PING, again and again while they send.
    options.control_burst = 10'000;
    options.control_per_second = 1'000;
    return options;
}

}  // namespace entrepot::net
