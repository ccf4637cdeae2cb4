#include "auth/rate_limit.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/money.h"

namespace entrepot::auth {
namespace {

constexpr std::int64_t kMinuteNs = 60'000'000'000;

// The time the bucket needs to regain `amount`, rounded up so that waiting that long is enough.
Int128 refill_ns(std::int64_t amount, std::int64_t limit) {
    const Int128 scaled = Int128{amount} * kMinuteNs;
    return scaled >= 0 ? (scaled + limit - 1) / limit : -(-scaled / limit);
}

// A bucket in debt is held at one day: a single huge correction must not lock a key out for ever.
constexpr std::int64_t kDebtMaxNs = 24 * 60 * kMinuteNs;

}  // namespace

nanoseconds Bucket::take(std::int64_t amount, std::int64_t limit, MonotonicTime now) {
    if (limit <= 0 || amount <= 0) return nanoseconds(0);
    if (amount > limit) return kNever;
    const std::int64_t base = std::max(full_at_.ns, now.ns);
    const auto full_at = static_cast<std::int64_t>(base + refill_ns(amount, limit));
    const std::int64_t over = full_at - now.ns - kMinuteNs;
    if (over > 0) return nanoseconds(over);
    full_at_.ns = full_at;
    return nanoseconds(0);
}

void Bucket::adjust(std::int64_t amount, std::int64_t limit, MonotonicTime now) {
    if (limit <= 0 || amount == 0) return;
    const std::int64_t base = std::max(full_at_.ns, now.ns);
    const Int128 full_at = base + refill_ns(amount, limit);
    full_at_.ns =
        static_cast<std::int64_t>(std::clamp<Int128>(full_at, now.ns, Int128{now.ns} + kDebtMaxNs));
}

std::int64_t Bucket::left(std::int64_t limit, MonotonicTime now) const {
    if (limit <= 0) return 0;
    const std::int64_t room = kMinuteNs - std::max<std::int64_t>(full_at_.ns - now.ns, 0);
    return room <= 0 ? 0 : static_cast<std::int64_t>(Int128{room} * limit / kMinuteNs);
}

namespace {

milliseconds whole_ms(nanoseconds wait) { return std::chrono::ceil<milliseconds>(wait); }

}  // namespace

std::optional<LimitRefusal> KeyLimiter::admit(
    const Limits& limits, std::int64_t tokens_expected, MonotonicTime now) {
    if (limits.concurrent > 0 && in_flight_ >= limits.concurrent)
        return LimitRefusal{LimitKind::kConcurrent, limits.concurrent, 0, milliseconds(0),
            fmt::format("This key has {} requests in flight, and may have {}. Wait for one to end.",
                in_flight_, limits.concurrent)};
    if (limits.tokens_per_minute > 0 && tokens_expected > limits.tokens_per_minute)
        return LimitRefusal{LimitKind::kTokens, limits.tokens_per_minute, tokens_left(limits, now),
            milliseconds(0),
            fmt::format(
                "This request may use {} tokens; the key's limit is {} per minute, so it can "
                "never be admitted. Lower max_tokens or shorten the prompt.",
                tokens_expected, limits.tokens_per_minute)};
    const Bucket tokens_before = tokens_;
    if (const nanoseconds wait = tokens_.take(tokens_expected, limits.tokens_per_minute, now);
        wait > nanoseconds(0)) {
        const std::int64_t left = tokens_left(limits, now);
        return LimitRefusal{LimitKind::kTokens, limits.tokens_per_minute, left, whole_ms(wait),
            fmt::format("The key's limit of {} tokens per minute is reached: {} are left and this "
                        "request may use {}. Retry in {} ms.",
                limits.tokens_per_minute, left, tokens_expected, whole_ms(wait).count())};
    }
    if (const nanoseconds wait = requests_.take(1, limits.requests_per_minute, now);
        wait > nanoseconds(0)) {
        tokens_ = tokens_before;
        return LimitRefusal{LimitKind::kRequests, limits.requests_per_minute, 0, whole_ms(wait),
            fmt::format("The key's limit of {} requests per minute is reached. Retry in {} ms.",
                limits.requests_per_minute, whole_ms(wait).count())};
    }
    ++in_flight_;
    return std::nullopt;
}

void KeyLimiter::finish(const Limits& limits, std::int64_t tokens_expected,
    std::int64_t tokens_used, MonotonicTime now) {
    ENTREPOT_CHECK(in_flight_ > 0);
    --in_flight_;
    tokens_.adjust(tokens_used - tokens_expected, limits.tokens_per_minute, now);
}

std::int64_t KeyLimiter::requests_left(const Limits& limits, MonotonicTime now) const {
    return requests_.left(limits.requests_per_minute, now);
}

std::int64_t KeyLimiter::tokens_left(const Limits& limits, MonotonicTime now) const {
    return tokens_.left(limits.tokens_per_minute, now);
}

}  // namespace entrepot::auth
