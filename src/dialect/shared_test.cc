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

}  // namespace
}  // namespace entrepot::dialect
