#include <gtest/gtest.h>

#include "canon/request.h"
#include "dialect/anthropic_messages/anthropic_messages.h"
#include "json/value.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::CacheMark;
using canon::Item;
using canon::Role;
using canon::Text;
using canon::ToolCall;
using canon::ToolResult;

canon::Request foreign(std::vector<Item> items) {
    canon::Request request;
    request.origin = "openai-chat";
    request.model = "m";
    request.items = std::move(items);
    return request;
}

Item text(Role role, std::uint32_t turn, std::string words) {
    return {.role = role, .turn = turn, .body = Text{std::move(words)}};
}

Item call(std::uint32_t turn, std::string id, std::string arguments) {
    return {.role = Role::kAssistant,
        .turn = turn,
        .body = ToolCall{.id = std::move(id), .name = "f", .arguments = std::move(arguments)}};
}

Item result(std::uint32_t turn, std::string id, std::string words) {
    return {.role = Role::kTool,
        .turn = turn,
        .body = ToolResult{
            .call_id = std::move(id), .content = {text(Role::kTool, turn, std::move(words))}}};
}

canon::Request hello() { return foreign({text(Role::kUser, 0, "hi")}); }

// The body of a request that is carried, without its model, and what it dropped.
struct Carried {
    std::string body;
    std::vector<std::string> dropped;
};

Carried carry(const canon::Request& request, OnLossy on_lossy = OnLossy::kMeaning,
    std::string_view model = "claude-opus-4-6") {
    const auto encoded =
        dialect().encode_request(request, {.model_id = model, .on_lossy = on_lossy});
    EXPECT_TRUE(encoded) << encoded.error().message;
    if (!encoded) return {};
    const std::string head = "{\"model\":\"" + std::string(model) + "\",";
    EXPECT_TRUE(encoded->body.starts_with(head)) << encoded->body;
    EXPECT_TRUE(json::Document::parse(encoded->body)) << encoded->body;
    return {encoded->body.substr(head.size()), encoded->dropped};
}

// The field that a request is refused for, or empty.
std::string refused_for(const canon::Request& request, OnLossy on_lossy = OnLossy::kMeaning,
    std::string_view model = "claude-opus-4-6") {
    const auto encoded =
        dialect().encode_request(request, {.model_id = model, .on_lossy = on_lossy});
    if (encoded) return {};
    EXPECT_EQ(encoded.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(encoded.error().message.find(encoded.error().field), std::string::npos);
    return encoded.error().field;
}

using Names = std::vector<std::string>;

TEST(AnthropicRequest, LeadingPromptsBecomeSystemAndTheCapIsAlwaysStated) {
    canon::Request request = foreign({text(Role::kSystem, 0, "be brief"),
        text(Role::kDeveloper, 1, "and kind"), text(Role::kUser, 2, "hi")});
    request.is_stream = true;
    const Carried carried = carry(request);
    EXPECT_EQ(carried.body,
        R"("max_tokens":4096,"stream":true,"system":[{"type":"text","text":"be brief"},{"type":"text","text":"and kind"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]})");
    EXPECT_TRUE(carried.dropped.empty());
    request.output_tokens_max = 9;
    EXPECT_TRUE(carry(request).body.starts_with("\"max_tokens\":9,"));
}

// Moved to the front, a later prompt would rule what came before it.
TEST(AnthropicRequest, APromptInMidConversationIsRefusedOrStaysInItsPlace) {
    const canon::Request request =
        foreign({text(Role::kUser, 0, "a"), text(Role::kAssistant, 1, "b"),
            text(Role::kSystem, 2, "now in French"), text(Role::kUser, 3, "c")});
    EXPECT_EQ(refused_for(request), "messages[2].role");
    const Carried carried = carry(request, OnLossy::kName);
    EXPECT_EQ(carried.dropped, Names{"messages[2].role"});
    EXPECT_NE(
        carried.body.find(
            R"({"role":"user","content":[{"type":"text","text":"now in French"},{"type":"text","text":"c"}]})"),
        std::string::npos);
    EXPECT_EQ(carried.body.find("system"), std::string::npos);
}

TEST(AnthropicRequest, AllResultsOfATurnStandFirstInTheNextOne) {
    const Carried carried =
        carry(foreign({text(Role::kUser, 0, "go"), call(1, "a", "{\"x\":1}"), call(1, "b", ""),
            result(2, "a", "A"), text(Role::kUser, 3, "by the way"), result(4, "b", "B")}));
    EXPECT_EQ(carried.body,
        R"("max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"go"}]},)"
        R"({"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{"x":1}},{"type":"tool_use","id":"b","name":"f","input":{}}]},)"
        R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"A"}]},{"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"B"}]},{"type":"text","text":"by the way"}]}]})");
}

