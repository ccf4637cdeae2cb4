#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"
#include "dialect/gemini/schema.h"
#include "json/value.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::ToolChoice;
using json::Document;
using testing::ElementsAre;

canon::Request decoded(std::string_view body, const Dialect& dialect = gemini()) {
    const auto document = Document::parse(std::string(body));
    EXPECT_TRUE(document) << body;
    RequestContext context;
    context.model = "gemini-2.5-flash";
    auto request = dialect.decode_request(*document, context);
    EXPECT_TRUE(request) << request.error().message;
    return request ? *std::move(request) : canon::Request{};
}

std::string refused_field(std::string_view body) {
    const auto document = Document::parse(std::string(body));
    RequestContext context;
    context.model = "m";
    const auto request = gemini().decode_request(*document, context);
    EXPECT_FALSE(request);
    return request ? std::string() : request.error().field;
}

EncodedRequest encoded(const canon::Request& request, std::string_view model,
    const Dialect& dialect = gemini(), OnLossy on_lossy = OnLossy::kMeaning) {
    EncodeTarget target;
    target.model_id = model;
    target.on_lossy = on_lossy;
    auto out = dialect.encode_request(request, target);
    EXPECT_TRUE(out) << out.error().message;
    return out ? *std::move(out) : EncodedRequest{};
}

/// The field that an encoder refuses.
std::string refused(const canon::Request& request, std::string_view model) {
    EncodeTarget target;
    target.model_id = model;
    const auto out = gemini().encode_request(request, target);
    EXPECT_FALSE(out);
    return out ? std::string() : out.error().field;
}

/// The value at a path of members (`a.b`) and items (`a.0`) of a body, as it is spelled.
std::string at(const std::string& body, std::string_view path) {
    const auto document = Document::parse(body);
    EXPECT_TRUE(document) << body;
    const json::Value* value = &document->root();
    while (!path.empty()) {
        const std::string_view key = path.substr(0, path.find('.'));
        path.remove_prefix(std::min(path.size(), key.size() + 1));
        if (value->is_array()) {
            const std::size_t index = static_cast<std::size_t>(key.front() - '0');
            if (index >= value->items().size()) return "";
            value = &value->items()[index];
        } else {
            value = value->find(key);
        }
        if (value == nullptr) return "";
    }
    return std::string(value->raw());
}

canon::Item said(canon::Role role, std::uint32_t turn, auto body) {
    canon::Item item;
    item.role = role;
    item.turn = turn;
    item.body = std::move(body);
    return item;
}

/// A request of another dialect.
canon::Request foreign(std::vector<canon::Item> items) {
    canon::Request request;
    request.origin = "openai-chat";
    request.model = "m";
    request.items = std::move(items);
    return request;
}

canon::Request foreign() { return foreign({said(canon::Role::kUser, 0, canon::Text{"hi"})}); }

canon::ToolResult result_of(std::string_view call_id, std::string_view text) {
    canon::ToolResult result;
    result.call_id = call_id;
    result.content.push_back(said(canon::Role::kTool, 0, canon::Text{std::string(text)}));
    return result;
}

// ---- client request to canon

TEST(GeminiRequest, BothSpellingsMeanTheSame) {
    const auto camel = decoded(R"({"contents":[{"role":"user","parts":[{"text":"a"},
        {"inlineData":{"mimeType":"image/png","data":"eA=="}}]}],
        "systemInstruction":{"parts":[{"text":"s"}]},
        "generationConfig":{"maxOutputTokens":5,"topP":0.5,"stopSequences":["x"]}})");
    const auto snake = decoded(R"({"contents":[{"role":"user","parts":[{"text":"a"},
        {"inline_data":{"mime_type":"image/png","data":"eA=="}}]}],
        "system_instruction":{"parts":[{"text":"s"}]},
        "generation_config":{"max_output_tokens":5,"top_p":0.5,"stop_sequences":["x"]}})");
    for (const auto& request : {camel, snake}) {
        ASSERT_EQ(request.items.size(), 3U);
        EXPECT_EQ(request.items[0].role, canon::Role::kSystem);
        EXPECT_EQ(request.items[1].turn, 1U);
        EXPECT_EQ(std::get<canon::Media>(request.items[2].body).media_type, "image/png");
        EXPECT_EQ(request.output_tokens_max, 5);
        EXPECT_EQ(request.top_p, "0.5");
        EXPECT_THAT(request.stop, ElementsAre("x"));
        EXPECT_TRUE(request.extras.empty());
    }
}

