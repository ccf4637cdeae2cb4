#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "runtime/waiter.h"

namespace entrepot {

/// Coarse timers: 512 slots of 16 ms. Deadlines are armed and disarmed at every request and seldom
/// fire, so both are two pointer writes; the loop's own epoll timeout drives it, without a system
/// call of its own.
class TimerWheel {
public:
    static constexpr std::int64_t kTickNs = 16'000'000;
    static constexpr std::size_t kSlots = 512;

    /// Fires `node.fire` in the first `advance` after `due`, at most one tick late. Re-arming moves
    /// it.
    void arm(TimerNode& node, MonotonicTime due);
    static void disarm(TimerNode& node) { node.unlink(); }

    /// Fires what is due at `now`.
    void advance(MonotonicTime now);

    /// Milliseconds from `now` to the next slot that holds anything (0: due already), or -1 when
    /// nothing is armed.
    [[nodiscard]] int timeout_ms(MonotonicTime now);

private:
    std::array<List, kSlots> slots_;
    std::array<std::uint64_t, kSlots / 64>
        occupied_{};          // may say so of a slot that has emptied since
    std::int64_t tick_ = -1;  // the last tick that was advanced over
};

}  // namespace entrepot