TEST(AnthropicRequest, ArgumentsThatAreNoObjectAreAlwaysRefused) {
    for (const std::string arguments : {"{\"x\":", "[1]", "\"x\"", "nonsense"}) {
        const canon::Request request =
            foreign({text(Role::kUser, 0, "go"), call(1, "a", arguments), result(2, "a", "A")});
        EXPECT_EQ(
            refused_for(request, OnLossy::kName), "messages[1].tool_calls.function.arguments");
    }
}

TEST(AnthropicRequest, IdsOfCallsAreMadeFitAndStayPaired) {
    const Carried carried = carry(foreign({text(Role::kUser, 0, "go"), call(1, "f:0", "{}"),
        call(1, "f_0", "{}"), result(2, "f_0", "A"), result(2, "f:0", "B")}));
    EXPECT_NE(carried.body.find(R"("id":"f_0","name")"), std::string::npos) << carried.body;
    EXPECT_NE(carried.body.find(R"("id":"f_0_2","name")"), std::string::npos) << carried.body;
    EXPECT_NE(carried.body.find(R"("tool_use_id":"f_0_2","content":[{"type":"text","text":"A"}])"),
        std::string::npos)
        << carried.body;
}

TEST(AnthropicRequest, TextsThatSayNothingAreLeftOut) {
    const Carried carried = carry(foreign(
        {text(Role::kSystem, 0, ""), text(Role::kUser, 1, "hi"), text(Role::kAssistant, 2, ""),
            text(Role::kUser, 3, " \n"), text(Role::kUser, 4, "there")}));
    EXPECT_EQ(carried.body,
        R"("max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"text","text":"there"}]}]})");
    EXPECT_EQ(carried.dropped, Names{"messages[3].content"});
    EXPECT_EQ(refused_for(foreign({text(Role::kUser, 0, "")}), OnLossy::kName), "messages");
}

TEST(AnthropicRequest, AConversationThatDoesNotBeginWithTheUserIsRefusedOrMended) {
    const canon::Request prompts =
        foreign({text(Role::kSystem, 0, "a"), text(Role::kSystem, 1, "b")});
    EXPECT_EQ(refused_for(prompts), "messages");
    EXPECT_EQ(carry(prompts, OnLossy::kName).body,
        R"("max_tokens":4096,"system":[{"type":"text","text":"a"}],"messages":[{"role":"user","content":[{"type":"text","text":"b"}]}]})");
    const canon::Request answer =
        foreign({text(Role::kAssistant, 0, "a"), text(Role::kUser, 1, "b")});
    EXPECT_EQ(refused_for(answer), "messages[0].role");
    EXPECT_NE(carry(answer, OnLossy::kName).body.find("\"messages\":[{\"role\":\"user\""),
        std::string::npos);
}

