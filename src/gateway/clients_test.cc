// Clients of every dialect before suppliers of their own and of another one.
#include "base/text.h"
#include "crypto/http_signature.h"
#include "crypto/rsa.h"
#include "crypto/testing.h"
#include "dialect/registry.h"
#include "gateway/testing.h"
#include "json/writer.h"

namespace entrepot::gateway {
namespace {

constexpr std::string_view kMessage =
    R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[)"
    R"({"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,)"
    R"("usage":{"input_tokens":10,"output_tokens":5},"own":  [1, 2.50]})";

constexpr std::string_view kAskMessage =
    R"({ "model" : "tiny", "max_tokens":100, "messages":[{"role":"user","content":"hi"}],)"
    R"( "own" : [1, 2.50] })";
constexpr std::string_view kAskMessageStream =
    R"({"model":"tiny","max_tokens":100,"messages":[{"role":"user","content":"hi"}],)"
    R"("stream":true})";

const std::vector<std::string> kMessageEvents{
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","
    "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[],"
    "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,"
    "\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
    "\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":5}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"};

class ClientsTest : public GatewayTest {
protected:
    /// `tiny` at a supplier of that kind, asked by `first`.
    void serve(std::string_view kind, std::string_view settings,
        std::string_view model_at_cloud = "tiny-2026") {
        start_with(fmt::format(R"(clouds:
  first: {{kind: {}, {}}}
models:
  tiny:
    offers:
      first:
        cloud: first
        id: "{}"
        context_tokens: 8000
        max_output_tokens: 1000
        price: {{input: "1.00", output: "2.00", currency: USD}}
)",
            kind, settings, model_at_cloud));
    }
    void serve_anthropic() {
        first.on_request = [this](const net::ServerRequest& request) {
            target_ = request.target;
            beta_ = request.headers.find("anthropic-beta").value_or("none");
            version_ = request.headers.find("anthropic-version").value_or("none");
        };
        serve("anthropic",
            fmt::format(R"(endpoint: "http://127.0.0.1:{}", api_key: sk-up)", first.port));
    }

    Reply post(std::string_view path, std::string_view body, std::string_view key = "sk-test") {
        return call(gateway_->port(), "POST", path, body, key);
    }

    std::string target_, beta_, version_;
};

std::string joined(const std::vector<std::string>& pieces) {
    std::string out;
    for (const std::string& piece : pieces) out += piece;
    return out;
}

Script whole(std::string_view body) {
    Script script;
    script.pieces = {std::string(body)};
    return script;
}

TEST_F(ClientsTest, AnAnthropicClientAndSupplierPassEachOthersBytes) {
    serve_anthropic();
    first.plan(whole(kMessage));
    const Reply reply = post("/v1/messages?beta=true", kAskMessage);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, kMessage);
    EXPECT_EQ(reply.headers.at("request-id"), reply.headers.at("x-entrepot-exchange"));
    EXPECT_EQ(first.last_body(),
        R"({ "model" : "tiny-2026", "max_tokens":100, "messages":[{"role":"user","content":"hi"}],)"
        R"( "own" : [1, 2.50] })");
    EXPECT_EQ(target_, "/v1/messages");
    EXPECT_EQ(version_, "2023-06-01");
    EXPECT_EQ(beta_, "none");
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

// What a long request became is all that is left of it by then.
TEST_F(ClientsTest, ALongRequestIsSentToItsOnlyOfferAgainAsItWas) {
    serve("openai_compatible", fmt::format(R"(endpoint: "http://127.0.0.1:{}/v1")", first.port));
    Script down;
    down.status = 503;
    first.plan_next({down});
    first.plan(whole(kAnswer));
    const std::string text(20'000, 'x');
    const Reply reply = post("/v1/messages",
        R"({"model":"tiny","max_tokens":100,"messages":[{"role":"user","content":")" + text +
            R"("}]})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(first.served(), 2u);
    EXPECT_TRUE(first.last_body().starts_with(R"({"model":"tiny-2026")")) << first.last_body();
    EXPECT_NE(first.last_body().find(text), std::string::npos);
    expect_books_in_order();
}

// Codex shortens its history on that event and on nothing else.
TEST_F(ClientsTest, AResponsesStreamIsToldInAStreamThatTheContextIsFull) {
    serve_anthropic();
    Script full = whole(R"({"type":"error","error":{"type":"invalid_request_error",)"
                        R"("message":"prompt is too long: 210000 tokens > 200000 maximum"}})");
    full.status = 400;
    first.plan(full);
    const Reply streamed = post("/v1/responses", R"({"model":"tiny","input":"hi","stream":true})");
    EXPECT_EQ(streamed.status, 200);
    EXPECT_EQ(streamed.headers.at("content-type"), "text/event-stream");
    EXPECT_NE(streamed.body.find("event: response.failed\n"), std::string::npos) << streamed.body;
    EXPECT_NE(
        streamed.body.find(R"("error":{"code":"context_length_exceeded",)"), std::string::npos)
        << streamed.body;
    first.plan(full);
    const Reply asked = post("/v1/responses", R"({"model":"tiny","input":"hi"})");
    EXPECT_EQ(asked.status, 400);
    EXPECT_NE(asked.body.find(R"("code":"context_length_exceeded")"), std::string::npos)
        << asked.body;
    expect_books_in_order();
}

TEST_F(ClientsTest, AResponsesClientIsAnsweredByAnAnthropicSupplier) {
    serve_anthropic();
    first.plan(stream_of(kMessageEvents));
    const Reply streamed = post("/v1/responses",
        R"({"model":"tiny","input":"hi","instructions":"be brief","stream":true})");
    EXPECT_EQ(streamed.status, 200);
    EXPECT_NE(streamed.body.find(R"("type":"response.output_text.delta")"), std::string::npos);
    EXPECT_NE(streamed.body.find(R"("instructions":"be brief")"), std::string::npos)
        << "the reply repeats its request";
    EXPECT_EQ(report_of(streamed).cost.to_decimal(), "0.00002");
    first.plan(whole(kMessage));
    const Reply asked = post("/v1/responses", R"({"model":"tiny","input":"hi"})");
    EXPECT_EQ(asked.status, 200);
    EXPECT_NE(asked.body.find(R"("object":"response")"), std::string::npos) << asked.body;
    EXPECT_NE(asked.body.find(R"("id":"resp_)"), std::string::npos) << asked.body;
    expect_books_in_order();
}

TEST_F(ClientsTest, AnAnthropicStreamPassesByteForByteAndIsBooked) {
    serve_anthropic();
    first.plan(stream_of(kMessageEvents));
    const Reply reply = post("/v1/messages", kAskMessageStream);
    EXPECT_EQ(reply.body, joined(kMessageEvents));
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST_F(ClientsTest, ACutAnthropicStreamEndsInItsErrorEventAndIsAnEstimate) {
    serve_anthropic();
    Script cut = stream_of({kMessageEvents[0], kMessageEvents[2], kMessageEvents[3]});
    cut.breaks_off = true;
    first.plan(cut);
    const Reply reply = post("/v1/messages", kAskMessageStream);
    EXPECT_NE(reply.body.find("event: error\ndata: {\"type\":\"error\""), std::string::npos)
        << reply.body;
    const store::ExchangeReport report = report_of(reply);
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
    expect_books_in_order();
}

TEST_F(ClientsTest, ASuppliersOwnErrorEventIsPassedOnceWithoutItsAccount) {
    serve_anthropic();
    const std::string error =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
        "\"message\":\"org-123456789abc is busy\"}}\n\n";
    Script failing = stream_of({kMessageEvents[0], kMessageEvents[2], kMessageEvents[3], error});
    failing.between = 30ms;  // else the first event and the error come together: no answer yet
    first.plan(failing);
    const Reply reply = post("/v1/messages", kAskMessageStream);
    EXPECT_EQ(reply.body.find("123456789abc"), std::string::npos) << reply.body;
    const std::size_t at = reply.body.find("event: error");
    ASSERT_NE(at, std::string::npos) << reply.body;
    EXPECT_EQ(reply.body.find("event: error", at + 1), std::string::npos) << reply.body;
    EXPECT_TRUE(report_of(reply).attempts.at(0).flags & ledger::settle_flag::kEstimated);
    expect_books_in_order();
}

TEST_F(ClientsTest, AnAnthropicSuppliersRefusalReachesItsClientInItsOwnWords) {
    serve_anthropic();
    Script refusal = whole(
        R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}})");
    refusal.status = 400;
    first.plan(refusal);
    const Reply reply = post("/v1/messages", kAskMessage);
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(reply.body, refusal.pieces.front());
}

TEST_F(ClientsTest, AnAnthropicClientReachesASupplierOfChatCompletions) {
    const Reply reply = post("/v1/messages", kAskMessageStream);
    EXPECT_EQ(reply.status, 502);  // the supplier answers whole
    first.plan(stream_of({chunk("hel"), chunk("lo"), kFinish, kUsage, kDone}));
    const Reply stream = post("/v1/messages", kAskMessageStream);
    EXPECT_EQ(stream.status, 200);
    EXPECT_TRUE(stream.body.starts_with("event: message_start\n")) << stream.body;
    EXPECT_TRUE(stream.body.ends_with("data: {\"type\":\"message_stop\"}\n\n")) << stream.body;
    EXPECT_EQ(report_of(stream).cost.to_decimal(), "0.00002");
    first.plan(whole(kAnswer));
    const Reply answer = post("/v1/messages",
        R"({"model":"tiny","max_tokens":100,"system":"be brief",)"
        R"("messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(answer.status, 200);
    const auto message = json::Document::parse(answer.body);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->root()["type"].string(), "message");
    EXPECT_EQ(message->root()["model"].string(), "tiny");
    EXPECT_EQ(message->root()["content"].items()[0]["text"].string(), "hello");
    EXPECT_NE(first.last_body().find("be brief"), std::string::npos);
    expect_books_in_order();
}

TEST_F(ClientsTest, ABedrockClientNamesItsModelInThePathAndGetsFramesOfItsOwn) {
    constexpr std::string_view kConverse =
        R"({"messages":[{"role":"user","content":[{"text":"hi"}]}],)"
        R"("inferenceConfig":{"maxTokens":50}})";
    const Reply answer = post("/model/tiny/converse", kConverse);
    EXPECT_EQ(answer.status, 200) << answer.body;
    const auto message = json::Document::parse(answer.body);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->root()["output"]["message"]["content"].items()[0]["text"].string(), "hello");
    first.plan(stream_of({chunk("hel"), chunk("lo"), kFinish, kUsage, kDone}));
    const Reply stream = post("/model/tin%79/converse-stream", kConverse);
    EXPECT_EQ(stream.status, 200);
    EXPECT_EQ(stream.headers.at("content-type"), "application/vnd.amazon.eventstream");
    const auto events = dialect::decode_all(
        *dialect::find_dialect("bedrock-converse"), dialect::ReplyForm::kStream, stream.body);
    ASSERT_TRUE(events) << events.error().message;
    EXPECT_TRUE(std::holds_alternative<canon::Ended>(events->back()));
    EXPECT_EQ(report_of(stream).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

constexpr std::string_view kAskGoogle = R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}],)"
                                        R"("generationConfig":{"maxOutputTokens":50}})";
