#include "dialect/bedrock_converse/bedrock_converse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialect/bedrock_converse/parts.h"
#include "dialect/bedrock_converse/testing.h"
#include "framing/event_stream.h"

namespace entrepot::dialect::bedrock_converse {
namespace {

using canon::Item;
using canon::Role;
using testing::ElementsAre;
using testing::HasSubstr;

Item item(Role role, std::uint32_t turn, decltype(Item::body) body) {
    Item out;
    out.role = role;
    out.turn = turn;
    out.body = std::move(body);
    return out;
}

Item user(std::uint32_t turn, std::string text) {
    return item(Role::kUser, turn, canon::Text{std::move(text)});
}

canon::Request openai(std::vector<Item> items) {
    canon::Request request;
    request.origin = "openai-chat";
    request.items = std::move(items);
    return request;
}

Result<EncodedRequest> encoded(const canon::Request& request, OnLossy on_lossy = OnLossy::kMeaning,
    std::string_view model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0") {
    EncodeTarget target;
    target.model_id = model;
    target.on_lossy = on_lossy;
    return kDialect.encode_request(request, target);
}

std::string body(const canon::Request& request, OnLossy on_lossy = OnLossy::kMeaning,
    std::string_view model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0") {
    const auto result = encoded(request, on_lossy, model);
    return result ? result->body : "refused: " + result.error().field;
}

canon::Tool tool(std::string name) {
    canon::Tool out;
    out.name = std::move(name);
    out.description = "Does it.";
    out.parameters = R"({"type":"object"})";
    return out;
}

TEST(BedrockConverse, PutsResultsOfOneTurnIntoOneUserMessageBeforeItsText) {
    canon::Request request = openai({
        item(Role::kSystem, 0, canon::Text{"Be brief."}),
        user(1, "Weather in A and B?"),
        item(Role::kAssistant, 2, canon::ToolCall{"a", "weather", R"({"c":"A"})", false}),
        item(Role::kAssistant, 2, canon::ToolCall{"b", "weather", "{}", false}),
        item(Role::kTool, 3, canon::ToolResult{"a", "", {user(3, "sun")}, false}),
        item(Role::kTool, 4, canon::ToolResult{"b", "", {user(4, "rain")}, true}),
        user(5, "And now?"),
    });
    request.tools.push_back(tool("weather"));
    EXPECT_EQ(body(request),
        R"({"messages":[{"role":"user","content":[{"text":"Weather in A and B?"}]},)"
        R"({"role":"assistant","content":[{"toolUse":{"toolUseId":"a","name":"weather","input":)"
        R"({"c":"A"}}},{"toolUse":{"toolUseId":"b","name":"weather","input":{}}}]},)"
        R"({"role":"user","content":[{"toolResult":{"toolUseId":"a","content":[{"text":"sun"}]}},)"
        R"({"toolResult":{"toolUseId":"b","content":[{"text":"rain"}],"status":"error"}},)"
        R"({"text":"And now?"}]}],"system":[{"text":"Be brief."}],)"
        R"("toolConfig":{"tools":[{"toolSpec":{"name":"weather","description":"Does it.",)"
        R"("inputSchema":{"json":{"type":"object"}}}}]}})");
}

// Bedrock refuses tool blocks without toolConfig, also when the client offers no tool any more.
TEST(BedrockConverse, DefinesTheToolsOfTheHistoryWhenNoneIsOffered) {
    const canon::Request request = openai({
        user(0, "q"),
        item(Role::kAssistant, 1, canon::ToolCall{"a", "weather", "{}", false}),
        item(Role::kTool, 2, canon::ToolResult{"a", "", {user(2, "sun")}, false}),
    });
    EXPECT_THAT(
        body(request), HasSubstr(R"("toolConfig":{"tools":[{"toolSpec":{"name":"weather")"));
}

TEST(BedrockConverse, HasNoToolChoiceNoneAndSaysSo) {
    canon::Request request = openai({user(0, "q")});
    request.tools.push_back(tool("weather"));
    request.tool_choice = canon::ToolChoice{canon::ToolChoice::Mode::kNone, ""};
    const auto free = encoded(request);
    ASSERT_TRUE(free);
    EXPECT_EQ(free->body.find("toolConfig"), std::string::npos);
    EXPECT_THAT(free->dropped, ElementsAre("tools"));
    EXPECT_EQ(body(request, OnLossy::kRefuse), "refused: tools");

    request.items.push_back(
        item(Role::kAssistant, 1, canon::ToolCall{"a", "weather", "{}", false}));
    EXPECT_EQ(body(request), "refused: tool_choice");
    const auto named = encoded(request, OnLossy::kName);
    ASSERT_TRUE(named);
    EXPECT_THAT(named->dropped, ElementsAre("tool_choice"));
    EXPECT_THAT(named->body, HasSubstr("toolConfig"));
    EXPECT_THAT(named->body, testing::Not(HasSubstr("toolChoice")));
}

TEST(BedrockConverse, CarriesParameters) {
    canon::Request request = openai({user(0, "q")});
    request.output_tokens_max = 64;
    request.temperature = "0.70";
    request.top_p = "1e-1";
    request.stop = {"END"};
    request.top_k = 5;
    request.service_tier = "flex";
    request.metadata = R"({"job":"7"})";
    request.format = canon::ResponseFormat{canon::ResponseFormat::Kind::kJsonSchema, "city",
        "A city.", R"({"type":"object","properties":{}})", true};
    EXPECT_EQ(body(request),
        R"({"messages":[{"role":"user","content":[{"text":"q"}]}],)"
        R"("inferenceConfig":{"maxTokens":64,"temperature":0.70,"topP":1e-1,"stopSequences":["END"]},)"
        R"("additionalModelRequestFields":{"top_k":5},)"
        R"("outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":)"
        R"({"schema":"{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}","name":"city","description":"A city."}}}},)"
        R"("serviceTier":{"type":"flex"},"requestMetadata":{"job":"7"}})");
    EXPECT_THAT(body(request, OnLossy::kMeaning, "amazon.nova-pro-v1:0"),
        HasSubstr(R"("additionalModelRequestFields":{"inferenceConfig":{"topK":5}})"));
    const auto other = encoded(request, OnLossy::kMeaning, "meta.llama3-70b-instruct-v1:0");
    ASSERT_TRUE(other);
    EXPECT_THAT(other->dropped, ElementsAre("top_k"));
}

TEST(BedrockConverse, RefusesWhatChangesTheAnswerAndNamesTheRest) {
    struct Case {
        std::string field;
        bool is_meaning;
        void (*set)(canon::Request&);
    };
    const std::vector<Case> cases{
        {"n", true, [](canon::Request& r) { r.choices = 2; }},
        {"logprobs", true, [](canon::Request& r) { r.logprobs = true; }},
        {"logit_bias", true, [](canon::Request& r) { r.logit_bias = R"({"1":2})"; }},
        {"frequency_penalty", true, [](canon::Request& r) { r.frequency_penalty = "0.5"; }},
        {"temperature", true, [](canon::Request& r) { r.temperature = "1.5"; }},
        {"response_format", true,
            [](canon::Request& r) {
                r.format =
                    canon::ResponseFormat{canon::ResponseFormat::Kind::kJsonObject, "", "", "", {}};
            }},
        {"tool_choice", true,
            [](canon::Request& r) {
                r.extras.push_back({"tool_choice", R"({"type":"allowed_tools"})"});
            }},
        {"response_format", true,
            [](canon::Request& r) {
                r.extras.push_back({"response_format", R"({"type":"grammar"})"});
            }},
        {"modalities", true,
            [](canon::Request& r) { r.extras.push_back({"modalities", R"(["text","audio"])"}); }},
        {"seed", false, [](canon::Request& r) { r.seed = 7; }},
        {"user", false, [](canon::Request& r) { r.user = "u"; }},
        {"verbosity", false, [](canon::Request& r) { r.verbosity = "low"; }},
        {"prediction", false, [](canon::Request& r) { r.extras.push_back({"prediction", "{}"}); }},
        {"messages[0].content", true,
            [](canon::Request& r) {
                canon::Media media;
                media.source = canon::Media::Source::kUrl;
                media.data = "https://x.test/a.png";
                r.items.push_back(item(Role::kUser, 0, media));
            }},
        {"messages[1].role", false,
            [](canon::Request& r) {
                r.items.push_back(item(Role::kSystem, 1, canon::Text{"late"}));
            }},
    };
    for (const Case& c : cases) {
        canon::Request request = openai({user(0, "q")});
        c.set(request);
        EXPECT_EQ(body(request, OnLossy::kRefuse), "refused: " + c.field);
        EXPECT_EQ(encoded(request).has_value(), !c.is_meaning) << c.field;
        const auto named = encoded(request, OnLossy::kName);
        ASSERT_TRUE(named) << c.field;
        EXPECT_THAT(named->dropped, ElementsAre(c.field));
    }
}

TEST(BedrockConverse, ClampsATemperatureItWasToldToName) {
    canon::Request request = openai({user(0, "q")});
    request.temperature = "1.5";
    EXPECT_THAT(body(request, OnLossy::kName), HasSubstr(R"("temperature":1})"));
}

TEST(BedrockConverse, TakesOnlyLegalNames) {
    canon::Request request = openai({user(0, "q")});
    request.tools.push_back(tool("get weather"));
    EXPECT_EQ(body(request, OnLossy::kName), "refused: tools[0].function.name");

    // An id that Bedrock would refuse is replaced, the same for a call and its result.
    canon::Request history = openai({
        user(0, "q"),
        item(Role::kAssistant, 1, canon::ToolCall{"call|1", "weather", "{}", false}),
        item(Role::kTool, 2, canon::ToolResult{"call|1", "", {user(2, "sun")}, false}),
    });
    const std::string text = body(history);
    const std::string id = text.substr(text.find("\"toolUseId\":") + 12, 23);
    EXPECT_THAT(id, testing::StartsWith("\"call_"));
    EXPECT_NE(text.find(id, text.find(id) + 1), std::string::npos) << text;
}

TEST(BedrockConverse, GivesDocumentsLegalAndDistinctNames) {
    canon::Media media;
    media.kind = canon::Media::Kind::kDocument;
    media.media_type = "application/pdf";
    media.data = "AAAA";
    media.name = "bill  2024/05.pdf";
    const std::string text =
        body(openai({item(Role::kUser, 0, media), item(Role::kUser, 0, media)}));
    EXPECT_THAT(text, HasSubstr(R"("name":"bill 2024-05-pdf")"));
    EXPECT_THAT(text, HasSubstr(R"x("name":"bill 2024-05-pdf (2)")x"));
}

TEST(BedrockConverse, LeavesBlankTextOutAndRefusesToSendNothing) {
    EXPECT_THAT(body(openai({user(0, "q"), user(0, " \n")})), testing::Not(HasSubstr("\\n")));
    EXPECT_EQ(body(openai({user(0, " ")})), "refused: messages");
}

TEST(BedrockConverse, GivesReasoningBackToItsMakerOnly) {
    Item thought = item(Role::kAssistant, 1, canon::Thought{"hm", false, false});
    thought.signature = canon::Signature{"bedrock-converse", "S"};
    canon::Request request = openai({user(0, "q"), thought});
    EXPECT_THAT(body(request), HasSubstr(R"({"reasoningText":{"text":"hm","signature":"S"}})"));
    request.items[1].signature->origin = "anthropic-messages";
    request.items.push_back(item(Role::kAssistant, 1, canon::Text{"a"}));
    const auto result = encoded(request);
    ASSERT_TRUE(result);
    EXPECT_THAT(result->dropped, ElementsAre("messages[1].reasoning_content"));
    EXPECT_EQ(result->body.find("hm"), std::string::npos);
}

// A client of Converse hands back what it was shown: proofs of others reach who made them again.
TEST(BedrockConverse, ShowsProofsOfOthersSealedAndReadsThemBack) {
    const auto signed_part = [](std::uint32_t n, canon::PartKind kind, std::string text,
                                 bool is_redacted = false) {
        canon::PartStarted start;
        start.part = n;
        start.kind = kind;
        start.is_redacted = is_redacted;
        if (kind == canon::PartKind::kToolCall) start.call_id = start.name = "f";
        std::vector<canon::Event> events{start};
        if (!text.empty()) events.emplace_back(canon::PartDelta{0, n, std::move(text)});
        events.emplace_back(
            canon::PartSignature{0, n, canon::Signature{"gemini", fmt::format("s{}", n)}});
        events.emplace_back(canon::PartEnded{0, n});
        return events;
    };
    std::vector<canon::Event> reply{canon::Started{"id", "m", 0}};
    for (auto& part : {signed_part(0, canon::PartKind::kThought, "hm"),
             signed_part(1, canon::PartKind::kThought, "", true),
             signed_part(2, canon::PartKind::kToolCall, "{}"),
             signed_part(3, canon::PartKind::kText, "t"),
             signed_part(4, canon::PartKind::kText, "")})
        reply.insert(reply.end(), part.begin(), part.end());
    reply.emplace_back(canon::Finished{0, canon::StopReason::kToolCalls, "", ""});
    reply.emplace_back(canon::Ended{});
    for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
        std::string told;
        const auto encoder = kDialect.reply_encoder(form, {});
        for (const canon::Event& event : reply) encoder->add(event, told);
        EXPECT_TRUE(encoder->dropped().empty());
        // As its client would send it in the next turn.
        const auto whole = kDialect.reply_encoder(ReplyForm::kWhole, {});
        std::string text;
        for (const canon::Event& event : decode(form, told, told.size()).events)
            whole->add(event, text);
        const auto body = json::Document::parse(text);
        ASSERT_TRUE(body) << text;
        const auto request = kDialect.decode_request(
            *json::Document::parse(
                fmt::format(R"({{"messages":[{{"role":"user","content":[{{"text":"q"}}]}},{}]}})",
                    body->root()["output"]["message"].raw())),
            {.model = "m"});
        ASSERT_TRUE(request) << text;
        std::vector<std::string> proofs;
        for (const Item& one : request->items)
            if (one.signature) proofs.push_back(one.signature->origin + one.signature->data);
        EXPECT_THAT(
            proofs, ElementsAre("geminis0", "geminis1", "geminis2", "geminis3", "geminis4"));
    }
}

TEST(BedrockConverse, BoundsClaudesThinkingByTheCap) {
    canon::Request request = openai({user(0, "q")});
    request.reasoning.emplace().effort = "high";
    request.output_tokens_max = 3000;
    EXPECT_THAT(body(request), HasSubstr(R"("thinking":{"type":"enabled","budget_tokens":2400})"));
    request.output_tokens_max = 1000;
    EXPECT_THAT(encoded(request)->dropped, ElementsAre("reasoning_effort"));
    EXPECT_THAT(body(request, OnLossy::kMeaning, "openai.gpt-oss-120b-1:0"),
        HasSubstr(R"("reasoning_effort":"high")"));
}

// A budget of thoughts is an error to the generations that choose their own.
TEST(BedrockConverse, LaterClaudesAreToldAnEffort) {
    canon::Request request = openai({user(0, "q")});
    request.reasoning.emplace().effort = "minimal";
    EXPECT_THAT(body(request, OnLossy::kMeaning, "us.anthropic.claude-sonnet-4-6"),
        HasSubstr(R"({"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}})"));
    const auto named = encoded(request, OnLossy::kMeaning, "us.anthropic.claude-sonnet-4-6");
    EXPECT_THAT(named->dropped, ElementsAre("reasoning_effort"));
}