TEST(GeminiRequest, ThePathSaysModelAndStreaming) {
    const auto document = Document::parse(R"({"contents":{"parts":{"text":"a"}}})");
    RequestContext context;
    context.model = "models/gemini-3";
    context.is_stream = true;
    const auto request = gemini().decode_request(*document, context);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->model, "gemini-3");
    EXPECT_TRUE(request->is_stream);
    EXPECT_FALSE(gemini().decode_request(*document, {}));
    EXPECT_TRUE(wants_json_array(""));
    EXPECT_TRUE(wants_json_array("key=abc"));
    EXPECT_FALSE(wants_json_array("alt=sse"));
    EXPECT_FALSE(wants_json_array("key=abc&%24alt=sse"));
}

TEST(GeminiRequest, EnumsMayBeNumbersOrInAnyCase) {
    const auto request = decoded(R"({"contents":[{"parts":[{"text":"a"}]}],
        "toolConfig":{"functionCallingConfig":{"mode":3}},
        "tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":6,
            "properties":{"a":{"type":1}}}}]}],
        "generationConfig":{"responseModalities":[1],"thinkingConfig":{"thinkingLevel":3}}})");
    EXPECT_EQ(request.tool_choice->mode, ToolChoice::Mode::kNone);
    EXPECT_EQ(
        request.tools[0].parameters, R"({"type":"object","properties":{"a":{"type":"string"}}})");
    EXPECT_EQ(request.reasoning->effort, "high");
    EXPECT_TRUE(request.extras.empty());
    EXPECT_EQ(decoded(R"({"contents":[{"parts":[{"text":"a"}]}],
        "toolConfig":{"functionCallingConfig":{"mode":"any"}}})")
                  .tool_choice->mode,
        ToolChoice::Mode::kRequired);
}

TEST(GeminiRequest, GooglesSchemasBecomeJsonSchema) {
    const auto schema = Document::parse(R"({"type":"OBJECT","nullable":true,"properties":{
        "b":{"type":"ARRAY","items":{"type":"INTEGER","format":"int32"},"minItems":"2"},
        "a":{"type":"STRING","enum":["x"],"nullable":true},
        "c":{"anyOf":[{"type":"NUMBER"},{"type":"BOOLEAN"}]}},
        "propertyOrdering":["a","b"],"required":["a"]})");
    const auto no_type = Document::parse(R"({"anyOf":[{"type":"STRING"},{"type":"INTEGER"}],
        "nullable":true})");
    EXPECT_EQ(*json_schema_of(no_type->root(), "p"),
        R"({"anyOf":[{"type":"string"},{"type":"integer"},{"type":"null"}]})");
    const auto width = Document::parse(R"({"type":"OBJECT","properties":{
        "n":{"type":"INTEGER","format":"int32"},"w":{"type":"STRING","format":"enum","enum":["x"]},
        "d":{"type":"STRING","format":"date-time"}}})");
    EXPECT_EQ(*json_schema_of(width->root(), "p"),
        R"({"type":"object","properties":{"n":{"type":"integer"},)"
        R"("w":{"type":"string","enum":["x"]},"d":{"type":"string","format":"date-time"}}})");
    const auto types = Document::parse(R"({"type":["STRING","NUMBER"],"nullable":true})");
    EXPECT_EQ(*json_schema_of(types->root(), "p"), R"({"type":["string","number","null"]})");
    EXPECT_EQ(*json_schema_of(schema->root(), "p"),
        R"({"type":["object","null"],"properties":{)"
        R"("a":{"type":["string","null"],"enum":["x",null]},)"
        R"("b":{"type":"array","items":{"type":"integer"},"minItems":2},)"
        R"("c":{"anyOf":[{"type":"number"},{"type":"boolean"}]}},"required":["a"]})");
    // At home it is written as it came.
    const std::string body = R"({"contents":[{"parts":[{"text":"a"}]}],"tools":[
        {"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","nullable":true}}]}],
        "generationConfig":{"responseMimeType":"application/json",
            "responseSchema":{"type":"STRING"}}})";
    const std::string again = encoded(decoded(body), "gemini-2.5-flash").body;
    EXPECT_EQ(at(again, "tools.0.functionDeclarations.0.parameters"),
        R"({"type":"OBJECT","nullable":true})");
    EXPECT_EQ(at(again, "generationConfig.responseSchema"), R"({"type":"STRING"})");
}

