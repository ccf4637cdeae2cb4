// What is asked of models besides conversations: the same pipeline, holds and books.
#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

constexpr std::string_view kVectors =
    R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5, -0.25]}],)"
    R"("model":"e-2026","usage":{"prompt_tokens":7,"total_tokens":7}})";

class TasksTest : public GatewayTest {
protected:
    /// `vectors` at a supplier of that kind; nothing is known of it but the price of its input.
    void serve(std::string_view kind, std::string_view settings, std::string_view id = "e-2026",
        std::string_view more = "") {
        first.on_request = [this](const net::ServerRequest& request) { target_ = request.target; };
        start_with(fmt::format(R"(clouds:
  first: {{kind: {}, endpoint: "http://127.0.0.1:{}", {}}}
models:
  vectors:
    offers:
      first:
        cloud: first
        id: "{}"
        price: {{input: "1.00", output: "0", currency: USD}}
        {}
)",
            kind, first.port, settings, id, more));
    }
    Reply post(std::string_view path, std::string_view body) {
        return call(gateway_->port(), "POST", path, body);
    }

    std::string target_;
};

Script whole(std::string_view body, int status = 200) {
    Script script;
    script.pieces = {std::string(body)};
    script.status = status;
    return script;
}

TEST_F(TasksTest, EmbeddingsPassByteForByteAndAreBookedByTheirInput) {
    serve("openai_compatible", "api_key: sk-up");
    first.plan(whole(kVectors));
    const Reply reply = post("/v1/embeddings", R"({ "model":"vectors", "input" : "hi" , "own":1})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.body, kVectors);
    EXPECT_EQ(target_, "/embeddings");
    EXPECT_EQ(first.last_body(), R"({ "model":"e-2026", "input" : "hi" , "own":1})");
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.cost.to_decimal(), "0.000007");
    EXPECT_EQ(report.dialect, "openai-embeddings");
    expect_books_in_order();
}

// The hold needs no cap on an answer that is not billed.
TEST_F(TasksTest, EmbeddingsWithoutUsageAreCountedByTheirBytesAndMarked) {
    serve("openai_compatible", "api_key: sk-up");
    first.plan(whole(R"({"object":"list","data":[{"object":"embedding","index":0,)"
                     R"("embedding":[0.5]}],"model":"e"})"));
    const Reply reply =
        post("/v1/embeddings", R"({"model":"vectors","input":[[1,2,3],[400000,5]]})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.cost.to_decimal(), "0.000005");  // one for each token id
    ASSERT_EQ(report.attempts.size(), 1u);
    EXPECT_NE(report.attempts[0].flags & ledger::settle_flag::kEstimated, 0);
    expect_books_in_order();
}

TEST_F(TasksTest, AServerWithoutBase64IsConvertedForTheClientThatAskedForIt) {
    serve("openai_compatible", "api_key: sk-up");
    first.plan(whole(kVectors));
    const Reply reply =
        post("/v1/embeddings", R"({"model":"vectors","input":"hi","encoding_format":"base64"})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(reply.body.find(R"("embedding":"AAAAPwAAgL4=")"), std::string::npos) << reply.body;
    EXPECT_NE(reply.body.find(R"("usage":{"prompt_tokens":7,"total_tokens":7})"), std::string::npos)
        << reply.body;
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.000007");
    expect_books_in_order();
}

TEST_F(TasksTest, AnAzureDeploymentInThePathBecomesTheModelOfTheBody) {
    serve("azure", "api_key: k");
    first.plan(whole(kVectors));
    const Reply reply = post(
        "/openai/deployments/vectors/embeddings?api-version=2024-10-21", R"({"input":["hi"]})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(target_, "/openai/v1/embeddings");
    EXPECT_EQ(first.last_body(), R"({"model":"e-2026","input":["hi"]})");
    expect_books_in_order();
}

constexpr std::string_view kTitan = R"({"embedding":[0.5,-0.25],"inputTextTokenCount":3})";

// Titan takes one text a call: one attempt, one hold, one booking, in the order of the texts.
TEST_F(TasksTest, MoreTextsThanASupplierTakesAreAskedInParts) {
    serve("bedrock", "region: us-east-1, api_key: k", "amazon.titan-embed-text-v2:0");
    first.plan_next({whole(kTitan), whole(R"({"embedding":[1,0],"inputTextTokenCount":4})")});
    first.plan(whole(kTitan));
    const Reply reply = post("/v1/embeddings",
        R"({"model":"vectors","input":["a","b","c"],"dimensions":256,"user":"u"})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(first.served(), 3u);
    EXPECT_EQ(first.last_body(), R"({"inputText":"c","dimensions":256})");
    EXPECT_EQ(reply.body,
        R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-0.25]},)"
        R"({"object":"embedding","index":1,"embedding":[1,0]},)"
        R"({"object":"embedding","index":2,"embedding":[0.5,-0.25]}],"model":"vectors",)"
        R"("usage":{"prompt_tokens":10,"total_tokens":10}})");
    EXPECT_EQ(reply.headers.at("x-entrepot-dropped"), "user");
    EXPECT_EQ(reply.headers.at("x-entrepot-attempts"), "1");
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.00001");
    expect_books_in_order();
}

// Its place is all that tells whose a vector is.
TEST_F(TasksTest, APartThatLacksAVectorIsRefusedAndBooked) {
    const auto reply_of = [](int count) {
        std::string list;
        for (int i = 0; i < count; ++i) list += fmt::format("{}[{}]", i == 0 ? "" : ",", i);
        return whole(fmt::format(R"({{"id":"x","embeddings":{{"float":[{}]}},"texts":[],)"
                                 R"("meta":{{"billed_units":{{"input_tokens":5}}}}}})",
            list));
    };
    std::string inputs;
    for (int i = 0; i < 97; ++i) inputs += fmt::format(R"({}"t{}")", i == 0 ? "" : ",", i);
    const std::string ask = fmt::format(R"({{"model":"vectors","input":[{}]}})", inputs);
    serve("cohere", "api_key: k", "embed-v4.0", "input_type: document");
    for (const int count : {95, 97}) {
        first.plan_next({reply_of(count), reply_of(1)});
        const Reply reply = post("/v1/embeddings", ask);
        EXPECT_EQ(reply.status, 502) << reply.body.substr(0, 300);
        const store::ExchangeReport report = report_of(reply);
        EXPECT_FALSE(report.cost.is_zero());
        EXPECT_NE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated, 0);
    }
    first.plan_next({reply_of(96), reply_of(1)});
    const Reply reply = post("/v1/embeddings", ask);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(reply.body.find(R"("index":96,"embedding":[0])"), std::string::npos) << reply.body;
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.00001");
    expect_books_in_order();
}