TEST(BedrockConverse, OneCallAtATimeIsAskedOfClaudeInItsOwnWordsAndRefusedElsewhere) {
    canon::Request request = openai({user(0, "q")});
    request.tools.push_back(tool("t"));
    request.parallel_tool_calls = false;
    EXPECT_THAT(body(request),
        HasSubstr(R"("tool_choice":{"type":"auto","disable_parallel_tool_use":true})"));
    request.tool_choice = canon::ToolChoice{canon::ToolChoice::Mode::kNamed, "t"};
    EXPECT_THAT(body(request),
        HasSubstr(R"("tool_choice":{"type":"tool","name":"t","disable_parallel_tool_use":true})"));
    // Beside it, Converse's own choice is refused as a second one.
    EXPECT_THAT(body(request), testing::Not(HasSubstr("toolChoice")));
    EXPECT_EQ(
        body(request, OnLossy::kMeaning, "amazon.nova-lite-v1:0"), "refused: parallel_tool_calls");
}

TEST(BedrockConverse, SaysThatAToolsInputIsAnObject) {
    canon::Request request = openai({user(0, "q")});
    request.tools.push_back(tool("t"));
    request.tools[0].parameters = "{}";
    EXPECT_THAT(body(request), HasSubstr(R"("inputSchema":{"json":{"type":"object"}})"));
    request.tools[0].parameters = R"({"properties":{"a":{}}})";
    EXPECT_THAT(body(request), HasSubstr(R"({"json":{"type":"object","properties":{"a":{}}}})"));
    request.tools[0].parameters = R"({"type":"string"})";
    EXPECT_EQ(body(request), "refused: tools[0].function.parameters.type");
}