TEST(GeminiRequest, ResultsFindTheirCallsByNameAndOrder) {
    const auto request = decoded(R"({"contents":[{"role":"user","parts":[{"text":"a"}]},
        {"role":"model","parts":[{"functionCall":{"name":"f","args":{"x":1}}},
            {"functionCall":{"name":"g"}},{"functionCall":{"name":"f","args":{"x":2}}}]},
        {"role":"function","parts":[{"functionResponse":{"name":"f","response":{"r":1}}},
            {"functionResponse":{"name":"f","response":{"output":"two"}}},
            {"functionResponse":{"name":"g","response":{"error":"no"}}}]}]})");
    ASSERT_EQ(request.items.size(), 7U);
    const auto call = [&](std::size_t i) {
        return std::get<canon::ToolCall>(request.items[i].body);
    };
    const auto result = [&](std::size_t i) {
        return std::get<canon::ToolResult>(request.items[i].body);
    };
    EXPECT_NE(call(1).id, call(3).id);
    EXPECT_EQ(call(2).arguments, "{}");
    EXPECT_EQ(result(4).call_id, call(1).id);
    EXPECT_EQ(result(5).call_id, call(3).id);
    EXPECT_EQ(result(6).call_id, call(2).id);
    EXPECT_EQ(std::get<canon::Text>(result(4).content[0].body).text, R"({"r":1})");
    EXPECT_EQ(std::get<canon::Text>(result(5).content[0].body).text, "two");
    EXPECT_TRUE(result(6).is_error);
    EXPECT_EQ(request.items[4].role, canon::Role::kTool);
    // The made-up ids stay here.
    EXPECT_EQ(encoded(request, "gemini-2.5-flash").body.find(kMadeUpId), std::string::npos);
}

TEST(GeminiRequest, ThinkingIsReadByBudgetAndByLevel) {
    const auto thinking = [](std::string_view config) {
        return decoded(fmt::format(R"({{"contents":[{{"parts":[{{"text":"a"}}]}}],
            "generationConfig":{{"thinkingConfig":{}}}}})",
                           config))
            .reasoning;
    };
    EXPECT_EQ(thinking(R"({"thinkingBudget":512})")->budget_tokens, 512);
    EXPECT_EQ(thinking(R"({"thinkingBudget":0})")->is_enabled, false);
    EXPECT_FALSE(thinking(R"({"thinkingBudget":0})")->budget_tokens);
    EXPECT_EQ(thinking(R"({"thinkingBudget":-1})")->is_enabled, true);
    EXPECT_EQ(thinking(R"({"thinkingLevel":"low"})")->effort, "low");
    EXPECT_EQ(thinking(R"({"includeThoughts":true})")->summary, "auto");
    EXPECT_FALSE(thinking(R"({"includeThoughts":false})"));
}

