// What the simulated Bedrock says through InvokeModel, as the gateway's dialect, written apart,
// reads it; and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloudsim/cloud.h"
#include "cloudsim/embeddings.h"
#include "cloudsim/invoke.h"
#include "dialect/composed.h"

namespace entrepot::cloudsim {
namespace {

using dialect::ReplyForm;
using testing::HasSubstr;

constexpr Instant kNow{1'700'000'000'000'000'000};

canon::Reply read_by_gateway(const Cloud& cloud, const Ask& ask, const Answer& answer) {
    const ReplyForm form = ask.is_stream ? ReplyForm::kStream : ReplyForm::kWhole;
    net::HeaderLines lines;
    cloud.add_reply_headers(lines, ask, answer, true);
    std::vector<dialect::Header> headers;
    for (std::string_view text = lines.text(); !text.empty();) {
        const std::string_view line = text.substr(0, text.find("\r\n"));
        const std::size_t colon = line.find(": ");
        headers.push_back(
            {std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
        text.remove_prefix(line.size() + 2);
    }
    std::string bytes;
    if (ask.is_stream)
        for (const std::string& frame : cloud.stream(ask, answer, Control(), true, kNow))
            bytes += frame;
    else
        bytes = cloud.whole(ask, answer, true, kNow);
    const auto decoder = dialect::invoke_dialect().reply_decoder(form);
    decoder->take_headers(headers);
    std::vector<canon::Event> events;
    EXPECT_TRUE(decoder->feed(bytes, events));
    EXPECT_TRUE(decoder->finish(events)) << bytes;
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    return reply;
}

TEST(CloudsimInvoke, EveryFamilyIsReadAsItWasMeant) {
    const auto cloud = make_bedrock();
    Brain brain;
    int families = 0;
    for (const std::string& model : cloud->address().models) {
        if (model.starts_with("openai") || is_embedding_model(model)) continue;
        ++families;
        const bool is_chat = model.contains("claude") || model.contains("nova");
        for (const bool is_stream : {false, true}) {
            SCOPED_TRACE(model + (is_stream ? " streamed" : " whole"));
            Ask plain;
            plain.model = model;
            plain.is_invoked = true;
            plain.is_stream = is_stream;
            plain.prompt = "Say hello.";
            Ask cut = plain;
            cut.output_tokens_max = 3;
            std::vector<Ask> asks{plain, cut};
            if (is_chat) {
                Ask calls = plain;
                calls.tools = {
                    {"a", R"({"type":"object","properties":{"x":{"type":"string"}}})"}, {"b", ""}};
                calls.last_user_text = "call a and b";
                Ask thinks = plain;
                thinks.wants_reasoning = true;
                Ask marked = plain;
                marked.prompt = std::string(4096, 'p');
                marked.marked_bytes = 4000;
                asks.insert(asks.end(), {calls, thinks, marked, marked});
            }
            for (const Ask& ask : asks) {
                const Answer answer = brain.think(ask, Control());
                const canon::Reply reply = read_by_gateway(*cloud, ask, answer);
                ASSERT_EQ(reply.choices.size(), 1U);
                EXPECT_TRUE(reply.has_ended);
                EXPECT_EQ(
                    canon::to_json(reply.usage), canon::to_json(cloud->reported(answer.usage)));
                std::string text, thought, calls, wanted;
                for (const auto& part : reply.choices[0].parts) {
                    if (part.start.kind == canon::PartKind::kText) text += part.text;
                    if (part.start.kind == canon::PartKind::kThought) thought += part.text;
                    if (part.start.kind == canon::PartKind::kToolCall)
                        calls += part.start.name + part.text;
                }
                for (const SimCall& call : answer.calls) wanted += call.name + call.arguments;
                EXPECT_EQ(text, answer.text);
                EXPECT_EQ(thought, answer.reasoning);
                EXPECT_EQ(calls, wanted);
                EXPECT_EQ(reply.choices[0].finished->reason == canon::StopReason::kLength,
                    answer.finish == Finish::kLength);
            }
        }
    }
    EXPECT_EQ(families, 8);
}

/// What the cloud says to that body: empty when it takes it.
std::string refusal(std::string_view model, std::string_view body) {
    const auto parsed = json::Document::parse(std::string(body));
    Ask ask;
    ask.model = model;
    ask.is_invoked = true;
    const auto read = invoke::read(parsed->root(), ask);
    return read ? std::string() : read.error();
}

TEST(CloudsimInvoke, TakesEachMakersBodyAndNothingBesideIt) {
    constexpr std::string_view kClaude = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    constexpr std::string_view kTurn = R"("messages":[{"role":"user","content":"a"}])";
    const auto claude = [&](std::string_view more) {
        return refusal(
            kClaude, "{" + std::string(kTurn) + R"(,"max_tokens":9)" + std::string(more) + "}");
    };
    EXPECT_EQ(claude(R"(,"anthropic_version":"bedrock-2023-05-31")"), "");
    EXPECT_THAT(claude(""), HasSubstr("required key [anthropic_version]"));
    EXPECT_THAT(claude(R"(,"anthropic_version":"2023-06-01")"), HasSubstr("enum"));
    for (const std::string_view key : {"model", "stream"})
        EXPECT_THAT(claude(R"(,"anthropic_version":"bedrock-2023-05-31",")" + std::string(key) +
                        R"(":"x")"),
            HasSubstr("extraneous key [" + std::string(key) + "]"));

    constexpr std::string_view kNova = "amazon.nova-lite-v1:0";
    EXPECT_EQ(refusal(kNova, R"({"messages":[{"role":"user","content":[{"text":"a"}]}]})"), "");
    EXPECT_THAT(refusal(kNova, R"({"messages":[{"role":"user","content":[{"text":"a"}]}],
        "additionalModelRequestFields":{}})"),
        HasSubstr("extraneous key"));

    constexpr std::string_view kTitan = "amazon.titan-text-express-v1";
    EXPECT_EQ(
        refusal(kTitan, R"({"inputText":"a","textGenerationConfig":{"maxTokenCount":5}})"), "");
    EXPECT_THAT(refusal(kTitan, R"({"prompt":"a"})"), HasSubstr("extraneous key [prompt]"));
    EXPECT_THAT(refusal(kTitan, R"({"inputText":"a","textGenerationConfig":{"max_tokens":5}})"),
        HasSubstr("#/textGenerationConfig: extraneous key [max_tokens]"));
    EXPECT_THAT(refusal("meta.llama3-8b-instruct-v1:0", R"({"prompt":"a","max_tokens":5})"),
        HasSubstr("extraneous key [max_tokens]"));
    EXPECT_THAT(refusal("meta.llama3-8b-instruct-v1:0", R"({"prompt":"a","max_gen_len":4096})"),
        HasSubstr("2048"));
    EXPECT_THAT(refusal("cohere.command-r-v1:0", R"({"prompt":"a"})"),
        HasSubstr("extraneous key [prompt]"));
}

}  // namespace
}  // namespace entrepot::cloudsim