// Nothing else would stop Bedrock at the cap that a hold rests on.
TEST(BedrockConverse, StatesTheCapThatAHoldRestsOn) {
    const canon::Request request = openai({user(0, "q")});
    EncodeTarget target;
    target.model_id = "amazon.nova-lite-v1:0";
    target.output_tokens_default = 77;
    EXPECT_EQ(kDialect.encode_request(request, target)->body.find("maxTokens"), std::string::npos);
    target.states_output_cap = true;
    EXPECT_THAT(kDialect.encode_request(request, target)->body, HasSubstr(R"("maxTokens":77)"));
}

TEST(BedrockConverse, AskingForTextAloneAsksForNothing) {
    canon::Request request = openai({user(0, "q")});
    request.extras.push_back({"modalities", R"(["text"])"});
    EXPECT_EQ(body(request), body(openai({user(0, "q")})));
}

TEST(BedrockConverse, MarksCachePoints) {
    canon::Request request = openai({item(Role::kSystem, 0, canon::Text{"s"}), user(1, "q")});
    request.items[0].cache = canon::CacheMark{"1h"};
    request.items[1].cache = canon::CacheMark{};
    const std::string text = body(request);
    EXPECT_THAT(
        text, HasSubstr(R"("system":[{"text":"s"},{"cachePoint":{"type":"default","ttl":"1h"}}])"));
    EXPECT_THAT(text, HasSubstr(R"([{"text":"q"},{"cachePoint":{"type":"default"}}])"));
}

