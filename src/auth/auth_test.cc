#include <gtest/gtest.h>

#include <array>

#include "auth/credential.h"
#include "auth/key_index.h"
#include "auth/rate_limit.h"
#include "auth/signed_request.h"
#include "crypto/hash.h"

namespace entrepot::auth {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{1'800'000'000'000'000'000};

KeyEntry entry(const char* name, std::initializer_list<const char*> secrets) {
    KeyEntry entry;
    entry.principal.key = KeyId(name);
    entry.principal.team = TeamId("t");
    entry.principal.org = OrgId("o");
    for (const char* secret : secrets) entry.digests.push_back(digest_of(secret));
    return entry;
}

TEST(Digest, IsTheOneThatSha256sumPrints) {
    EXPECT_EQ(to_string(digest_of("abc")),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(*parse_digest(to_string(digest_of("x"))), digest_of("x"));
    EXPECT_FALSE(parse_digest("sha256:12"));
    EXPECT_FALSE(parse_digest("sha256:" + std::string(64, 'g')));
}

TEST(NewSecret, IsLongUrlSafeAndNeverTheSame) {
    const Secret a = new_secret();
    const Secret b = new_secret();
    EXPECT_EQ(a.reveal().size(), 46U);
    EXPECT_NE(a.reveal(), b.reveal());
    EXPECT_EQ(a.reveal().find_first_of("+/=& ?%"), std::string_view::npos);
}

TEST(ConstantTimeEquality, AgreesWithEquality) {
    EXPECT_TRUE(equal_in_constant_time("", ""));
    EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
    EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
    EXPECT_FALSE(equal_in_constant_time("abc", "abcd"));
}

TEST(PresentedSecret, IsFoundInEveryAcceptedPlace) {
    std::string scratch;
    EXPECT_EQ(*presented_secret({.authorization = "Bearer k1"}, scratch), "k1");
    EXPECT_EQ(*presented_secret({.authorization = "bearer   k1 "}, scratch), "k1");
    EXPECT_EQ(*presented_secret({.x_api_key = "k2"}, scratch), "k2");
    EXPECT_EQ(*presented_secret({.api_key = "k3"}, scratch), "k3");
    EXPECT_EQ(*presented_secret({.x_goog_api_key = "k4"}, scratch), "k4");
    EXPECT_EQ(*presented_secret({.query = "alt=sse&key=k5"}, scratch), "k5");
    EXPECT_EQ(*presented_secret({.query = "key=a%2Bb%2"}, scratch), "a+b%2");
    // A proxy's Basic credentials do not hide the key.
    EXPECT_EQ(*presented_secret({.authorization = "Basic eA==", .api_key = "k3"}, scratch), "k3");
}

// Deny by default: nothing presented is no identity, not an anonymous one.
TEST(PresentedSecret, IsRefusedWhenThereIsNone) {
    std::string scratch;
    for (const PresentedCredentials& none :
        {PresentedCredentials{}, PresentedCredentials{.authorization = "Bearer"},
            PresentedCredentials{.authorization = "Bearer  "},
            PresentedCredentials{.authorization = "Basic eA=="},
            PresentedCredentials{.query = "key=&monkey=x"}}) {
        const auto secret = presented_secret(none, scratch);
        ASSERT_FALSE(secret);
        EXPECT_EQ(secret.error().code, ErrorCode::kUnauthenticated);
    }
}

// What a client of AWS sends when it signs with the given pair.
struct SignedCall {
    std::vector<crypto::sigv4::Header> headers;
    std::string authorization;

    SignedCall(std::string id, std::string secret, std::string_view body, Instant now,
        std::string service = "bedrock") {
        const std::array own{crypto::sigv4::HeaderView{"host", "localhost:4100"}};
        const std::string digest = crypto::hex(crypto::sha256(body));
        crypto::sigv4::Signer signer(
            {std::move(id), Secret(std::move(secret)), Secret()}, "us-east-1", std::move(service));
        headers = signer.sign({.method = "POST",
                                  .path = "/model/m%3A0/converse",
                                  .query = {},
                                  .headers = own,
                                  .body_sha256_hex = digest},
            now);
        headers.push_back({"host", "localhost:4100"});
        for (const auto& header : headers)
            if (header.name == "authorization") authorization = header.value;
    }
    Result<const Principal*> check(const KeyIndex& keys, std::optional<std::string_view> body,
        Instant now, std::string_view path = "/model/m%3A0/converse") const {
        std::vector<crypto::sigv4::HeaderView> views;
        for (const auto& header : headers) views.push_back({header.name, header.value});
        crypto::sigv4::KeyCache derived;
        return authenticate_signed(keys, authorization,
            {.method = "POST", .path = path, .query = {}, .headers = views, .body_sha256_hex = {}},
            body, now, derived);
    }
};

std::shared_ptr<const KeyIndex> signing_keys() {
    KeyEntry signing = entry("signing", {"s1"});
    signing.access_key = AccessKeyPair{"EKID1", Secret("a-long-secret-of-ours")};
    KeyEntry disabled = entry("disabled", {"s2"});
    disabled.principal.disabled = true;
    disabled.access_key = AccessKeyPair{"EKID2", Secret("a-long-secret-of-ours")};
    return *KeyIndex::build({signing, disabled});
}

TEST(SignedRequest, IsItsKeysWhenTheSignatureHolds) {
    const auto keys = signing_keys();
    const SignedCall call("EKID1", "a-long-secret-of-ours", "{}", kNow);
    EXPECT_TRUE(is_signed(call.authorization));
    EXPECT_FALSE(is_signed("Bearer x"));
    const auto who = call.check(*keys, "{}", kNow);
    ASSERT_TRUE(who) << who.error().message;
    EXPECT_EQ((*who)->key, KeyId("signing"));
}

TEST(SignedRequest, IsLookedUpBeforeItsBodyHasCome) {
    const SignedCall call("EKID1", "wrong secret of this", "{}", kNow);
    EXPECT_TRUE(call.check(*signing_keys(), std::nullopt, kNow));
    EXPECT_FALSE(SignedCall("AKIA1", "x", "{}", kNow).check(*signing_keys(), std::nullopt, kNow));
}

TEST(SignedRequest, IsForbiddenWithAnotherSecretBodyPathClockOrService) {
    const auto keys = signing_keys();
    const std::string secret = "a-long-secret-of-ours";
    const SignedCall call("EKID1", secret, "{}", kNow);
    const auto refused = [&](const Result<const Principal*>& who, std::string_view words) {
        ASSERT_FALSE(who) << words;
        EXPECT_EQ(who.error().code, ErrorCode::kForbidden);
        EXPECT_NE(who.error().message.find(words), std::string::npos) << who.error().message;
    };
    refused(call.check(*keys, "{\"a\":1}", kNow), "secret is another one");
    refused(call.check(*keys, "{}", kNow, "/model/other/converse"), "secret is another one");
    refused(call.check(*keys, "{}", kNow + seconds(301)), "set the clock");
    refused(SignedCall("EKID1", "another secret of theirs", "{}", kNow).check(*keys, "{}", kNow),
        "secret is another one");
    refused(SignedCall("EKID1", secret, "{}", kNow, "s3").check(*keys, "{}", kNow), "'bedrock'");
    refused(SignedCall("EKID2", secret, "{}", kNow).check(*keys, "{}", kNow), "is disabled");
}

TEST(SignedRequest, WithRealAwsCredentialsIsForbiddenAndExplained) {
    const auto who =
        SignedCall("AKIAIOSFODNN7EXAMPLE", "x", "{}", kNow).check(*signing_keys(), "{}", kNow);
    ASSERT_FALSE(who);
    EXPECT_EQ(who.error().code, ErrorCode::kForbidden);
    EXPECT_NE(who.error().message.find("AWS_BEARER_TOKEN_BEDROCK"), std::string::npos);
}

TEST(KeyIndex, RefusesAnAccessKeyIdThatTwoKeysHave) {
    KeyEntry a = entry("a", {"s1"}), b = entry("b", {"s2"});
    a.access_key = b.access_key = AccessKeyPair{"EKID1", Secret("a-long-secret-of-ours")};
    const auto index = KeyIndex::build({a, b});
    ASSERT_FALSE(index);
    EXPECT_NE(index.error().message.find("same access key id"), std::string::npos);
}

TEST(KeyIndex, FindsTheKeyByAnyOfItsSecrets) {
    const auto index = *KeyIndex::build({entry("a", {"s1"}), entry("b", {"s2", "s3"})});
    EXPECT_EQ((*index->authenticate("s1", kNow))->key, KeyId("a"));
    EXPECT_EQ((*index->authenticate("s2", kNow))->key, KeyId("b"));
    EXPECT_EQ((*index->authenticate("s3", kNow))->index, 1U);
    EXPECT_EQ(index->find(KeyId("b"))->key, KeyId("b"));
}

TEST(KeyIndex, KnowsNobodyWithoutASecretOrWithAnotherOne) {
    const auto index = *KeyIndex::build({entry("a", {"s1"})});
    for (const char* secret : {"", "s", "s11", "S1"}) {
        const auto who = index->authenticate(secret, kNow);
        ASSERT_FALSE(who);
        EXPECT_EQ(who.error().code, ErrorCode::kUnauthenticated);
    }
    EXPECT_FALSE(KeyIndex().authenticate("s1", kNow));
    EXPECT_FALSE((*KeyIndex::build({}))->authenticate("", kNow));
}

TEST(KeyIndex, ForbidsDisabledAndExpiredKeysByName) {
    KeyEntry disabled = entry("off", {"s1"});
    disabled.principal.disabled = true;
    KeyEntry expiring = entry("old", {"s2"});
    expiring.principal.expires = kNow;
    const auto index = *KeyIndex::build({disabled, expiring});
    EXPECT_EQ(index->authenticate("s1", kNow).error().code, ErrorCode::kForbidden);
    EXPECT_TRUE(index->authenticate("s2", kNow - 1ns));
    const auto expired = index->authenticate("s2", kNow);
    ASSERT_FALSE(expired);
    EXPECT_NE(expired.error().message.find("'old' expired"), std::string::npos);
}

TEST(KeyIndex, RefusesTwoKeysWithOneSecret) {
    const auto index = KeyIndex::build({entry("a", {"s1"}), entry("b", {"s1"})});
    ASSERT_FALSE(index);
    EXPECT_NE(index.error().message.find("'a' and 'b'"), std::string::npos);
    EXPECT_FALSE(KeyIndex::build({entry("a", {"s1", "s1"})}));
}

TEST(KeyIndex, HoldsManyKeysWithoutConfusingThem) {
    std::vector<KeyEntry> entries;
    for (int i = 0; i < 20'000; ++i)
        entries.push_back(entry(("k" + std::to_string(i)).c_str(), {std::to_string(i).c_str()}));
    const auto index = *KeyIndex::build(std::move(entries));
    for (int i = 0; i < 20'000; i += 7)
        EXPECT_EQ((*index->authenticate(std::to_string(i), kNow))->index, static_cast<unsigned>(i));
    EXPECT_FALSE(index->authenticate("20000", kNow));
}

TEST(NameSet, AllowsExactNamesAndPrefixes) {
    const NameSet set({"gpt-4o", "claude-*"});
    EXPECT_TRUE(set.allows("gpt-4o"));
    EXPECT_FALSE(set.allows("gpt-4o-mini"));
    EXPECT_TRUE(set.allows("claude-sonnet-4-5"));
    EXPECT_FALSE(set.allows("claude"));
    EXPECT_TRUE(NameSet::all().allows("anything"));
    EXPECT_FALSE(NameSet().allows("anything"));
}

TEST(NameSet, CoversWhatItAllowsAndNothingWider) {
    const NameSet set({"gpt-4o", "claude-*"});
    EXPECT_TRUE(set.covers(NameSet({"claude-sonnet-*", "gpt-4o"})));
    EXPECT_FALSE(set.covers(NameSet({"gpt-*"})));
    EXPECT_FALSE(set.covers(NameSet::all()));
    EXPECT_TRUE(NameSet::all().covers(set));
}

TEST(RegionSet, KeepsNamesInLowerCase) {
    EXPECT_EQ(RegionSet({"EU", "eastus"}).names(), (std::vector<std::string>{"eu", "eastus"}));
    EXPECT_FALSE(RegionSet({"eu"}).allows_all());
    EXPECT_FALSE(RegionSet().allows_all());
    EXPECT_TRUE(RegionSet({"eu", "*"}).allows_all());
}

TEST(Bucket, GivesItsMinutesAllowanceAndRefillsEvenly) {
    Bucket bucket;
    MonotonicTime now{5'000'000'000};
    for (int i = 0; i < 60; ++i) EXPECT_EQ(bucket.take(1, 60, now), 0ns) << i;
    EXPECT_EQ(bucket.take(1, 60, now), 1s);
    EXPECT_EQ(bucket.left(60, now), 0);
    EXPECT_EQ(bucket.take(1, 60, now + 999ms), 1ms);
    EXPECT_EQ(bucket.take(1, 60, now + 1s), 0ns);
    EXPECT_EQ(bucket.left(60, now + 31s), 30);
    EXPECT_EQ(bucket.left(60, now + 1h), 60);
}

TEST(Bucket, NeverGivesMoreThanItsLimitInAnyMinuteAfterTheBurst) {
    Bucket bucket;
    std::int64_t given = 0;
    MonotonicTime now{0};
    for (int step = 0; step < 10 * 600; ++step, now = now + 100ms)
        if (bucket.take(7, 1000, now) == 0ns) given += 7;
    EXPECT_LE(given, 1000 * 11);  // ten minutes' refill and the full bucket at the start
    EXPECT_GE(given, 1000 * 10);
}

TEST(Bucket, CorrectionsGoBothWays) {
    Bucket bucket;
    const MonotonicTime now{0};
    ASSERT_EQ(bucket.take(800, 1000, now), 0ns);
    bucket.adjust(-700, 1000, now);
    EXPECT_EQ(bucket.left(1000, now), 900);
    bucket.adjust(1900, 1000, now);
    EXPECT_EQ(bucket.left(1000, now), 0);
    EXPECT_EQ(bucket.left(1000, now + 60s), 0);
    EXPECT_EQ(bucket.left(1000, now + 90s), 500);
    EXPECT_EQ(bucket.take(1001, 1000, now), Bucket::kNever);
}

constexpr LimitOwner kOwner{LimitLevel::kKey, "ci"};

TEST(Limiter, RefusalSaysWhichLimitWhatIsLeftAndWhenToRetry) {
    const Limits limits{.requests_per_minute = 2, .tokens_per_minute = 1000, .concurrent = 5};
    Limiter limiter;
    const MonotonicTime now{0};
    EXPECT_FALSE(limiter.admit(limits, kOwner, 100, now));
    const auto tokens = limiter.admit(limits, kOwner, 950, now);
    ASSERT_TRUE(tokens);
    EXPECT_EQ(tokens->kind, LimitKind::kTokens);
    EXPECT_EQ(tokens->left, 900);
    EXPECT_EQ(tokens->retry_after, 3000ms);
    EXPECT_FALSE(limiter.admit(limits, kOwner, 100, now));
    const auto requests = limiter.admit(limits, kOwner, 100, now);
    ASSERT_TRUE(requests);
    EXPECT_EQ(requests->kind, LimitKind::kRequests);
    EXPECT_EQ(requests->retry_after, 30'000ms);
    // The refused request took no tokens.
    EXPECT_EQ(limiter.tokens_left(limits, now), 800);
    const auto never = limiter.admit(limits, kOwner, 5000, now);
    ASSERT_TRUE(never);
    EXPECT_EQ(never->retry_after, 0ms);
    EXPECT_EQ(never->message,
        "The key 'ci' may use 1000 tokens per minute; this request may use 5000, so it can never "
        "be admitted. Lower max_tokens or shorten the prompt.");
}

TEST(Limiter, CountsWhatIsInFlightAndCorrectsTheTokens) {
    const Limits limits{.tokens_per_minute = 1000, .concurrent = 1};
    Limiter limiter;
    const MonotonicTime now{0};
    EXPECT_FALSE(limiter.admit(limits, kOwner, 600, now));
    const auto busy = limiter.admit(limits, kOwner, 1, now);
    ASSERT_TRUE(busy);
    EXPECT_EQ(busy->kind, LimitKind::kConcurrent);
    limiter.finish(limits, 600, 50, now);
    EXPECT_EQ(limiter.in_flight(), 0);
    EXPECT_EQ(limiter.tokens_left(limits, now), 950);
    EXPECT_FALSE(limiter.admit(limits, kOwner, 1, now));
}

TEST(Limiter, WithoutLimitsAdmitsEverything) {
    Limiter limiter;
    for (int i = 0; i < 1000; ++i)
        EXPECT_FALSE(limiter.admit({}, kOwner, 1'000'000'000, MonotonicTime{0}));
    EXPECT_EQ(limiter.in_flight(), 1000);
}

/// A key below a team below an org.
struct Levels {
    Limits key, team, org;
    Limiter of_key, of_team, of_org;

    std::array<LimitStep, 3> steps() {
        return {LimitStep{{LimitLevel::kKey, "ci"}, &key, &of_key},
            LimitStep{{LimitLevel::kTeam, "search"}, &team, &of_team},
            LimitStep{{LimitLevel::kOrg, "acme"}, &org, &of_org}};
    }
    std::optional<LimitRefusal> admit(std::int64_t tokens, MonotonicTime now) {
        const auto all = steps();
        return admit_all(all, tokens, now);
    }
};

TEST(LimitLevels, ARefusalAtOneTakesFromNone) {
    Levels levels{.key = {.requests_per_minute = 10, .tokens_per_minute = 1000},
        .team = {.tokens_per_minute = 1000, .concurrent = 9},
        .org = {.requests_per_minute = 1}};
    const MonotonicTime now{0};
    EXPECT_FALSE(levels.admit(100, now));
    const auto refused = levels.admit(100, now);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->level, LimitLevel::kOrg);
    EXPECT_EQ(refused->message,
        "The org 'acme' may make 1 requests per minute, and none is left. Retry in 60000 ms.");
    EXPECT_EQ(levels.of_key.tokens_left(levels.key, now), 900);
    EXPECT_EQ(levels.of_key.requests_left(levels.key, now), 9);
    EXPECT_EQ(levels.of_team.tokens_left(levels.team, now), 900);
    EXPECT_EQ(levels.of_key.in_flight(), 1);
    EXPECT_EQ(levels.of_team.in_flight(), 1);
    EXPECT_EQ(levels.of_org.in_flight(), 1);
}

TEST(LimitLevels, OfSeveralRefusalsTheOneIsToldThatHoldsLongest) {
    Levels levels{.key = {.requests_per_minute = 60, .concurrent = 1},
        .team = {.requests_per_minute = 2},
        .org = {.tokens_per_minute = 500}};
    const MonotonicTime now{0};
    EXPECT_FALSE(levels.admit(10, now));
    EXPECT_EQ(levels.admit(10, now)->level, LimitLevel::kKey) << "one is in flight";
    levels.of_key.finish(levels.key, 10, 10, now);
    EXPECT_FALSE(levels.admit(10, now));
    const auto longest = levels.admit(10, now);
    EXPECT_EQ(longest->level, LimitLevel::kTeam) << longest->message;
    EXPECT_EQ(longest->retry_after, 30'000ms);
    const auto hopeless = levels.admit(501, now);
    EXPECT_EQ(hopeless->level, LimitLevel::kOrg);
    EXPECT_EQ(hopeless->retry_after, 0ms);
}

// Who waits as long as it was told is not refused by another level then.
TEST(LimitLevels, WaitingAsToldIsEnoughForAllOfThem) {
    std::uint64_t seed = 1;
    const auto any = [&](std::int64_t most) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        return 1 + static_cast<std::int64_t>((seed >> 33) % static_cast<std::uint64_t>(most));
    };
    for (int round = 0; round < 300; ++round) {
        Levels levels{
            .key = {.requests_per_minute = any(100), .tokens_per_minute = 1000 + any(9000)},
            .team = {.requests_per_minute = any(100), .tokens_per_minute = 1000 + any(9000)},
            .org = {.requests_per_minute = any(100), .tokens_per_minute = 1000 + any(9000)}};
        MonotonicTime now{0};
        for (int request = 0; request < 50; ++request) {
            const std::int64_t tokens = any(1000);
            const auto refused = levels.admit(tokens, now);
            if (!refused) continue;
            ASSERT_GT(refused->retry_after, 0ms);
            now = now + refused->retry_after;
            ASSERT_FALSE(levels.admit(tokens, now)) << refused->message;
        }
    }
}

}  // namespace
}  // namespace entrepot::auth