constexpr std::string_view kGoogleAnswer =
    R"({"candidates":[{"content":{"parts":[{"text":"hello"}],"role":"model"},)"
    R"("finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,)"
    R"("candidatesTokenCount":5,"totalTokenCount":15},"responseId":"r"})";
const std::vector<std::string> kGoogleEvents{
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hello\"}]},\"index\":0}],"
    "\"responseId\":\"r\"}\r\n\r\n",
    "data: {\"candidates\":[{\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{"
    "\"promptTokenCount\":10,\"candidatesTokenCount\":5,\"totalTokenCount\":15},"
    "\"responseId\":\"r\"}\r\n\r\n"};
constexpr std::string_view kGoogleStream = "/v1beta/models/tiny:streamGenerateContent";

TEST_F(ClientsTest, AGoogleClientReachesASupplierOfChatCompletions) {
    const Reply answer = post("/v1beta/models/tiny:generateContent", kAskGoogle);
    EXPECT_EQ(answer.status, 200) << answer.body;
    const auto message = json::Document::parse(answer.body);
    ASSERT_TRUE(message);
    const json::Value& candidate = message->root()["candidates"].items()[0];
    EXPECT_EQ(candidate["content"]["parts"].items()[0]["text"].string(), "hello");
    EXPECT_EQ(message->root()["modelVersion"].string(), "tiny");
    // With alt=sse the stream is of events, without it one array.
    first.plan(stream_of({chunk("hel"), chunk("lo"), kFinish, kUsage, kDone}));
    const Reply events = post(fmt::format("{}?alt=sse", kGoogleStream), kAskGoogle);
    EXPECT_EQ(events.headers.at("content-type"), "text/event-stream; charset=utf-8");
    EXPECT_TRUE(events.body.starts_with("data: {\"candidates\"")) << events.body;
    first.plan(stream_of({chunk("hel"), chunk("lo"), kFinish, kUsage, kDone}));
    const Reply array = post(kGoogleStream, kAskGoogle);
    EXPECT_EQ(array.headers.at("content-type"), "application/json");
    const auto chunks = json::Document::parse(array.body);
    ASSERT_TRUE(chunks) << array.body;
    EXPECT_EQ(chunks->root().items().size(), 3u);
    EXPECT_EQ(report_of(array).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST_F(ClientsTest, AGeminiClientAndSupplierPassEachOthersBytes) {
    std::string key;
    first.on_request = [&](const net::ServerRequest& request) {
        target_ = request.target;
        key = request.headers.find("x-goog-api-key").value_or("none");
    };
    serve("gemini", fmt::format(R"(endpoint: "http://127.0.0.1:{}", api_key: sk-up)", first.port));
    first.plan(whole(kGoogleAnswer));
    const Reply reply = post("/v1beta/models/tiny:generateContent?key=sk-test", kAskGoogle);
    EXPECT_EQ(reply.body, kGoogleAnswer);
    EXPECT_EQ(first.last_body(), kAskGoogle);
    EXPECT_EQ(target_, "/v1beta/models/tiny-2026:generateContent");
    EXPECT_EQ(key, "sk-up");
    first.plan(stream_of(kGoogleEvents));
    const Reply events = post(fmt::format("{}?alt=sse", kGoogleStream), kAskGoogle);
    EXPECT_EQ(events.body, joined(kGoogleEvents));
    EXPECT_EQ(target_, "/v1beta/models/tiny-2026:streamGenerateContent?alt=sse");
    EXPECT_EQ(report_of(events).cost.to_decimal(), "0.00002");
    // The supplier is asked for events also where the client wants an array.
    first.plan(stream_of(kGoogleEvents));
    const Reply array = post(kGoogleStream, kAskGoogle);
    EXPECT_EQ(target_, "/v1beta/models/tiny-2026:streamGenerateContent?alt=sse");
    const auto chunks = json::Document::parse(array.body);
    ASSERT_TRUE(chunks) << array.body;
    EXPECT_TRUE(chunks->root().is_array());
    expect_books_in_order();
}

TEST_F(ClientsTest, AnInvokeClientIsAnsweredInTheFormatOfItsOwnBody) {
    const Reply prompt = post("/model/tiny/invoke", R"({"prompt":"hi","max_gen_len":50})");
    EXPECT_EQ(prompt.status, 200) << prompt.body;
    EXPECT_EQ(prompt.body,
        R"({"generation":"hello","prompt_token_count":10,"generation_token_count":5,)"
        R"("stop_reason":"stop"})");
    EXPECT_EQ(prompt.headers.at("x-amzn-bedrock-output-token-count"), "5");
    EXPECT_NE(first.last_body().find(R"({"role":"user","content":"hi"})"), std::string::npos);
    first.plan(stream_of({chunk("hel"), chunk("lo"), kFinish, kUsage, kDone}));
    const Reply stream = post("/model/tiny/invoke-with-response-stream",
        R"({"anthropic_version":"bedrock-2023-05-31","max_tokens":9,)"
        R"("messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(stream.status, 200);
    EXPECT_EQ(stream.headers.at("content-type"), "application/vnd.amazon.eventstream");
    const auto events = dialect::decode_all(
        *dialect::find_dialect("bedrock-invoke"), dialect::ReplyForm::kStream, stream.body);
    ASSERT_TRUE(events) << events.error().message;
    EXPECT_TRUE(std::holds_alternative<canon::Ended>(events->back()));
    EXPECT_EQ(report_of(stream).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST_F(ClientsTest, AnInvokeClientReachesItsOwnFamilyByInvokeAndAnotherByConverse) {
    std::string target;
    first.on_request = [&](const net::ServerRequest& request) { target = request.target; };
    serve("bedrock",
        fmt::format(
            R"(endpoint: "http://127.0.0.1:{}", region: us-east-1, api_key: sk-up)", first.port),
        "meta.llama3-8b-instruct-v1:0");
    Script script = whole(R"({"generation":"hello","stop_reason":"stop"})");
    script.headers =
        "x-amzn-bedrock-input-token-count: 10\r\nx-amzn-bedrock-output-token-count: 5\r\n";
    first.plan(script);
    const Reply own = post("/model/tiny/invoke", R"({"prompt":"hi","max_gen_len":50})");
    EXPECT_EQ(target, "/model/meta.llama3-8b-instruct-v1%3A0/invoke");
    EXPECT_EQ(own.status, 200) << own.body;
    EXPECT_NE(own.body.find(R"("generation":"hello")"), std::string::npos);
    // The body states no tokens: the headers do, to us and to the client.
    EXPECT_EQ(own.headers.at("x-amzn-bedrock-input-token-count"), "10");
    EXPECT_EQ(report_of(own).cost.to_decimal(), "0.00002");

    first.plan(whole(R"({"output":{"message":{"role":"assistant","content":[{"text":"hello"}]}},)"
                     R"("stopReason":"end_turn",)"
                     R"("usage":{"inputTokens":10,"outputTokens":5,"totalTokens":15}})"));
    const Reply other = post("/model/tiny/invoke",
        R"({"anthropic_version":"bedrock-2023-05-31","max_tokens":9,)"
        R"("messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(target, "/model/meta.llama3-8b-instruct-v1%3A0/converse");
    EXPECT_EQ(other.status, 200) << other.body;
    EXPECT_NE(other.body.find(R"("content":[{"type":"text","text":"hello"}])"), std::string::npos);
    expect_books_in_order();
}

TEST_F(ClientsTest, AClientOfChatCompletionsReachesCohere) {
    std::string target;
    first.on_request = [&](const net::ServerRequest& request) { target = request.target; };
    serve(
        "cohere", fmt::format(R"(endpoint: "http://127.0.0.1:{}/v2", api_key: sk-up)", first.port));
    first.plan(whole(R"({"id":"i","message":{"role":"assistant","content":[{"type":"text","text":)"
                     R"("hello"}]},"finish_reason":"COMPLETE","usage":{"billed_units":)"
                     R"({"input_tokens":10,"output_tokens":5},"tokens":{"input_tokens":80}}})"));
    const Reply answer = post("/v1/chat/completions",
        R"({"model":"tiny","max_tokens":50,"messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(target, "/v2/chat");
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_NE(answer.body.find(R"("content":"hello")"), std::string::npos);
    EXPECT_NE(first.last_body().find(R"("model":"tiny-2026")"), std::string::npos);
    EXPECT_EQ(report_of(answer).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

// Oracle's Cohere formats have no end but the finish, after which the connection may stay open; and
// where the answer is whole, nobody waits for the end of a body.
TEST_F(ClientsTest, AStreamThatIsKeptOpenBehindItsFinishEndsAllTheSame) {
    std::string target;
    first.on_request = [&](const net::ServerRequest& request) { target = request.target; };
    serve("oci",
        fmt::format(R"(endpoint: "http://127.0.0.1:{}", region: eu-frankfurt-1, api_key: sk-up, )"
                    R"(compartment: ocid1.compartment.oc1..c)",
            first.port),
        "cohere.command-r-08-2024");
    for (const std::string_view usage :
        {R"()", R"(,"usage":{"promptTokens":9,"completionTokens":2,"totalTokens":11})"}) {
        Script script =
            stream_of({fmt::format("data: {{\"apiFormat\":\"COHERE\",\"text\":\"hel\"}}\n\n"
                                   "data: {{\"apiFormat\":\"COHERE\",\"text\":\"lo\"}}\n\n"
                                   "data: {{\"apiFormat\":\"COHERE\",\"text\":\"hello\","
                                   "\"finishReason\":\"COMPLETE\"{}}}\n\n",
                           usage),
                ": nothing more comes\n\n"});
        script.between = 8'000ms;
        first.plan(script);
        const auto began = std::chrono::steady_clock::now();
        const Reply answer = post("/v1/chat/completions",
            R"({"model":"tiny","max_tokens":50,"stream":true,)"
            R"("messages":[{"role":"user","content":"hi"}]})");
        EXPECT_LT(std::chrono::steady_clock::now() - began, 6s) << usage;
        EXPECT_EQ(target, "/20231130/actions/chat");
        EXPECT_EQ(answer.status, 200) << answer.body;
        EXPECT_FALSE(answer.truncated) << usage;
        EXPECT_NE(answer.body.find(R"("finish_reason":"stop")"), std::string::npos) << answer.body;
        EXPECT_TRUE(answer.body.ends_with(kDone)) << answer.body;
        EXPECT_EQ(answer.body.find("hello"), std::string::npos);  // said once, in two pieces
        EXPECT_NE(first.last_body().find(R"("compartmentId":"ocid1.compartment.oc1..c")"),
            std::string::npos);
        expect_books_in_order();
    }
}

TEST_F(ClientsTest, ARequestToOracleIsSignedOverWhatIsSent) {
    std::map<std::string, std::string> headers;
    first.on_request = [&](const net::ServerRequest& request) {
        for (std::size_t i = 0; i < request.headers.size(); ++i)
            headers[to_lower(request.headers[i].name)] = request.headers[i].value;
    };
    serve("oci",
        fmt::format(R"(endpoint: "http://127.0.0.1:{}", region: eu-frankfurt-1, compartment: )"
                    R"(ocid1.compartment.oc1..c, credentials: {{from: signing_key, tenancy: )"
                    R"(ocid1.tenancy.oc1..a, user: ocid1.user.oc1..b, fingerprint: "{}", )"
                    R"(private_key: {}}})",
            first.port, crypto::testing::kPublishedFingerprint,
            json::quoted(crypto::testing::kPublishedKey)),
        "xai.grok-4");
    const Reply answer = post("/v1/chat/completions",
        R"({"model":"tiny","max_tokens":50,"messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(answer.status, 200) << answer.body;
    namespace http_signature = crypto::http_signature;
    const auto claim = http_signature::parse_authorization(headers["authorization"]);
    ASSERT_TRUE(claim) << claim.error().message;
    const auto text = http_signature::claimed_string(*claim, "POST", "/openai/v1/chat/completions",
        true, [&](std::string_view name) -> std::optional<std::string_view> {
            const auto found = headers.find(std::string(name));
            if (found == headers.end()) return std::nullopt;
            return found->second;
        });
    ASSERT_TRUE(text) << text.error().message;
    const auto key = crypto::RsaPrivateKey::parse(crypto::testing::kPublishedKey);
    EXPECT_TRUE(key->public_key().verify_sha256(*text, claim->signature)) << *text;
    EXPECT_EQ(headers["x-content-sha256"], http_signature::content_sha256(first.last_body()));
    EXPECT_EQ(headers["opc-compartment-id"], "ocid1.compartment.oc1..c");
    expect_books_in_order();
}

TEST_F(ClientsTest, AnAzureClientsDeploymentIsTheModelWhateverTheBodySays) {
    constexpr std::string_view kPath =
        "/openai/deployments/tiny/chat/completions?api-version=2024-10-21";
    EXPECT_EQ(post(kPath, R"({"messages":[{"role":"user","content":"hi"}]})").body, kAnswer);
    EXPECT_NE(first.last_body().find(R"("model":"tiny-2026")"), std::string::npos);
    EXPECT_EQ(
        post(kPath, R"({"model":"gpt","messages":[{"role":"user","content":"hi"}]})").status, 200);
    EXPECT_NE(first.last_body().find(R"("model":"tiny-2026")"), std::string::npos);
    // LangChain's way.
    EXPECT_EQ(
        post(kPath, R"({"model":null,"messages":[{"role":"user","content":"hi"}]})").status, 200);
    EXPECT_NE(first.last_body().find(R"("model":"tiny-2026")"), std::string::npos);
}

TEST_F(ClientsTest, EveryClientIsRefusedInItsOwnDialect) {
    const Reply anthropic = post("/v1/messages", kAskMessage, "sk-wrong");
    EXPECT_EQ(anthropic.status, 401);
    EXPECT_NE(anthropic.body.find(R"("type":"authentication_error")"), std::string::npos);
    const Reply bedrock = post("/model/tiny/converse", "{}", "sk-wrong");
    EXPECT_EQ(bedrock.status, 401);
    EXPECT_EQ(bedrock.headers.at("x-amzn-errortype"), "UnrecognizedClientException");
    const Reply unknown = post("/v1/messages",
        R"({"model":"gpt","max_tokens":1,"messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(unknown.status, 404);
    EXPECT_NE(unknown.body.find(R"("type":"not_found_error")"), std::string::npos);
    EXPECT_EQ(post("/v1/messages", "{").status, 400);
    EXPECT_EQ(post("/v1/messages/nowhere", "{}").status, 404);
}

constexpr std::string_view kSearchBeside =
    R"({"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"hi"}],)"
    R"("tools":[{"type":"web_search_20250305","name":"web_search"},)"
    R"({"name":"read","input_schema":{"type":"object"}}]})";

constexpr std::string_view kAskSearch =
    R"({"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"hi"}],)"
    R"("tools":[{"type":"web_search_20250305","name":"web_search"}]})";

TEST_F(ClientsTest, AServerToolIsRefusedUnderABudgetWhereTheSupplierWouldRunIt) {
    serve_anthropic();
    const Reply reply = post("/v1/messages", kAskSearch);
    EXPECT_EQ(reply.status, 400);
    EXPECT_NE(reply.body.find("'tools' lets the supplier"), std::string::npos) << reply.body;
    EXPECT_EQ(first.served(), 0u);
}

// Coding agents offer a search beside their tools in every request.
TEST_F(ClientsTest, AServerToolBesideTheClientsOwnStaysBehindByNameUnderABudgetAtHome) {
    serve_anthropic();
    first.plan(whole(kMessage));
    const Reply reply = post("/v1/messages", kSearchBeside);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.headers.at("x-entrepot-dropped"), "tools (web_search_20250305)");
    EXPECT_EQ(first.last_body(),
        R"({"model":"tiny-2026","max_tokens":1,"messages":[{"role":"user","content":"hi"}],)"
        R"("tools":[{"name":"read","input_schema":{"type":"object"}}]})");
    const std::string twice = R"({"tools":[],)" + std::string(kSearchBeside).substr(1);
    EXPECT_EQ(post("/v1/messages", twice).status, 400);
    expect_books_in_order();
}

// What another maker signed came to the client sealed, and goes to nobody else.
TEST_F(ClientsTest, AnotherMakersThoughtsStayBehindAlsoWhereBytesWouldPass) {
    serve_anthropic();
    first.plan(whole(kMessage));
    const Reply reply = post("/v1/messages",
        R"({"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"hi"},)"
        R"({"role":"assistant","content":[{"type":"thinking","thinking":"theirs",)"
        R"("signature":"epot1:gemini:t:0:c2ln"},{"type":"text","text":"yes"}]},)"
        R"({"role":"user","content":"and?"}]})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(first.last_body().find("theirs"), std::string::npos) << first.last_body();
    EXPECT_NE(first.last_body().find("yes"), std::string::npos) << first.last_body();
    EXPECT_NE(reply.headers.at("x-entrepot-dropped").find("reasoning"), std::string::npos);
}

// Only what was decoded as one is a seal: words of the client's are not.
TEST_F(ClientsTest, TextThatLooksSealedPassesAsItCame) {
    serve_anthropic();
    first.plan(whole(kMessage));
    const std::string body = R"({ "model" : "tiny-2026","max_tokens":1,"own":[1, 2],"messages":)"
                             R"([{"role":"user","content":"what is rs_epot_1 or epot1:gemini?"}]})";
    std::string ask = body;
    ask.replace(ask.find("tiny-2026"), 9, "tiny");
    const Reply reply = post("/v1/messages", ask);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(first.last_body(), body);
}

TEST_F(ClientsTest, AServerToolAloneIsRefusedWhereNobodyRunsItAndBesideOthersNamed) {
    const Reply alone = post("/v1/messages", kAskSearch);
    EXPECT_EQ(alone.status, 400);
    EXPECT_NE(alone.body.find("web_search"), std::string::npos) << alone.body;
    EXPECT_EQ(first.served(), 0u);
    const Reply beside = post("/v1/messages", kSearchBeside);
    EXPECT_EQ(beside.status, 200) << beside.body;
    EXPECT_NE(beside.headers.at("x-entrepot-dropped").find("web_search"), std::string::npos);
    EXPECT_EQ(first.last_body().find("web_search"), std::string::npos) << first.last_body();
    EXPECT_NE(first.last_body().find("\"read\""), std::string::npos) << first.last_body();
}

// Bedrock serves OpenAI's open weights under OpenAI's own path as well.
TEST_F(ClientsTest, AChatClientReachesBedrocksChatCompletionsAndOthersConverse) {
    std::string target;
    first.on_request = [&](const net::ServerRequest& request) { target = request.target; };
    serve("bedrock",
        fmt::format(
            R"(endpoint: "http://127.0.0.1:{}", region: us-east-1, api_key: sk-up)", first.port),
        "openai.gpt-oss-20b-1:0");
    for (const bool is_stream : {false, true}) {
        if (is_stream)
            first.plan(stream_of({chunk("hel"), chunk("lo"), kFinish, kUsage, kDone}));
        else
            first.plan(whole(kAnswer));
        const Reply own = post("/v1/chat/completions",
            fmt::format(R"({{"model":"tiny","max_tokens":50,"stream":{},)"
                        R"("messages":[{{"role":"user","content":"hi"}}]}})",
                is_stream));
        EXPECT_EQ(target, "/openai/v1/chat/completions");
        EXPECT_EQ(own.status, 200) << own.body;
        EXPECT_NE(first.last_body().find(R"("model":"openai.gpt-oss-20b-1:0")"), std::string::npos)
            << first.last_body();
        EXPECT_EQ(report_of(own).cost.to_decimal(), "0.00002");
    }
    first.plan(whole(R"({"output":{"message":{"role":"assistant","content":[{"text":"hello"}]}},)"
                     R"("stopReason":"end_turn",)"
                     R"("usage":{"inputTokens":10,"outputTokens":5,"totalTokens":15}})"));
    const Reply other = post("/v1/messages", kAskMessage);
    EXPECT_EQ(target, "/model/openai.gpt-oss-20b-1%3A0/converse");
    EXPECT_EQ(other.status, 200) << other.body;
    expect_books_in_order();
}

}  // namespace
}  // namespace entrepot::gateway