TEST(BedrockConverse, NamesTheFieldThatIsWrong) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"{}", "messages"},
        {R"({"messages":[]})", "messages"},
        {R"({"messages":[{"role":"system","content":[]}]})", "messages[0].role"},
        {R"({"messages":[{"role":"user","content":"x"}]})", "messages[0].content"},
        {R"({"messages":[{"role":"user","content":[{"text":1}]}]})", "messages[0].content[0].text"},
        {R"({"messages":[{"role":"user","content":[{}]}]})", "messages[0].content[0]"},
        {R"({"messages":[{"role":"assistant","content":[{"toolUse":{"toolUseId":"a","name":"n",)"
         R"("input":"x"}}]}]})",
            "messages[0].content[0].toolUse.input"},
        {R"({"messages":[{"role":"user","content":[{"text":"x"}]}],"inferenceConfig":)"
         R"({"maxTokens":0}})",
            "inferenceConfig.maxTokens"},
        {R"({"messages":[{"role":"user","content":[{"text":"x"}]}],"toolConfig":{}})",
            "toolConfig.tools"},
    };
    for (const auto& [text, field] : cases) {
        const auto request = kDialect.decode_request(*json::Document::parse(text), {});
        ASSERT_FALSE(request) << text;
        EXPECT_EQ(request.error().field, field);
    }
}

