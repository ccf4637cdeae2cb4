#include <charconv>

#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

/// A way in, one question asked by it for an answer of at most 100 tokens, and what its clients
/// take for a budget: a status and a word.
struct Way {
    const char* path;
    const char* body;
    int status = 0;
    const char* word = nullptr;
    const char* limit_word = nullptr;  ///< of a limit of rates, which is 429 everywhere
};

constexpr Way kWays[] = {
    {"/v1/chat/completions",
        R"({"model":"tiny","max_tokens":100,"messages":[{"role":"user","content":"hi"}]})", 429,
        "insufficient_quota", "rate_limit_exceeded"},
    {"/v1/responses", R"({"model":"tiny","max_output_tokens":100,"input":"hi"})", 429,
        "insufficient_quota", "rate_limit_exceeded"},
    {"/openai/deployments/tiny/chat/completions?api-version=2024-10-21",
        R"({"max_tokens":100,"messages":[{"role":"user","content":"hi"}]})", 429,
        "insufficient_quota", "rate_limit_exceeded"},
    {"/v1/messages",
        R"({"model":"tiny","max_tokens":100,"messages":[{"role":"user","content":"hi"}]})", 429,
        "rate_limit_error", "rate_limit_error"},
    {"/model/tiny/converse",
        R"({"inferenceConfig":{"maxTokens":100},)"
        R"("messages":[{"role":"user","content":[{"text":"hi"}]}]})",
        400, "ServiceQuotaExceededException", "ThrottlingException"},
    {"/model/tiny/invoke",
        R"({"anthropic_version":"bedrock-2023-05-31","max_tokens":100,)"
        R"("messages":[{"role":"user","content":"hi"}]})",
        400, "ServiceQuotaExceededException", "ThrottlingException"},
    {"/v1beta/models/tiny:generateContent",
        R"({"generationConfig":{"maxOutputTokens":100},)"
        R"("contents":[{"role":"user","parts":[{"text":"hi"}]}]})",
        429, "RESOURCE_EXHAUSTED", "RetryInfo"},
    {"/v1/projects/p/locations/l/publishers/google/models/tiny:generateContent",
        R"({"generationConfig":{"maxOutputTokens":100},)"
        R"("contents":[{"role":"user","parts":[{"text":"hi"}]}]})",
        429, "RESOURCE_EXHAUSTED", "RetryInfo"},
};

/// The question with another cap, in as many bytes: they count in what it may cost.
std::string capped_at(const Way& way, std::int64_t tokens) {
    std::string body = way.body;
    return body.replace(body.find("100"), 3, fmt::format("{:3}", tokens));
}

/// The number that follows `words` in `text`; 0: it is not there.
std::int64_t number_after(const std::string& text, std::string_view words) {
    const auto at = text.find(words);
    std::int64_t number = 0;
    if (at != std::string::npos)
        std::from_chars(text.data() + at + words.size(), text.data() + text.size(), number);
    return number;
}

class RefusalsTest : public GatewayTest {
protected:
    Reply go(const Way& way, std::string_view body, std::string_view key) {
        return call(gateway_->port(), "POST", way.path, body, key);
    }
};

TEST_F(RefusalsTest, ByABudgetSayInEveryDialectWhatIsLeftAskedAndFitsAndWhenItRenews) {
    std::string keys;
    for (std::size_t i = 0; i < std::size(kWays); ++i)
        keys += fmt::format(
            "  poor-{0}: {{team: free, secret: sk-poor-{0}, budgets: [{{limit: "
            "\"0.00025\", period: month}}]}}\n",
            i);
    start(kBudget, keys);
    for (std::size_t i = 0; i < std::size(kWays); ++i) {
        const Way& way = kWays[i];
        const std::string key = fmt::format("sk-poor-{}", i);
        const Reply refused = go(way, way.body, key);
        EXPECT_EQ(refused.status, way.status) << way.path;
        for (const std::string& told : std::vector<std::string>{
                 fmt::format(
                     "the month budget of key 'poor-{}' (0.00025 USD) has 0.00025 USD left", i),
                 "this request may cost up to 0.00", "; max_tokens up to ",
                 "the budget renews at 20", way.word})
            EXPECT_NE(refused.body.find(told), std::string::npos) << way.path << refused.body;
        EXPECT_EQ(refused.headers.at("x-should-retry"), "false") << way.path;
        EXPECT_FALSE(refused.headers.contains("retry-after")) << way.path;
        // What is said to fit does, and not one token more.
        const std::int64_t fits = number_after(refused.body, "max_tokens up to ");
        EXPECT_GT(fits, 0) << way.path;
        EXPECT_EQ(go(way, capped_at(way, fits + 1), key).status, way.status) << way.path;
        EXPECT_EQ(go(way, capped_at(way, fits), key).status, 200) << way.path << refused.body;
    }
    expect_books_in_order();
}

TEST_F(RefusalsTest, ByALimitNameItsOwnerAndWhenToRetryInEveryDialect) {
    start(kBudget, "  slow: {team: busy, secret: sk-slow}\n", "",
        "  busy: {org: free, limits: {requests_per_minute: 1}}\n");
    EXPECT_EQ(ask(kAsk, "sk-slow").status, 200);
    for (const Way& way : kWays) {
        const Reply refused = go(way, way.body, "sk-slow");
        EXPECT_EQ(refused.status, 429) << way.path;
        EXPECT_NE(refused.body.find("The team 'busy' may make 1 requests per minute, and none is "
                                    "left. Retry in "),
            std::string::npos)
            << refused.body;
        EXPECT_NE(refused.body.find(way.limit_word), std::string::npos) << refused.body;
        const std::int64_t told = number_after(refused.body, "Retry in ");
        EXPECT_EQ(refused.headers.at("retry-after-ms"), std::to_string(told)) << way.path;
        EXPECT_EQ(refused.headers.at("retry-after"), std::to_string((told + 999) / 1000));
        EXPECT_FALSE(refused.headers.contains("x-should-retry")) << way.path;
    }
}

}  // namespace
}  // namespace entrepot::gateway