TEST_F(TasksTest, WhatWasAnsweredBeforeAPartWasRefusedIsBooked) {
    serve("bedrock", "region: us-east-1, api_key: k", "amazon.titan-embed-text-v2:0");
    first.plan_next({whole(kTitan), whole(kTitan)});
    first.plan(whole(R"({"message":"too long"})", 400));
    const Reply reply = post("/v1/embeddings", R"({"model":"vectors","input":["a","b","c"]})");
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_NE(reply.body.find("too long"), std::string::npos) << reply.body;
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.cost.to_decimal(), "0.000006");
    EXPECT_EQ(report.attempts.at(0).flags & ledger::settle_flag::kEstimated, 0);
    expect_books_in_order();
}

TEST_F(TasksTest, AGoogleClientsBodyNamesTheModelThatThePathOfItsSupplierNames) {
    serve("gemini", "api_key: k", "gemini-embedding-2");
    first.plan(
        whole(R"({"embeddings":[{"values":[0.5]}],"usageMetadata":{"promptTokenCount":4}})"));
    const Reply reply = post("/v1beta/models/vectors:batchEmbedContents",
        R"({"requests":[{"model":"models/vectors","content":{"parts":[{"text":"a"}]}}]})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(target_, "/v1beta/models/gemini-embedding-2:batchEmbedContents");
    EXPECT_EQ(first.last_body(),
        R"({"requests":[{"model":"models/gemini-embedding-2",)"
        R"("content":{"parts":[{"text":"a"}]}}]})");
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.000004");
    expect_books_in_order();
}

TEST_F(TasksTest, CountingTokensIsFreeAndBookedAsARequest) {
    serve("anthropic", "api_key: k");
    first.plan(whole(R"({"input_tokens":14})"));
    const std::string_view ask =
        R"({"model":"vectors","messages":[{"role":"user","content":"hi"}]})";
    const Reply reply = post("/v1/messages/count_tokens?beta=true", ask);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.body, R"({"input_tokens":14})");
    EXPECT_EQ(target_, "/v1/messages/count_tokens");
    EXPECT_EQ(reply.headers.at("x-entrepot-cost"), "0.00 USD");
    const store::ExchangeReport report = report_of(reply);
    EXPECT_TRUE(report.cost.is_zero());
    EXPECT_TRUE(report.attempts.at(0).held.is_zero());
    EXPECT_EQ(canon::to_json(report.attempts.at(0).usage), R"({"requests":1})");
    EXPECT_EQ(report.attempts.at(0).flags, 0);
    expect_books_in_order();
}

TEST_F(TasksTest, TokensAreCountedByTheSupplierOfAnotherDialectOrNotAtAll) {
    serve("gemini", "api_key: k", "gemini-2.5-flash");
    first.plan(whole(R"({"totalTokens":9})"));
    const std::string_view ask =
        R"({"model":"vectors","messages":[{"role":"user","content":"hi"}]})";
    const Reply counted = post("/v1/messages/count_tokens", ask);
    EXPECT_EQ(counted.status, 200) << counted.body;
    EXPECT_EQ(counted.body, R"({"input_tokens":9})");
    EXPECT_EQ(target_, "/v1beta/models/gemini-2.5-flash:countTokens");

    serve("cohere", "api_key: k");
    const Reply refused = post("/v1/messages/count_tokens", ask);
    EXPECT_EQ(refused.status, 400) << refused.body;
    EXPECT_NE(refused.body.find("can count tokens"), std::string::npos) << refused.body;
    EXPECT_NE(refused.body.find(R"("type":"error")"), std::string::npos) << refused.body;
    expect_books_in_order();
}

TEST_F(TasksTest, AModelWhoseSupplierHasNoSuchCallIsRefusedByName) {
    serve("anthropic", "api_key: k");
    const Reply reply = post("/v1/embeddings", R"({"model":"vectors","input":"hi"})");
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_NE(reply.body.find("can make embeddings"), std::string::npos) << reply.body;
    EXPECT_EQ(first.served(), 0u);
    expect_books_in_order();
}

}  // namespace
}  // namespace entrepot::gateway