std::string frames(std::initializer_list<std::pair<std::string_view, std::string_view>> events) {
    std::string out;
    for (const auto& [type, payload] : events)
        framing::append_event_stream_event(out, type, payload);
    return out;
}

TEST(BedrockConverse, OpensTextAndReasoningWithTheirFirstDelta) {
    const std::string stream = frames({
        {"messageStart", R"({"role":"assistant","p":"abc"})"},
        {"contentBlockDelta", R"({"contentBlockIndex":0,"delta":{"text":""}})"},  // gpt-oss
        {"contentBlockStop", R"({"contentBlockIndex":0})"},
        {"contentBlockDelta",
            R"({"contentBlockIndex":1,"delta":{"reasoningContent":{"text":"h"}}})"},
        {"contentBlockDelta",
            R"({"contentBlockIndex":1,"delta":{"reasoningContent":{"signature":"S"}}})"},
        {"contentBlockStop", R"({"contentBlockIndex":1})"},
        {"contentBlockStart",
            R"({"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"a","name":"now"}}})"},
        {"contentBlockDelta", R"({"contentBlockIndex":2,"delta":{"toolUse":{"input":""}}})"},
        {"contentBlockStop", R"({"contentBlockIndex":2})"},
        {"messageStop", R"({"stopReason":"tool_use"})"},
        {"metadata", R"({"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7}})"},
    });
    EXPECT_THAT(decode(ReplyForm::kStream, stream, 10).shown,
        ElementsAre("started", "part 0.0 kind 2  ", "delta 0.0 h", "signature 0.0 S", "end 0.0",
            "part 0.1 kind 3 a now", "delta 0.1 {}", "end 0.1", "finished tool_calls tool_use ",
            R"(usage {"input":3,"output":4})", "ended"));
}

