#include "gateway/door.h"

#include <gtest/gtest.h>

#include "dialect/registry.h"

namespace entrepot::gateway {
namespace {

std::string_view dialect_at(std::string_view path) {
    const auto door = find_door(path);
    return door ? door->dialect->name : "nothing";
}

TEST(Door, LeadsEveryClientToItsDialect) {
    EXPECT_EQ(dialect_at("/v1/chat/completions"), "openai-chat");
    EXPECT_EQ(dialect_at("/openai/deployments/gpt-4o/chat/completions"), "azure-openai");
    EXPECT_EQ(dialect_at("/openai/v1/chat/completions"), "azure-openai");
    EXPECT_EQ(dialect_at("/v1/messages"), "anthropic-messages");
    EXPECT_EQ(dialect_at("/model/m/converse"), "bedrock-converse");
    EXPECT_EQ(dialect_at("/v1/models"), "openai-chat");
}

TEST(Door, ReadsModelAndFormFromThePathAndDecodesTheModelOnce) {
    const auto door =
        find_door("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprofile%2Fa%252Fb/converse-stream");
    ASSERT_TRUE(door);
    EXPECT_EQ(door->model, "arn:aws:bedrock:us-east-1:1:profile/a%2Fb");
    EXPECT_EQ(door->is_stream, true);
    EXPECT_EQ(find_door("/model/anthropic.claude:0/converse")->is_stream, false);
    EXPECT_FALSE(find_door("/v1/messages")->is_stream.has_value());
    EXPECT_FALSE(find_door("/v1/messages")->model.has_value());
    EXPECT_EQ(find_door("/openai/deployments/my%20gpt/chat/completions")->model, "my gpt");
}

TEST(Door, GooglesPathsAreServedWithAndWithoutAProject) {
    for (const std::string version : {"/v1", "/v1beta1"}) {
        const std::string place = version + "/projects/p/locations/eu";
        for (const std::string_view path : {"/publishers/google/models/m:generateContent",
                 "/publishers/meta/models/m:generateContent", "/endpoints/m:generateContent"}) {
            EXPECT_EQ(dialect_at(place + std::string(path)), "vertex") << path;
            EXPECT_EQ(find_door(place + std::string(path))->model, "m");
        }
        const auto express =
            find_door(version + "/publishers/google/models/m:streamGenerateContent");
        ASSERT_TRUE(express);
        EXPECT_EQ(express->dialect->name, "vertex");
        EXPECT_EQ(express->is_stream, true);
        EXPECT_EQ(dialect_at(place + "/publishers/anthropic/models/count-tokens:rawPredict"),
            "vertex-anthropic-count-tokens");
        EXPECT_EQ(
            dialect_at(version + "/publishers/google/models/m:countTokens"), "vertex-count-tokens");
        EXPECT_EQ(dialect_at(version + "/publishers/google/models/m:predict"), "vertex-predict");
        EXPECT_EQ(dialect_at(place + "/publishers/anthropic/models/c@1:streamRawPredict"),
            "vertex-anthropic");
        EXPECT_EQ(dialect_at(place + "/endpoints/openapi/chat/completions"), "openai-chat");
    }
    EXPECT_EQ(dialect_at("/v1beta/openai/chat/completions"), "openai-chat");
    EXPECT_EQ(dialect_at("/v1beta/openai/embeddings"), "openai-embeddings");
}

TEST(Door, ForgivesSlashesTooManyButNoOtherDifference) {
    EXPECT_EQ(dialect_at("//v1//chat/completions/"), "openai-chat");
    EXPECT_EQ(dialect_at("/v1/messages/"), "anthropic-messages");
    for (const std::string_view path : {"/v1/chat", "/v1/chat/completions/x",
             "/V1/chat/completions", "/v1/chatcompletions", "/model//converse",
             "/model/m/converse/x", "/", "", "/openai/deployments//chat/completions"})
        EXPECT_EQ(dialect_at(path), "nothing") << path;
}

TEST(Door, ANameWithSlashesIsOneName) {
    EXPECT_EQ(find_door("/v1/models/meta/llama-3")->model, "meta/llama-3");
    EXPECT_EQ(find_door("/v1/models/meta%2Fllama-3")->model, "meta/llama-3");
    EXPECT_EQ(find_door("/v1/models/")->operation, Operation::kModels);
    EXPECT_FALSE(find_door("/v1/models/")->model.has_value());
}

TEST(Door, WhereThereIsNoneTheErrorIsInTheDialectOfThePath) {
    EXPECT_EQ(dialect_of_prefix("/v1/messages/batches").name, "anthropic-messages");
    EXPECT_EQ(dialect_of_prefix("/model/x/other").name, "bedrock-converse");
    EXPECT_EQ(dialect_of_prefix("/v1/files").name, "openai-chat");
}

TEST(Door, WhoFindsNoneIsToldOfThoseThatBeginAlike) {
    EXPECT_TRUE(doors_near("/v1/nothing").starts_with("POST /v1/chat/completions, "));
    EXPECT_TRUE(doors_near("/model/m/other").starts_with("POST /model/{model}/converse, "));
    EXPECT_TRUE(doors_near("/openai/deployments/x").starts_with("POST /openai/deployments/"));
    const std::string near = doors_near("/v1/messages/other");
    EXPECT_TRUE(near.starts_with("POST /v1/messages, ")) << near;
    EXPECT_NE(near.find("POST /v1/chat/completions"), near.npos) << near;
    EXPECT_LT(near.size(), 300U);
}

}  // namespace
}  // namespace entrepot::gateway