TEST(AnthropicRequest, ThoughtsGoBackToTheirMakerAlone) {
    Item own{.role = Role::kAssistant, .turn = 1, .body = canon::Thought{.text = "hm"}};
    own.signature = canon::Signature{"anthropic-messages", "sig"};
    Item other = own;
    other.signature = canon::Signature{"gemini", "sig"};
    Item redacted{.role = Role::kAssistant, .turn = 1, .body = canon::Thought{.is_redacted = true}};
    redacted.signature = canon::Signature{"anthropic-messages", "xx"};
    const Carried carried = carry(foreign({text(Role::kUser, 0, "go"), own, other, redacted,
        call(1, "a", "{}"), result(2, "a", "A")}));
    EXPECT_NE(
        carried.body.find(
            R"("content":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"xx"},{"type":"tool_use")"),
        std::string::npos)
        << carried.body;
    EXPECT_EQ(carried.dropped, Names{"messages[1].reasoning"});
}

TEST(AnthropicRequest, MediaFindTheirPlaceOrAreRefused) {
    using Kind = canon::Media::Kind;
    using Source = canon::Media::Source;
    const auto with = [](canon::Media media) {
        return foreign({text(Role::kUser, 0, "see"),
            {.role = Role::kUser, .turn = 0, .body = std::move(media)}});
    };
    EXPECT_NE(
        carry(with({.media_type = "image/png", .data = "AA=="}))
            .body.find(
                R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}})"),
        std::string::npos);
    // What is no registered name, and common all the same.
    for (const char* type : {"image/jpg", "IMAGE/JPEG"})
        EXPECT_NE(carry(with({.media_type = type, .data = "AA=="}))
                      .body.find(R"("media_type":"image/jpeg")"),
            std::string::npos);
    EXPECT_NE(carry(with({.source = Source::kUrl, .data = "https://x/y.png"}))
                  .body.find(R"({"type":"image","source":{"type":"url","url":"https://x/y.png"}})"),
        std::string::npos);
    EXPECT_NE(
        carry(with({.kind = Kind::kDocument,
                  .media_type = "application/pdf",
                  .data = "AA==",
                  .name = "a.pdf"}))
            .body.find(
                R"({"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA=="},"title":"a.pdf"})"),
        std::string::npos);
    EXPECT_NE(
        carry(with({.kind = Kind::kDocument, .media_type = "text/csv", .data = "YSxi"}))
            .body.find(
                R"({"type":"document","source":{"type":"text","media_type":"text/plain","data":"a,b"}})"),
        std::string::npos);
    EXPECT_EQ(carry(with({.source = Source::kUrl, .data = "https://x", .detail = "low"})).dropped,
        Names{"messages[0].content.image_url.detail"});
    for (const canon::Media& media : {canon::Media{.media_type = "image/tiff", .data = "AA=="},
             canon::Media{.source = Source::kFileId, .data = "file-1"},
             canon::Media{.kind = Kind::kAudio, .media_type = "audio/wav", .data = "AA=="},
             canon::Media{
                 .kind = Kind::kDocument, .media_type = "application/zip", .data = "AA=="}}) {
        EXPECT_EQ(refused_for(with(media)), "messages[0].content");
        EXPECT_EQ(carry(with(media), OnLossy::kName).dropped, Names{"messages[0].content"});
    }
}

TEST(AnthropicRequest, ToolsKeepTheirSchemasAndNamesThatFit) {
    canon::Request request = hello();
    request.tools = {{.name = "a"},
        {.name = "b", .description = "B", .parameters = R"({"properties":{}})", .is_strict = true}};
    request.parallel_tool_calls = false;
    EXPECT_NE(
        carry(request).body.find(
            R"("tools":[{"name":"a","input_schema":{"type":"object"}},{"name":"b","description":"B","input_schema":{"type":"object","properties":{},"additionalProperties":false},"strict":true}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true})"),
        std::string::npos)
        << carry(request).body;
    request.parallel_tool_calls.reset();
    request.tool_choice = {canon::ToolChoice::Mode::kNamed, "b"};
    EXPECT_NE(
        carry(request).body.find(R"("tool_choice":{"type":"tool","name":"b"})"), std::string::npos);
    request.tools[0].name = "with space";
    EXPECT_EQ(refused_for(request, OnLossy::kName), "tools[0].name");
    request.tools[0] = {.name = "a", .is_custom = true};
    EXPECT_EQ(refused_for(request), "tools[0]");
    request.tools[0] = {.server = canon::Opaque{"openai-responses", "web_search", "{}"}};
    EXPECT_EQ(refused_for(request), "tools[0]");
    EXPECT_EQ(carry(request, OnLossy::kName).dropped, Names{"tools[0]"});
}