TEST(BedrockConverse, CountsCachedTokensOnceWhateverTheirNames) {
    const auto usage = [](std::string text) {
        return canon::to_json(usage_of(json::Document::parse(std::move(text))->root()));
    };
    EXPECT_EQ(
        usage(R"({"inputTokens":5,"outputTokens":2,"totalTokens":37,"cacheReadInputTokens":10,)"
              R"("cacheReadInputTokenCount":10,"cacheWriteInputTokens":20,)"
              R"("cacheWriteInputTokenCount":20,"cacheDetails":[{"ttl":"1h","inputTokens":15},)"
              R"({"ttl":"5m","inputTokens":5}]})"),
        R"({"input":5,"cache_read":10,"cache_write":5,"cache_write_long":15,"output":2})");
    EXPECT_EQ(usage(R"({"inputTokens":5,"outputTokens":2,"cacheReadInputTokenCount":10})"),
        R"({"input":5,"cache_read":10,"output":2})");
    // Counted inside, as the total shows.
    EXPECT_EQ(
        usage(R"({"inputTokens":15,"outputTokens":2,"totalTokens":17,"cacheReadInputTokens":10})"),
        R"({"input":5,"cache_read":10,"output":2})");
    EXPECT_EQ(usage(R"({"inputTokens":-5,"outputTokens":"x"})"), "{}");
}

TEST(BedrockConverse, AnExceptionEndsTheStreamAtAnyPlace) {
    std::string stream = frames({{"messageStart", R"({"role":"assistant"})"},
        {"contentBlockDelta", R"({"contentBlockIndex":0,"delta":{"text":"He"}})"}});
    framing::append_event_stream_exception(
        stream, "modelStreamErrorException", R"({"message":"broke"})");
    EXPECT_THAT(decode(ReplyForm::kStream, stream, 3).shown,
        ElementsAre("started", "part 0.0 kind 0  ", "delta 0.0 He",
            "failed 424 ModelStreamErrorException broke"));
    std::string first;
    framing::append_event_stream_exception(
        first, "throttlingException", R"({"message":"slow down"})");
    const Decoded decoded = decode(ReplyForm::kStream, first, 3);
    ASSERT_EQ(decoded.events.size(), 1U);
    EXPECT_EQ(
        std::get<canon::Failed>(decoded.events[0]).failure.kind, canon::FailureKind::kRateLimited);
}

TEST(BedrockConverse, WritesAStreamThatReadsBack) {
    std::vector<canon::Event> events;
    events.emplace_back(canon::Started{"id", "m", 1});
    canon::PartStarted call;
    call.kind = canon::PartKind::kToolCall;
    call.call_id = "c";
    call.name = "n";
    events.emplace_back(call);
    events.emplace_back(canon::PartDelta{0, 0, R"({"a":)"});
    events.emplace_back(canon::PartDelta{0, 0, "1}"});
    events.emplace_back(canon::PartEnded{0, 0});
    events.emplace_back(canon::Finished{0, canon::StopReason::kToolCalls, "tool_calls", ""});
    canon::Usage usage;
    usage[canon::Meter::kInput] = 9;
    usage[canon::Meter::kCacheRead] = 4;
    usage[canon::Meter::kOutput] = 2;
    events.emplace_back(canon::UsageReported{usage});
    events.emplace_back(canon::Ended{});
    EXPECT_THAT(decode(ReplyForm::kStream, encode(ReplyForm::kStream, events), 11).shown,
        ElementsAre("started", "part 0.0 kind 3 c n", R"(delta 0.0 {"a":)", "delta 0.0 1}",
            "end 0.0", "finished tool_calls tool_use ",
            R"(usage {"input":9,"cache_read":4,"output":2})", R"(aside metrics {"latencyMs":0})",
            "ended"));
}

