#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/time.h"

namespace entrepot {

/// A point of steady time after which a wait fails. Absolute, so that it can be passed down; it
/// fires up to one timer tick (16 ms) late, never early.
class Deadline {
public:
    /// Never.
    constexpr Deadline() = default;
    [[nodiscard]] static constexpr Deadline at(MonotonicTime time) { return Deadline(time.ns); }
    [[nodiscard]] static constexpr Deadline after(MonotonicTime now, nanoseconds delay) {
        return Deadline(now.ns + delay.count());
    }
    [[nodiscard]] static constexpr Deadline never() { return {}; }
    [[nodiscard]] constexpr bool is_never() const { return ns_ == kNever; }
    [[nodiscard]] constexpr MonotonicTime time() const { return {ns_}; }
    [[nodiscard]] constexpr bool passed(MonotonicTime now) const { return now.ns >= ns_; }
    /// The sooner of two.
    [[nodiscard]] constexpr Deadline sooner(Deadline other) const {
        return Deadline(std::min(ns_, other.ns_));
    }
    friend constexpr auto operator<=>(Deadline, Deadline) = default;

private:
    static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
    explicit constexpr Deadline(std::int64_t ns) : ns_(ns) {}
    std::int64_t ns_ = kNever;
};

class Cancel;

/// What bounds a wait: a time, and somebody who may call it off. Passed by value.
struct Until {
    Deadline deadline;
    Cancel* cancel = nullptr;
};

}  // namespace entrepot