// One table in the README says what is refused and what is named; these are its rows.
TEST(AnthropicRequest, WhatHasNoPlaceIsRefusedOrNamedAsTheTableSays) {
    using Set = void (*)(canon::Request&);
    struct Row {
        std::string field;
        bool is_of_answer;
        Set set;
    };
    const std::vector<Row> rows{
        {"temperature", true, [](canon::Request& r) { r.temperature = "1.5"; }},
        {"stop", true, [](canon::Request& r) { r.stop = {"\n\n"}; }},
        {"response_format", true,
            [](canon::Request& r) {
                r.format = {.kind = canon::ResponseFormat::Kind::kJsonObject};
            }},
        {"n", true, [](canon::Request& r) { r.choices = 2; }},
        {"logprobs", true, [](canon::Request& r) { r.logprobs = true; }},
        {"logit_bias", true, [](canon::Request& r) { r.logit_bias = "{\"5\":1}"; }},
        {"frequency_penalty", true, [](canon::Request& r) { r.frequency_penalty = "0.1"; }},
        {"presence_penalty", true, [](canon::Request& r) { r.presence_penalty = "-1"; }},
        {"web_search_options", true,
            [](canon::Request& r) { r.extras = {{"web_search_options", "{}"}}; }},
        {"seed", false, [](canon::Request& r) { r.seed = 7; }},
        {"verbosity", false, [](canon::Request& r) { r.verbosity = "low"; }},
        {"prompt_cache_key", false, [](canon::Request& r) { r.prompt_cache_key = "k"; }},
        {"metadata", false, [](canon::Request& r) { r.metadata = "{\"a\":\"b\"}"; }},
        {"store", false, [](canon::Request& r) { r.store = true; }},
        {"service_tier", false, [](canon::Request& r) { r.service_tier = "flex"; }},
        {"user", false, [](canon::Request& r) { r.user = std::string(300, 'u'); }},
        {"messages[0].name", false, [](canon::Request& r) { r.items[0].author = "bo"; }},
        {"prediction", false, [](canon::Request& r) { r.extras = {{"prediction", "{}"}}; }},
    };
    const std::string plain = carry(hello()).body;
    for (const Row& row : rows) {
        canon::Request request = hello();
        row.set(request);
        EXPECT_EQ(refused_for(request, OnLossy::kRefuse), row.field);
        EXPECT_EQ(refused_for(request), row.is_of_answer ? row.field : "");
        const Carried named = carry(request, OnLossy::kName);
        EXPECT_EQ(named.dropped, Names{row.field});
        EXPECT_EQ(named.body, plain) << row.field;
    }
    canon::Request harmless = hello();
    harmless.choices = 1;
    harmless.logprobs = false;
    harmless.logit_bias = "{}";
    harmless.frequency_penalty = "0.0";
    harmless.store = false;
    harmless.service_tier = "auto";
    harmless.verbosity = "medium";
    harmless.extras = {{"modalities", "[\"text\"]"}};
    harmless.format = canon::ResponseFormat{};
    EXPECT_EQ(carry(harmless, OnLossy::kRefuse).body, plain);
}