TEST(GeminiRequest, WhatIsWrongIsNamedByItsPath) {
    EXPECT_EQ(refused_field("{}"), "contents");
    EXPECT_EQ(refused_field(R"({"contents":[{"role":"system","parts":[]}]})"), "contents[0].role");
    EXPECT_EQ(
        refused_field(R"({"contents":[{"parts":[{"text":"a"},{}]}]})"), "contents[0].parts[1]");
    EXPECT_EQ(
        refused_field(R"({"contents":[{"parts":[{"text":5}]}]})"), "contents[0].parts[0].text");
    EXPECT_EQ(refused_field(R"({"contents":[{"parts":[{"functionCall":{"args":{}}}]}]})"),
        "contents[0].parts[0].functionCall.name");
    EXPECT_EQ(refused_field(R"({"contents":[{"parts":[{"text":"a"}]}],
        "generationConfig":{"temperature":"hot"}})"),
        "generationConfig.temperature");
    EXPECT_EQ(refused_field(R"({"contents":[{"parts":[{"text":"a"}]}],
        "toolConfig":{"functionCallingConfig":{"mode":"SOMETIMES"}}})"),
        "toolConfig.functionCallingConfig.mode");
}

TEST(GeminiRequest, WhatOnlyGoogleKnowsRidesAlongHome) {
    const std::string body = R"({"contents":[{"role":"user","parts":[{"text":"a"},
        {"fileData":{"fileUri":"https://youtu.be/x"},"videoMetadata":{"fps":2}},
        {"executableCode":{"code":"1","language":"PYTHON"},"thoughtSignature":"c2ln"}]}],
        "safetySettings":[{"category":"C","threshold":"OFF"}],"cachedContent":"cachedContents/1",
        "labels":{"team":"x"},"tools":[{"googleSearch":{}}],
        "generationConfig":{"speechConfig":{"voice":"v"},"thinkingConfig":{"more":1}},
        "toolConfig":{"retrievalConfig":{"l":1},"functionCallingConfig":{"mode":"VALIDATED",
            "allowedFunctionNames":["f","g"]}}})";
    const auto request = decoded(body, vertex());
    EXPECT_EQ(std::get<canon::Opaque>(request.items[2].body).origin, "gemini");
    EXPECT_EQ(request.items[2].signature->origin, "gemini");
    const std::string again = encoded(request, "gemini-2.5-flash", vertex(), OnLossy::kRefuse).body;
    EXPECT_EQ(at(again, "contents.0.parts.1.videoMetadata"), R"({"fps":2})");
    EXPECT_EQ(at(again, "contents.0.parts.2"),
        R"({"executableCode":{"code":"1","language":"PYTHON"},"thoughtSignature":"c2ln"})");
    EXPECT_EQ(at(again, "cachedContent"), R"("cachedContents/1")");
    EXPECT_EQ(at(again, "labels.team"), R"("x")");
    EXPECT_EQ(at(again, "tools.0.googleSearch"), "{}");
    EXPECT_EQ(at(again, "generationConfig.speechConfig"), R"({"voice":"v"})");
    EXPECT_EQ(at(again, "generationConfig.thinkingConfig"), R"({"more":1})");
    EXPECT_EQ(at(again, "toolConfig.retrievalConfig"), R"({"l":1})");
    EXPECT_EQ(at(again, "toolConfig.functionCallingConfig.mode"), R"("VALIDATED")");
    EXPECT_EQ(at(again, "toolConfig.functionCallingConfig.allowedFunctionNames"), R"(["f","g"])");
}

// ---- canon to a request for Google