// The fold forgets the order of events, so a citation says which part it belongs to.
TEST(BedrockConverse, CitationsStayWithTheirTextInBothForms) {
    const std::string body =
        R"({"metrics":{"latencyMs":3},"output":{"message":{"content":[{"text":"a"},)"
        R"({"citationsContent":{"content":[{"text":"b"}],"citations":[{"title":"x"},{"title":"y"}]}},)"
        R"({"text":"c"}],"role":"assistant"}},"stopReason":"end_turn",)"
        R"("usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}})";
    const Decoded whole = decode(ReplyForm::kWhole, body, 7);
    EXPECT_THAT(whole.shown,
        ElementsAre("started", "part 0.0 kind 0  ", "delta 0.0 a", "end 0.0", "part 0.1 kind 0  ",
            "delta 0.1 b", R"(aside of 0.1 citation {"title":"x"})",
            R"(aside of 0.1 citation {"title":"y"})", "end 0.1", "part 0.2 kind 0  ", "delta 0.2 c",
            "end 0.2", "finished stop end_turn ", R"(usage {"input":1,"output":2})",
            R"(aside metrics {"latencyMs":3})", "ended"));
    std::vector<std::string> dropped;
    const Decoded stream =
        decode(ReplyForm::kStream, encode(ReplyForm::kStream, whole.events, &dropped), 11);
    EXPECT_TRUE(dropped.empty());
    EXPECT_THAT(stream.shown,
        testing::IsSupersetOf(
            {R"(aside of 0.1 citation {"title":"x"})", R"(aside of 0.1 citation {"title":"y"})"}));
    for (const Decoded* decoded : {&whole, &stream}) {
        const std::string again = encode(ReplyForm::kWhole, decoded->events, &dropped);
        EXPECT_TRUE(dropped.empty());
        EXPECT_NE(again.find(R"([{"text":"a"},{"citationsContent":{"content":[{"text":"b"}],)"
                             R"("citations":[{"title":"x"},{"title":"y"}]}},{"text":"c"}])"),
            std::string::npos)
            << again;
    }
}

TEST(BedrockConverse, CitationsThatBelongToNothingOrToOthersAreNamed) {
    canon::PartStarted text;
    std::vector<canon::Event> events{canon::Started{}, text};
    for (const auto& [origin, part] :
        {std::pair<const char*, std::optional<std::uint32_t>>{"bedrock-converse", std::nullopt},
            {"bedrock-converse", 5}, {"anthropic-messages", 0}}) {
        std::vector<canon::Event> with = events;
        with.emplace_back(canon::Aside{origin, "citation", "{}", 0, part});
        with.emplace_back(canon::Ended{});
        for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
            std::vector<std::string> dropped;
            (void)encode(form, with, &dropped);
            EXPECT_THAT(dropped, ElementsAre("citation")) << origin;
        }
    }
}

TEST(BedrockConverse, TheTierThatServedIsReportedWithTheUsage) {
    const std::string tail = R"("usage":{"inputTokens":1},"serviceTier":{"type":"flex"}})";
    const Decoded whole = decode(ReplyForm::kWhole,
        R"({"output":{"message":{"content":[]}},"stopReason":"end_turn",)" + tail, 99);
    EXPECT_THAT(whole.shown, testing::Contains(R"(usage {"input":1} flex)"));
    const Decoded stream = decode(ReplyForm::kStream,
        frames({{"messageStop", R"({"stopReason":"end_turn"})"}, {"metadata", "{" + tail}}), 99);
    EXPECT_THAT(stream.shown, testing::Contains(R"(usage {"input":1} flex)"));
}

TEST(BedrockConverse, WritesErrorsItsClientsRead) {
    canon::Failure failure;
    failure.kind = canon::FailureKind::kRateLimited;
    failure.status = 429;
    failure.message = "slow \"down\"";
    const std::string text = kDialect.encode_failure(failure);
    EXPECT_EQ(text, R"({"__type":"ThrottlingException","message":"slow \"down\""})");
    EXPECT_EQ(kDialect.decode_failure(429, {}, text).kind, canon::FailureKind::kRateLimited);
    const std::vector<Header> headers{
        {"X-Amzn-ErrorType", "ModelNotReadyException:http://x/"}, {"x-amzn-requestid", "r"}};
    const canon::Failure read = kDialect.decode_failure(429, headers, "<html>");
    EXPECT_EQ(read.kind, canon::FailureKind::kOverloaded);
    EXPECT_EQ(read.request_id, "r");
    EXPECT_EQ(read.message, "<html>");
}

}  // namespace
}  // namespace entrepot::dialect::bedrock_converse
