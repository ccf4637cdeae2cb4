// What dialects share without knowing each other: sealed signatures, sets of allowed tools.
#include <gtest/gtest.h>

#include "dialect/registry.h"
#include "dialect/sealed_signature.h"
#include "json/value.h"

namespace entrepot::dialect {
namespace {

TEST(SealedSignature, ComesBackAsItWasWhateverIsInIt) {
    for (const Sealed::Of of :
        {Sealed::Of::kThought, Sealed::Of::kRedacted, Sealed::Of::kPart, Sealed::Of::kEmptyText})
        for (const std::string call : {"", "call_1", "a:b:3:"})
            for (const std::string data : {"", "Eq/+==", ":12:x"}) {
                const Sealed sealed{{"anthropic-messages", data}, of, call};
                EXPECT_EQ(unseal(seal(sealed)), sealed) << seal(sealed);
            }
}

TEST(SealedSignature, WhatWasNotSealedHereIsNot) {
    for (const std::string text :
        {"", "gAAAAABo", "epot1:", "epot1::t:0:", "epot1:gemini", "epot1:gemini:", "epot1:gemini:t",
            "epot1:gemini:x:0:a", "epot1:gemini:t:a:", "epot1:gemini:t:5", "epot1:gemini:t:5:abcd",
            "epot1:gemini:t:-1:abcd", "epot1:gemini:t:99999999999999999999:"})
        EXPECT_FALSE(unseal(text)) << text;
}

// Who knows no such set is not offered the others.
TEST(AllowedTools, AreTheOnlyOnesThatReachASupplier) {
    const std::string body = R"({"model":"m","messages":[{"role":"user","content":"hi"}],)"
                             R"("max_tokens":9,"tools":[)"
                             R"({"type":"function","function":{"name":"a"}},)"
                             R"({"type":"function","function":{"name":"b"}}],)"
                             R"("tool_choice":{"type":"allowed_tools","allowed_tools":)"
                             R"({"mode":"required","tools":[{"type":"function","function":)"
                             R"({"name":"b"}}]}}})";
    const auto carry = [&](std::string_view to) {
        const auto carried =
            translate(*find_dialect("openai-chat"), *find_dialect(to), BodyKind::kRequest, body,
                {.model_id = "claude-sonnet-4-5", .on_lossy = OnLossy::kRefuse});
        EXPECT_TRUE(carried) << carried.error().message;
        return carried ? carried->bytes : std::string();
    };
    EXPECT_NE(carry("openai-chat")
                  .find(R"("tool_choice":{"type":"allowed_tools",)"
                        R"("allowed_tools":{"mode":"required","tools":[)"
                        R"({"type":"function","function":{"name":"b"}}]}})"),
        std::string::npos);
    const std::string messages = carry("anthropic-messages");
    EXPECT_EQ(messages.find(R"("name":"a")"), std::string::npos) << messages;
    EXPECT_NE(messages.find(R"("tool_choice":{"type":"any"})"), std::string::npos) << messages;
    const std::string converse = carry("bedrock-converse");
    EXPECT_EQ(converse.find(R"("name":"a")"), std::string::npos) << converse;
    EXPECT_NE(converse.find(R"("toolChoice":{"any":{}})"), std::string::npos) << converse;
}

// Unknown fields ride along by their path. `x.max_tokens` inside an object must not come out as
// that object's `max_tokens`, which nobody has held money for.
TEST(OddNames, AreRefusedByEveryDialectBecauseTheyCouldBeTakenForOtherFields) {
    constexpr std::string_view kMessages = R"("messages":[{"role":"user","content":"hi"}])";
    constexpr std::string_view kBlocks =
        R"("messages":[{"role":"user","content":[{"text":"hi"}]}])";
    constexpr std::string_view kContents = R"("contents":[{"parts":[{"text":"hi"}]}])";
    struct Case {
        std::string_view dialect;
        std::string_view model;
        std::string_view rest;
        std::string field;
    };
    const Case cases[]{
        {"openai-chat", "m", kMessages, "a%2Eb"},
        {"openai-responses", "m", R"("input":"hi")", "a%2Eb"},
        {"anthropic-messages", "m", R"("max_tokens":9,"messages":[{"role":"user","content":"hi"}])",
            "a%2Eb"},
        {"anthropic-messages", "m",
            R"("max_tokens":9,"metadata":{"x[y":1},"messages":[{"role":"user","content":"hi"}])",
            "metadata.x%5By"},
        {"bedrock-converse", "m", kBlocks, "a%2Eb"},
        {"bedrock-invoke", "amazon.nova-lite-v1:0", kBlocks, "additionalModelRequestFields.a%2Eb"},
        {"bedrock-invoke", "meta.llama3-8b-instruct-v1:0", R"("prompt":"hi")", "a%2Eb"},
        {"bedrock-invoke", "cohere.command-r-v1:0", R"("message":"hi")", "a%2Eb"},
        {"gemini", "m", kContents, "a%2Eb"},
        {"cohere", "m", kMessages, "a%2Eb"},
    };
    for (const Case& odd : cases) {
        const std::string added = odd.field.find("a%2Eb") != std::string::npos ? R"("a.b":1,)" : "";
        const auto decoded = [&](const std::string& extra) {
            const auto body = json::Document::parse(
                "{" + extra + R"("model":"m",)" + std::string(odd.rest) + "}");
            RequestContext context;
            const Dialect& dialect = *find_dialect(odd.dialect);
            if (dialect.has_model_in_path) context.model = odd.model;
            return dialect.decode_request(*body, context);
        };
        const auto refused = decoded(added);
        ASSERT_FALSE(refused) << odd.dialect;
        EXPECT_EQ(refused.error().field, odd.field) << odd.dialect;
        if (added.empty()) continue;
        EXPECT_TRUE(decoded(R"("a-b":1,)")) << odd.dialect;
    }
}

}  // namespace
}  // namespace entrepot::dialect