TEST(GeminiRequest, TurnsOfAnotherDialectAlternate) {
    auto request = foreign({said(canon::Role::kSystem, 0, canon::Text{"be brief"}),
        said(canon::Role::kUser, 1, canon::Text{"a"}),
        said(canon::Role::kAssistant, 2, canon::Text{""}),
        said(canon::Role::kAssistant, 2, canon::ToolCall{"c1", "f", R"({"x":1})"}),
        said(canon::Role::kAssistant, 2, canon::ToolCall{"c2", "g", "{}"}),
        said(canon::Role::kTool, 3, result_of("c2", "two")),
        said(canon::Role::kTool, 4, result_of("c1", R"({"n":1})")),
        said(canon::Role::kUser, 5, canon::Text{"b"})});
    const std::string body = encoded(request, "gemini-2.5-flash").body;
    EXPECT_EQ(at(body, "systemInstruction"), R"({"parts":[{"text":"be brief"}]})");
    EXPECT_EQ(at(body, "contents.1"),
        R"({"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{"x":1}}},)"
        R"({"functionCall":{"id":"c2","name":"g","args":{}}}]})");
    // All results of a turn stand in one content, in the order of their calls.
    EXPECT_EQ(at(body, "contents.2"),
        R"({"role":"user","parts":[)"
        R"({"functionResponse":{"id":"c1","name":"f","response":{"n":1}}},)"
        R"({"functionResponse":{"id":"c2","name":"g","response":{"output":"two"}}},)"
        R"({"text":"b"}]})");
    EXPECT_EQ(at(body, "contents.3"), "");
    // The first version of Vertex knows no ids.
    EXPECT_EQ(
        encoded(request, "gemini-2.5-flash", vertex()).body.find("\"id\""), std::string::npos);
}

TEST(GeminiRequest, CallsMadeElsewhereSaySoToModelsThatWantSignatures) {
    auto request = foreign({said(canon::Role::kUser, 0, canon::Text{"a"}),
        said(canon::Role::kAssistant, 1, canon::ToolCall{"c1", "f", "{}"}),
        said(canon::Role::kAssistant, 1, canon::ToolCall{"c2", "f", "{}"}),
        said(canon::Role::kTool, 2, result_of("c1", "1")),
        said(canon::Role::kTool, 3, result_of("c2", "2"))});
    const std::string body = encoded(request, "gemini-3-pro-preview").body;
    EXPECT_EQ(
        at(body, "contents.1.parts.0.thoughtSignature"), R"("skip_thought_signature_validator")");
    EXPECT_EQ(at(body, "contents.1.parts.1.thoughtSignature"), "");
    EXPECT_EQ(
        at(encoded(request, "gemini-2.5-pro").body, "contents.1.parts.0.thoughtSignature"), "");
    // Google's own goes back, another maker's does not.
    request.items[1].signature = canon::Signature{"gemini", "own"};
    EXPECT_EQ(
        at(encoded(request, "gemini-3-pro-preview").body, "contents.1.parts.0.thoughtSignature"),
        R"("own")");
    request.items[1].signature = canon::Signature{"anthropic-messages", "theirs"};
    const EncodedRequest theirs = encoded(request, "gemini-3-pro-preview");
    EXPECT_EQ(theirs.body.find("theirs"), std::string::npos);
    EXPECT_THAT(theirs.dropped, ElementsAre("messages[1].signature"));
}

// Clients of Google are shown them with a seal of nobody's, and hand it back.
TEST(GeminiRequest, CallsMadeElsewhereAreKnownInGooglesOwnHistories) {
    canon::PartStarted call;
    call.kind = canon::PartKind::kToolCall;
    call.name = "f";
    const auto writer = gemini().reply_encoder(ReplyForm::kWhole, {});
    std::string reply;
    for (const canon::Event& event :
        std::vector<canon::Event>{canon::Started{}, call, canon::PartDelta{0, 0, "{}"},
            canon::PartEnded{0, 0}, canon::Finished{}, canon::Ended{}})
        writer->add(event, reply);
    const auto request = decoded(fmt::format(
        R"({{"contents":[{{"role":"user","parts":[{{"text":"a"}}]}},{{"role":"model","parts":{}}}]}})",
        at(reply, "candidates.0.content.parts")));
    ASSERT_EQ(request.items.size(), 2U);
    EXPECT_FALSE(request.items[1].signature);
    EXPECT_EQ(
        at(encoded(request, "gemini-3-pro-preview").body, "contents.1.parts.0.thoughtSignature"),
        R"("skip_thought_signature_validator")");
    EXPECT_EQ(
        at(encoded(request, "gemini-2.5-pro").body, "contents.1.parts.0.thoughtSignature"), "");
}

