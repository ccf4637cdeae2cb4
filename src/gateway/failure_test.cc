// A supplier's failure on its way to the clients of another dialect.
#include "gateway/failure.h"

#include <gtest/gtest.h>

#include "dialect/registry.h"

namespace entrepot::gateway {
namespace {

using canon::Failure;
using enum canon::FailureKind;

Failure carried(std::string_view to, Failure stated) {
    return carried_to(*dialect::find_dialect(to), std::move(stated));
}

TEST(CarriedFailure, HasTheStatusAndNoneOfTheWordsOfItsSupplier) {
    const Failure stated{.kind = kOverloaded,
        .status = 503,
        .message = "Bedrock is busy.",
        .code = "ServiceUnavailableException"};
    EXPECT_EQ(carried("openai-chat", stated).status, 503);
    EXPECT_EQ(carried("anthropic-messages", stated).status, 529);
    EXPECT_EQ(carried("openai-chat", stated).code, "");
    const Failure slow{.kind = kTimeout, .status = 504, .message = "too slow"};
    EXPECT_EQ(carried("bedrock-converse", slow).status, 408);
    EXPECT_EQ(carried("gemini", slow).status, 504);
}

TEST(CarriedFailure, NamesAFieldOfTheSuppliersInItsMessage) {
    const Failure stated{.kind = kInvalidRequest,
        .status = 400,
        .message = "must be below 2",
        .param = "generation_config.temperature"};
    const Failure seen = carried("openai-chat", stated);
    EXPECT_EQ(seen.message, "generation_config.temperature: must be below 2");
    EXPECT_EQ(seen.param, "");
}

// What a supplier thinks of our account, under whatever status.
TEST(CarriedFailure, SaysNothingOfTheGatewaysOwnAccount) {
    for (const canon::FailureKind kind :
        {kAuthentication, kPermission, kBilling, kQuotaExhausted}) {
        const Failure stated{.kind = kind, .status = 400, .message = "API key not valid"};
        EXPECT_EQ(code_of(stated, 400), ErrorCode::kUpstreamAuth);
        const Failure seen = carried("anthropic-messages", stated);
        EXPECT_EQ(seen.kind, kServer);
        EXPECT_EQ(seen.message.find("API key"), std::string::npos);
    }
    const Failure limited{.kind = kRateLimited, .status = 400, .message = "service quota"};
    EXPECT_EQ(code_of(limited, 400), ErrorCode::kUpstreamRateLimited);
}

// Some clients take a 429 that names no time for one that no waiting helps.
TEST(CarriedFailure, ALimitOfTheRateAlwaysSaysHowLongToWait) {
    EXPECT_EQ(carried("openai-chat", {.kind = kRateLimited, .status = 429}).retry_after,
        std::chrono::milliseconds(1000));
    EXPECT_EQ(
        carried("openai-chat",
            {.kind = kRateLimited, .status = 429, .retry_after = std::chrono::milliseconds(48'000)})
            .retry_after,
        std::chrono::milliseconds(48'000));
    EXPECT_FALSE(carried("openai-chat", {.kind = kInvalidRequest}).retry_after);
}

TEST(CarriedFailure, AFullContextIsSaidInTheWordsThatClientsRecoverFrom) {
    const Failure stated{.kind = kContextExceeded,
        .status = 400,
        .message =
            "The input token count (1200000) exceeds the maximum number of tokens allowed "
            "(1048576)."};
    EXPECT_EQ(carried("anthropic-messages", stated).message,
        "prompt is too long: 1200000 tokens > 1048576 maximum");
    EXPECT_EQ(carried("openai-chat", stated).message,
        "This model's maximum context length is 1048576 tokens. However, your messages resulted in "
        "1200000 tokens. Please reduce the length of the messages.");
    EXPECT_TRUE(carried("openai-responses", stated)
            .message.starts_with("Your input exceeds the context window of this model."));
    EXPECT_TRUE(carried("bedrock-converse", stated)
            .message.starts_with("Input is too long for requested model."));
    const Failure unsaid{.kind = kContextExceeded, .status = 400, .message = "Input is too long."};
    EXPECT_EQ(
        carried("anthropic-messages", unsaid).message, "prompt is too long: Input is too long.");
}

}  // namespace
}  // namespace entrepot::gateway
