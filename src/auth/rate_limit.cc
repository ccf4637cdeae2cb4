#include "auth/rate_limit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

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

// How long a request that finds too many others in flight is told to wait: nobody knows when one of
// them ends.
constexpr milliseconds kWaitForAnother{1'000};

// A refusal that waiting does not end holds longer than any that it does.
bool holds_longer(const LimitRefusal& a, const LimitRefusal& b) {
    const bool never_a = a.retry_after == milliseconds(0);
    const bool never_b = b.retry_after == milliseconds(0);
    if (never_a != never_b) return never_a;
    return a.retry_after > b.retry_after;
}

}  // namespace

std::optional<LimitRefusal> Limiter::admit(
    const Limits& limits, LimitOwner owner, std::int64_t tokens_expected, MonotonicTime now) {
    const auto refusal = [&](LimitKind kind, std::int64_t limit, std::int64_t left,
                             milliseconds retry_after, std::string_view why) {
        return LimitRefusal{kind, owner.level, limit, left, retry_after,
            fmt::format("The {} '{}' {}", limit_level_name(owner.level), owner.name, why)};
    };
    if (limits.concurrent > 0 && in_flight_ >= limits.concurrent)
        return refusal(LimitKind::kConcurrent, limits.concurrent, 0, kWaitForAnother,
            fmt::format("has {} requests in flight, and may have {}. Wait for one to end.",
                in_flight_, limits.concurrent));
    const std::int64_t per_minute = limits.tokens_per_minute;
    if (per_minute > 0 && tokens_expected > per_minute)
        return refusal(LimitKind::kTokens, per_minute, tokens_left(limits, now), milliseconds(0),
            fmt::format("may use {} tokens per minute; this request may use {}, so it can never be "
                        "admitted. Lower max_tokens or shorten the prompt.",
                per_minute, tokens_expected));
    const Bucket tokens_before = tokens_;
    const Bucket requests_before = requests_;
    const nanoseconds for_tokens = tokens_.take(tokens_expected, per_minute, now);
    const nanoseconds for_request = requests_.take(1, limits.requests_per_minute, now);
    const nanoseconds wait = std::max(for_tokens, for_request);
    if (wait > nanoseconds(0)) {
        tokens_ = tokens_before;
        requests_ = requests_before;
        if (for_request >= for_tokens)
            return refusal(LimitKind::kRequests, limits.requests_per_minute,
                requests_left(limits, now), whole_ms(wait),
                fmt::format("may make {} requests per minute, and none is left. Retry in {} ms.",
                    limits.requests_per_minute, whole_ms(wait).count()));
        const std::int64_t left = tokens_left(limits, now);
        return refusal(LimitKind::kTokens, per_minute, left, whole_ms(wait),
            fmt::format("may use {} tokens per minute: {} are left and this request may use {}. "
                        "Retry in {} ms.",
                per_minute, left, tokens_expected, whole_ms(wait).count()));
    }
    ++in_flight_;
    return std::nullopt;
}

void Limiter::finish(const Limits& limits, std::int64_t tokens_expected, std::int64_t tokens_used,
    MonotonicTime now) {
    ENTREPOT_CHECK(in_flight_ > 0);
    --in_flight_;
    tokens_.adjust(tokens_used - tokens_expected, limits.tokens_per_minute, now);
}

std::int64_t Limiter::requests_left(const Limits& limits, MonotonicTime now) const {
    return requests_.left(limits.requests_per_minute, now);
}

std::int64_t Limiter::tokens_left(const Limits& limits, MonotonicTime now) const {
    return tokens_.left(limits.tokens_per_minute, now);
}

std::optional<LimitRefusal> admit_all(
    std::span<const LimitStep> steps, std::int64_t tokens_expected, MonotonicTime now) {
    ENTREPOT_CHECK(steps.size() <= kLimitLevels);
    std::array<Limiter, kLimitLevels> before;
    std::optional<LimitRefusal> told;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const LimitStep& step = steps[i];
        before[i] = *step.limiter;
        auto refusal = step.limiter->admit(*step.limits, step.owner, tokens_expected, now);
        if (refusal && (!told || holds_longer(*refusal, *told))) told = std::move(refusal);
    }
    if (told)
        for (std::size_t i = 0; i < steps.size(); ++i) *steps[i].limiter = before[i];
    return told;
}

}  // namespace entrepot::auth