TEST(GeminiRequest, ToolsGoAsJsonSchema) {
    auto request = foreign();
    canon::Tool tool;
    tool.name = "f";
    tool.description = "d";
    tool.parameters = R"({"type":"object","additionalProperties":false})";
    request.tools = {tool};
    request.tool_choice = ToolChoice{ToolChoice::Mode::kNamed, "f"};
    request.format = canon::ResponseFormat{};
    request.format->kind = canon::ResponseFormat::Kind::kJsonSchema;
    request.format->schema = R"({"type":"object"})";
    const std::string body = encoded(request, "gemini-2.5-flash").body;
    EXPECT_EQ(at(body, "tools"),
        R"([{"functionDeclarations":[{"name":"f","description":"d",)"
        R"("parametersJsonSchema":{"type":"object","additionalProperties":false}}]}])");
    EXPECT_EQ(at(body, "toolConfig.functionCallingConfig"),
        R"({"mode":"ANY","allowedFunctionNames":["f"]})");
    EXPECT_EQ(at(body, "generationConfig"),
        R"({"responseMimeType":"application/json","responseJsonSchema":{"type":"object"}})");
}

TEST(GeminiRequest, ASetOfAllowedToolsIsTold) {
    auto request = foreign();
    for (const char* name : {"f", "g", "h"}) {
        canon::Tool tool;
        tool.name = name;
        request.tools.push_back(tool);
    }
    request.tool_choice = ToolChoice{ToolChoice::Mode::kRequired, "", {"f", "g"}};
    EXPECT_EQ(at(encoded(request, "gemini-3-flash").body, "toolConfig.functionCallingConfig"),
        R"({"mode":"ANY","allowedFunctionNames":["f","g"]})");
    // With a free choice there is no such set: others are not offered.
    request.tool_choice->mode = ToolChoice::Mode::kAuto;
    EXPECT_EQ(at(encoded(request, "gemini-3-flash").body, "tools.0.functionDeclarations"),
        R"([{"name":"f"},{"name":"g"}])");
}

TEST(GeminiRequest, EffortBecomesWhatTheModelKnows) {
    struct Case {
        const char* model;
        const char* effort;
        const char* config;
        bool is_named;
    };
    for (const Case& c : {Case{"gemini-2.5-flash", "low", R"({"thinkingBudget":1024})", false},
             Case{"gemini-2.5-flash", "high", R"({"thinkingBudget":24576})", false},
             Case{"gemini-2.5-flash", "none", R"({"thinkingBudget":0})", false},
             Case{"gemini-2.5-pro", "none", R"({"thinkingBudget":128})", true},
             Case{"gemini-2.5-pro", "max", R"({"thinkingBudget":32768})", false},
             Case{"gemini-3-flash-preview", "minimal", R"({"thinkingLevel":"MINIMAL"})", false},
             Case{"gemini-3-pro-preview", "minimal", R"({"thinkingLevel":"LOW"})", true},
             Case{"gemini-3-pro-preview", "medium", R"({"thinkingLevel":"HIGH"})", true},
             Case{"gemini-3.1-pro-preview", "medium", R"({"thinkingLevel":"MEDIUM"})", false},
             Case{"gemini-flash-latest", "xhigh", R"({"thinkingLevel":"HIGH"})", true},
             Case{"gemini-2.0-flash", "high", "", true}}) {
        auto request = foreign();
        request.reasoning = canon::Reasoning{c.effort};
        const EncodedRequest out = encoded(request, c.model);
        EXPECT_EQ(at(out.body, "generationConfig.thinkingConfig"), c.config)
            << c.model << " " << c.effort;
        EXPECT_EQ(!out.dropped.empty(), c.is_named) << c.model << " " << c.effort;
    }
}