TEST(AnthropicRequest, SamplingUserAndFormatAreCarried) {
    canon::Request request = hello();
    request.temperature = "0.70";
    request.top_p = "9e-1";
    request.stop = {"END"};
    request.user = "u1";
    request.format = {.kind = canon::ResponseFormat::Kind::kJsonSchema,
        .name = "n",
        .schema = R"({"type":"object","properties":{}})"};
    EXPECT_TRUE(carry(request, OnLossy::kRefuse)
            .body.ends_with(
                R"(,"temperature":0.70,"top_p":9e-1,"stop_sequences":["END"],"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{},"additionalProperties":false}}},"metadata":{"user_id":"u1"}})"))
        << carry(request).body;
}

TEST(AnthropicRequest, EffortBecomesABudgetOrAnEffortByGeneration) {
    canon::Request request = hello();
    request.reasoning = canon::Reasoning{.effort = "medium"};
    request.output_tokens_max = 8000;
    constexpr std::string_view kOld = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    EXPECT_TRUE(carry(request, OnLossy::kRefuse, kOld)
            .body.ends_with(R"(,"thinking":{"type":"enabled","budget_tokens":4000}})"));
    EXPECT_TRUE(carry(request, OnLossy::kRefuse)
            .body.ends_with(
                R"(,"thinking":{"type":"adaptive"},"output_config":{"effort":"medium"}})"));
    request.output_tokens_max = 1024;  // no room below the cap
    EXPECT_EQ(carry(request, OnLossy::kMeaning, kOld).dropped, Names{"reasoning_effort"});
    EXPECT_EQ(refused_for(request, OnLossy::kRefuse, kOld), "reasoning_effort");
    request.output_tokens_max = 8000;
    request.temperature = "0.5";
    EXPECT_EQ(refused_for(request), "temperature");
    request.temperature = "1";
    EXPECT_TRUE(carry(request).dropped.empty());
    request.tools = {{.name = "f"}};
    request.tool_choice = {canon::ToolChoice::Mode::kRequired, ""};
    EXPECT_EQ(carry(request).dropped, Names{"reasoning_effort"});
    request.tool_choice.reset();
    request.items = {text(Role::kUser, 0, "go"), call(1, "a", "{}"), result(2, "a", "A")};
    EXPECT_EQ(carry(request, OnLossy::kMeaning, kOld).dropped, Names{"reasoning_effort"});
    request.reasoning->effort = "none";
    EXPECT_EQ(carry(request, OnLossy::kRefuse).body.find("thinking"), std::string::npos);
}

TEST(AnthropicRequest, TheLastFourCacheMarksAreKept) {
    canon::Request request = hello();
    request.items.clear();
    for (std::uint32_t i = 0; i < 5; ++i) {
        request.items.push_back(text(Role::kUser, i, "t"));
        request.items.back().cache = CacheMark{i == 4 ? "1h" : ""};
    }
    request.tools = {{.name = "f", .cache = CacheMark{}}};
    const Carried carried = carry(request);
    EXPECT_EQ(carried.dropped, (Names{"tools[0].cache_control", "messages[0].cache_control"}));
    std::size_t marks = 0;
    for (std::size_t at = 0; (at = carried.body.find("cache_control", at)) != std::string::npos;
        ++at)
        ++marks;
    EXPECT_EQ(marks, 4u);
    EXPECT_NE(
        carried.body.find(R"("cache_control":{"type":"ephemeral","ttl":"1h"})"), std::string::npos);
}

