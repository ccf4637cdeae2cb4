#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "auth/policy.h"
#include "base/time.h"

namespace entrepot::auth {

/// A token bucket that holds one minute's allowance and refills evenly, kept as one instant (GCRA):
/// the time at which it would be full again. Integers only; a limit of 0 means no limit.
class Bucket {
public:
    /// Takes `amount` (>= 0), or returns how long until it would fit. An amount above the limit
    /// never fits: it returns `kNever`.
    static constexpr nanoseconds kNever = nanoseconds::max();
    [[nodiscard]] nanoseconds take(
        std::int64_t amount, std::int64_t limit_per_minute, MonotonicTime now);
    /// Corrects an earlier `take` when the true amount is known: positive takes more (into debt),
    /// negative gives back.
    void adjust(std::int64_t amount, std::int64_t limit_per_minute, MonotonicTime now);
    /// What could be taken now.
    [[nodiscard]] std::int64_t left(std::int64_t limit_per_minute, MonotonicTime now) const;

private:
    MonotonicTime full_at_{};
};

enum class LimitKind : std::uint8_t { kRequests, kTokens, kConcurrent };

/// Whose limits they are, for messages.
struct LimitOwner {
    LimitLevel level = LimitLevel::kKey;
    std::string_view name;
};

/// Why a request was not admitted; `message` is for the client.
struct LimitRefusal {
    LimitKind kind = LimitKind::kRequests;
    LimitLevel level = LimitLevel::kKey;
    std::int64_t limit = 0;
    std::int64_t left = 0;
    /// When it may be asked again; 0: never, because the request is larger than the limit.
    milliseconds retry_after{0};
    std::string message;
};

/// What a key, or somebody above it, has used of its limits. Owned by one core at a time; 24 bytes.
/// Every admitted request is ended once with `finish`.
class Limiter {
public:
    /// Admits a request expected to use `tokens_expected` tokens (prompt estimate and the answer's
    /// cap), or says what it has to wait longest for; a refusal takes nothing.
    [[nodiscard]] std::optional<LimitRefusal> admit(
        const Limits& limits, LimitOwner owner, std::int64_t tokens_expected, MonotonicTime now);
    /// Ends an admitted request that used `tokens_used` tokens.
    void finish(const Limits& limits, std::int64_t tokens_expected, std::int64_t tokens_used,
        MonotonicTime now);

    [[nodiscard]] std::int64_t requests_left(const Limits& limits, MonotonicTime now) const;
    [[nodiscard]] std::int64_t tokens_left(const Limits& limits, MonotonicTime now) const;
    [[nodiscard]] std::int64_t in_flight() const { return in_flight_; }

private:
    Bucket requests_, tokens_;
    std::int64_t in_flight_ = 0;
};

/// One level that a request passes.
struct LimitStep {
    LimitOwner owner;
    const Limits* limits = nullptr;
    Limiter* limiter = nullptr;
};

/// Admits a request at every level, or at none. Of several refusals the one is told that holds the
/// longest, so that who waits as long as it says waited long enough for all of them.
/// `steps`: at most kLimitLevels.
[[nodiscard]] std::optional<LimitRefusal> admit_all(
    std::span<const LimitStep> steps, std::int64_t tokens_expected, MonotonicTime now);

}  // namespace entrepot::auth