TEST(GeminiRequest, ABudgetIsToldAndItsThoughtsAreShown) {
    auto request = foreign();
    request.reasoning = canon::Reasoning{"", 5000};
    for (const char* model : {"gemini-2.5-flash", "gemini-3-pro-preview"})
        EXPECT_EQ(at(encoded(request, model).body, "generationConfig.thinkingConfig"),
            R"({"thinkingBudget":5000,"includeThoughts":true})");
    request.reasoning->budget_tokens = 60000;
    const EncodedRequest out = encoded(request, "gemini-2.5-flash");
    EXPECT_EQ(at(out.body, "generationConfig.thinkingConfig.thinkingBudget"), "24576");
    EXPECT_THAT(out.dropped, ElementsAre("reasoning_effort"));
}

TEST(GeminiRequest, MediaGoInlineOrByAddress) {
    canon::Media image;
    image.data = "iVBORw0KGgo=";
    canon::Media url;
    url.source = canon::Media::Source::kUrl;
    url.data = "https://a.test/b.webp?x=1";
    canon::Media film;
    film.kind = canon::Media::Kind::kVideo;
    film.source = canon::Media::Source::kStorage;
    film.data = "gs://b/f.mp4";
    canon::Media words;
    words.kind = canon::Media::Kind::kDocument;
    words.source = canon::Media::Source::kText;
    words.data = "abc";
    auto request = foreign({said(canon::Role::kUser, 0, image), said(canon::Role::kUser, 0, url),
        said(canon::Role::kUser, 0, film), said(canon::Role::kUser, 0, words)});
    EXPECT_EQ(at(encoded(request, "gemini-2.5-flash").body, "contents.0.parts"),
        R"([{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}},)"
        R"({"fileData":{"mimeType":"image/webp","fileUri":"https://a.test/b.webp?x=1"}},)"
        R"({"fileData":{"mimeType":"video/mp4","fileUri":"gs://b/f.mp4"}},)"
        R"({"inlineData":{"mimeType":"text/plain","data":"YWJj"}}])");
    canon::Media stored;
    stored.source = canon::Media::Source::kFileId;
    stored.data = "file-1";
    EXPECT_EQ(refused(foreign({said(canon::Role::kUser, 0, stored)}), "gemini-2.5-flash"),
        "messages[0].content");
}

TEST(GeminiRequest, ImagesOfResultsStandWhereTheModelTakesThem) {
    canon::ToolResult result = result_of("c", "see");
    canon::Media image;
    image.data = "iVBORw0KGgo=";
    result.content.push_back(said(canon::Role::kTool, 0, image));
    const auto request = foreign({said(canon::Role::kUser, 0, canon::Text{"a"}),
        said(canon::Role::kAssistant, 1, canon::ToolCall{"c", "f", "{}"}),
        said(canon::Role::kTool, 2, result)});
    const std::string newer = encoded(request, "gemini-3-pro-preview").body;
    EXPECT_EQ(at(newer, "contents.2.parts.0.functionResponse.parts.0.inlineData.data"),
        R"("iVBORw0KGgo=")");
    const std::string older = encoded(request, "gemini-2.5-flash").body;
    EXPECT_EQ(at(older, "contents.2.parts.0.functionResponse.parts"), "");
    EXPECT_EQ(at(older, "contents.2.parts.1.inlineData.data"), R"("iVBORw0KGgo=")");
}