TEST(AnthropicRequest, OwnRequestsComeBackWithEveryField) {
    const std::string body =
        R"({"model":"m","max_tokens":5000,"stream":true,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],)"
        R"("messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},"title":"t","citations":{"enabled":true}},{"type":"container_upload","file_id":"f"}]},)"
        R"({"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"s"},{"type":"tool_use","id":"a","name":"f","input":{"x":[1.50]},"caller":{"type":"direct"}}]},)"
        R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"r"}],"is_error":true,"cache_control":{"type":"ephemeral"}}]},)"
        R"({"role":"system","content":[{"type":"text","text":"late"}]}],)"
        R"("tools":[{"name":"f","input_schema":{},"defer_loading":true},{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"auto","disable_parallel_tool_use":false},)"
        R"("thinking":{"type":"enabled","budget_tokens":2000,"display":"omitted"},"temperature":1.0,"top_k":4,"stop_sequences":[" "],)"
        R"("output_config":{"effort":"high","format":{"type":"json_schema","schema":{}},"x":1},"metadata":{"user_id":"u","y":2},"service_tier":"standard_only","container":"c","unheard_of":3})";
    const auto document = json::Document::parse(body);
    ASSERT_TRUE(document);
    const auto request = dialect().decode_request(*document, {});
    ASSERT_TRUE(request) << request.error().message;
    const auto encoded =
        dialect().encode_request(*request, {.model_id = "m", .on_lossy = OnLossy::kRefuse});
    ASSERT_TRUE(encoded) << encoded.error().message;
    EXPECT_EQ(encoded->body, body);
    EXPECT_TRUE(encoded->dropped.empty());
}

TEST(AnthropicRequest, BetasStandInAHeaderAndNotInTheBody) {
    const auto body = json::Document::parse(
        R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]})");
    ASSERT_TRUE(body);
    const std::vector<Header> headers{
        {"anthropic-beta", "context-1m-2025-08-07, effort-2025-11-24"},
        {"anthropic-version", "2023-06-01"}, {"anthropic-beta", "a"}};
    RequestContext context;
    context.headers = headers;
    const auto request = dialect().decode_request(*body, context);
    ASSERT_TRUE(request);
    ASSERT_EQ(request->extras.size(), 1U);
    EXPECT_EQ(request->extras[0].path, "anthropic_beta");
    EXPECT_EQ(request->extras[0].json, R"(["context-1m-2025-08-07","effort-2025-11-24","a"])");

    const auto encoded = dialect().encode_request(*request, {.model_id = "m"});
    ASSERT_TRUE(encoded);
    EXPECT_EQ(encoded->body.find("anthropic_beta"), std::string::npos);
    ASSERT_EQ(encoded->headers.size(), 1U);
    EXPECT_EQ(encoded->headers[0].name, "anthropic-beta");
    EXPECT_EQ(encoded->headers[0].value, "context-1m-2025-08-07,effort-2025-11-24,a");
}

TEST(AnthropicRequest, AFieldOfTheWrongTypeIsNamed) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {R"({"messages":[{"role":"user","content":"x"}],"max_tokens":1})", "model"},
        {R"({"model":"m","messages":[{"role":"user","content":"x"}]})", "max_tokens"},
        {R"({"model":"m","max_tokens":0,"messages":[{"role":"user","content":"x"}]})",
            "max_tokens"},
        {R"({"model":"m","max_tokens":1,"messages":[]})", "messages"},
        {R"({"model":"m","max_tokens":1,"messages":[{"role":"tool","content":"x"}]})",
            "messages[0].role"},
        {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":5}]})",
            "messages[0].content"},
        {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text"}]}]})",
            "messages[0].content[0].text"},
        {R"({"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":"{}"}]}]})",
            "messages[0].content[0].input"},
        {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"temperature":"hot"})",
            "temperature"},
        {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":[{"name":"f"}]})",
            "tools[0].input_schema"},
        {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tool_choice":"auto"})",
            "tool_choice"},
        {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"thinking":{"type":"enabled"}})",
            "thinking.budget_tokens"},
    };
    for (const auto& [body, field] : cases) {
        const auto document = json::Document::parse(body);
        ASSERT_TRUE(document) << body;
        const auto request = dialect().decode_request(*document, {});
        ASSERT_FALSE(request) << body;
        EXPECT_EQ(request.error().code, ErrorCode::kInvalidField);
        EXPECT_EQ(request.error().field, field);
    }
}

}  // namespace
}  // namespace entrepot::dialect::anthropic_messages
