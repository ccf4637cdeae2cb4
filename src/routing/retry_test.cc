#include "routing/retry.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace entrepot::routing {
namespace {

/// `next`, `same 100ms` or `give up`, then what the client would see and what health is told.
std::string decided(const Failure& failure, const Progress& progress = {.has_next_offer = true}) {
    const Decision decision = decide(failure, progress);
    std::string out = decision.step == Step::kNextOffer ? "next"
        : decision.step == Step::kGiveUp
        ? "give up"
        : fmt::format("same {}ms", decision.wait.count() / 1'000'000);
    out += fmt::format(" {}", error_code_name(decision.client_code));
    if (decision.outcome == Outcome::kServed) out += " served";
    if (decision.outcome == Outcome::kRateLimited) out += " limited";
    if (decision.outcome == Outcome::kAbandoned) out += " abandoned";
    if (decision.raise_alarm) out += " alarm";
    return out;
}

Failure status(std::int32_t code) { return {.http_status = code}; }

TEST(Retry, TheClientsMistakesAreItsOwn) {
    for (const std::int32_t code : {400, 404, 413, 422})
        EXPECT_EQ(decided(status(code)), "give up upstream_refused served") << code;
    EXPECT_EQ(decided({.http_status = 400, .is_content_filter = true}),
        "give up upstream_refused served");
}

TEST(Retry, OurCredentialsRefusedGoesToTheNextOfferAndRaisesAnAlarm) {
    for (const std::int32_t code : {401, 402, 403}) {
        EXPECT_EQ(decided(status(code)), "next upstream_auth alarm") << code;
        EXPECT_EQ(decided(status(code), {}), "give up upstream_auth alarm") << code;
    }
}

TEST(Retry, ASupplierThatFailsIsFollowedByTheNextOfferElseAskedOnceMore) {
    EXPECT_EQ(decided(status(500)), "next upstream_error");
    EXPECT_EQ(decided(status(503)), "next upstream_overloaded");
    EXPECT_EQ(decided(status(529)), "next upstream_overloaded");
    EXPECT_EQ(decided(status(424)), "next upstream_error");
    EXPECT_EQ(decided(status(500), {}), "same 100ms upstream_error");
    EXPECT_EQ(decided(status(500), {.attempts_made = 2, .attempts_at_offer = 2}),
        "give up upstream_error");
    EXPECT_EQ(decided({.code = ErrorCode::kUpstreamUnreachable}), "next upstream_unreachable");
    EXPECT_EQ(decided({.code = ErrorCode::kUpstreamProtocol, .http_status = 200}),
        "next upstream_protocol");
}

TEST(Retry, ARateLimitWaitsAsAskedOnlyWhenThereIsNowhereElseToGo) {
    Failure busy = status(429);
    busy.retry_after = seconds(1);
    EXPECT_EQ(decided(busy), "next upstream_rate_limited limited");
    EXPECT_EQ(decided(busy, {}), "same 1000ms upstream_rate_limited limited");
    busy.retry_after = seconds(3);  // longer than anyone should be kept waiting
    EXPECT_EQ(decided(busy, {}), "give up upstream_rate_limited limited");
    busy.retry_after = seconds(1);
    EXPECT_EQ(
        decided(busy, {.time_left = milliseconds(900)}), "give up upstream_rate_limited limited");
}

// A request that was sent in full and never answered may have been billed; sending it to the same
// place again would pay twice for what is probably slow for everyone.
TEST(Retry, ASilentSupplierIsNotAskedAgainButTheNextOfferIs) {
    const Failure silent{.code = ErrorCode::kUpstreamTimeout, .may_have_been_billed = true};
    EXPECT_EQ(decided(silent), "next upstream_timeout");
    EXPECT_EQ(decided(silent, {}), "give up upstream_timeout");
    EXPECT_EQ(decided({.code = ErrorCode::kUpstreamTimeout}, {}), "same 100ms upstream_timeout");
}

TEST(Retry, NothingIsRetriedAfterTheFirstByteOrWithoutAClient) {
    Failure late = status(500);
    late.reached_client = true;
    EXPECT_EQ(decided(late), "give up upstream_error");
    EXPECT_EQ(decided({.code = ErrorCode::kClientGone}), "give up client_gone abandoned");
    EXPECT_EQ(decided({.code = ErrorCode::kInternal}), "give up internal abandoned");
    EXPECT_EQ(decided(status(500), {.attempts_made = 4, .has_next_offer = true}),
        "give up upstream_error");
    EXPECT_EQ(decided(status(500), {.has_next_offer = true, .time_left = seconds(0)}),
        "give up upstream_error");
}

std::int64_t wait_ms(std::string_view plain, std::string_view precise = {}) {
    const Instant now = *parse_instant("1994-11-06T08:49:30Z");
    const auto wait = parse_retry_after(plain, precise, now);
    return wait ? wait->count() / 1'000'000 : -1;
}

TEST(RetryAfter, IsReadInEveryFormSuppliersSend) {
    EXPECT_EQ(wait_ms("2"), 2000);
    EXPECT_EQ(wait_ms("0.5"), 500);
    EXPECT_EQ(wait_ms(" 7 "), 7000);
    EXPECT_EQ(wait_ms("Sun, 06 Nov 1994 08:49:37 GMT"), 7000);
    EXPECT_EQ(wait_ms("Sun, 06 Nov 1994 08:49:00 GMT"), 0);
    EXPECT_EQ(wait_ms("1", "250"), 250);
    EXPECT_EQ(wait_ms("1", "0"), 1000);  // recorded from Azure
    EXPECT_EQ(wait_ms("", "0"), 0);
}

TEST(RetryAfter, WhatCannotBeReadIsNotAWait) {
    for (const std::string_view text : {"", "soon", "-1", "1e3", ".", ".5",
             "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"})
        EXPECT_EQ(wait_ms(text), -1) << text;
    EXPECT_EQ(wait_ms("99999999999999999999"), 86'400'000);
}

}  // namespace
}  // namespace entrepot::routing