TEST(GeminiRequest, WhatGeminiHasNoPlaceForIsRefusedOrNamed) {
    const auto field_of = [](auto change) {
        auto request = foreign();
        change(request);
        return refused(request, "gemini-2.5-flash");
    };
    EXPECT_EQ(field_of([](auto& r) { r.logit_bias = R"({"1":2})"; }), "logit_bias");
    EXPECT_EQ(field_of([](auto& r) { r.choices = 9; }), "n");
    EXPECT_EQ(field_of([](auto& r) { r.stop = {"1", "2", "3", "4", "5", "6"}; }), "stop");
    EXPECT_EQ(field_of([](auto& r) {
        r.tools.resize(1);
        r.tools[0].name = "f";
        r.parallel_tool_calls = false;
    }),
        "parallel_tool_calls");
    EXPECT_EQ(field_of([](auto& r) {
        r.tools.resize(1);
        r.tools[0].name = "not legal";
    }),
        "tools[0].function.name");
    EXPECT_EQ(field_of([](auto& r) {
        r.items.push_back(said(canon::Role::kAssistant, 1, canon::ToolCall{"c", "f", "[1]"}));
    }),
        "messages[1].tool_calls.function.arguments");
    EXPECT_EQ(field_of([](auto& r) {
        r.items.push_back(said(canon::Role::kTool, 1, result_of("nobody", "x")));
    }),
        "messages[1].tool_call_id");
    auto request = foreign();
    request.user = "u";
    request.seed = std::int64_t{1} << 40;
    request.service_tier = "scale";
    request.items[0].cache = canon::CacheMark{};
    EXPECT_THAT(encoded(request, "gemini-2.5-flash").dropped,
        testing::UnorderedElementsAre("user", "seed", "service_tier", "messages[0].cache_control"));
}

TEST(GeminiRequest, SamplingKeepsItsSpelling) {
    auto request = foreign();
    request.temperature = "0.70";
    request.top_p = "1e-1";
    request.top_k = 4;
    request.seed = 7;
    request.choices = 2;
    request.frequency_penalty = "0.5";
    request.presence_penalty = "-0.5";
    request.logprobs = true;
    request.top_logprobs = 3;
    request.output_tokens_max = 9;
    request.stop = {"x"};
    EXPECT_EQ(at(encoded(request, "gemini-2.5-flash").body, "generationConfig"),
        R"({"temperature":0.70,"topP":1e-1,"topK":4,"maxOutputTokens":9,"stopSequences":["x"],)"
        R"("candidateCount":2,"seed":7,"frequencyPenalty":0.5,"presencePenalty":-0.5,)"
        R"("responseLogprobs":true,"logprobs":3})");
    EncodeTarget target;
    target.model_id = "gemini-2.5-flash";
    target.states_output_cap = true;
    target.output_tokens_default = 77;
    EXPECT_EQ(
        at(gemini().encode_request(foreign(), target)->body, "generationConfig.maxOutputTokens"),
        "77");
}

TEST(GeminiRequest, AnotherMakersSignatureCrossesSealedAndFindsItsThought) {
    const canon::Signature theirs{"anthropic-messages", "proof=="};
    const std::string sealed = signature_text(theirs, Sealed::Of::kThought);
    std::string unused;
    EXPECT_TRUE(base64_decode(sealed, unused));  // what Google's clients insist on
    const auto request = decoded(fmt::format(R"({{"contents":[{{"role":"user","parts":[
        {{"text":"a"}}]}},{{"role":"model","parts":[{{"text":"I ","thought":true}},
        {{"text":"think","thought":true}},{{"text":"","thought":true,"thoughtSignature":"{}"}},
        {{"text":"b","thoughtSignature":"QUJD"}}]}}]}})",
        sealed));
    ASSERT_EQ(request.items.size(), 3U);
    EXPECT_EQ(std::get<canon::Thought>(request.items[1].body).text, "I think");
    EXPECT_EQ(request.items[1].signature, theirs);
    EXPECT_EQ(request.items[2].signature, (canon::Signature{"gemini", "QUJD"}));
    // Python writes base64 in the alphabet for URLs.
    std::string url_safe = sealed;
    std::ranges::replace(url_safe, '+', '-');
    std::ranges::replace(url_safe, '/', '_');
    EXPECT_EQ(read_signature(url_safe).signature, theirs);
}

}  // namespace
}  // namespace entrepot::dialect::gemini
