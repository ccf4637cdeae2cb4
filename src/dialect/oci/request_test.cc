#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialect/oci/oci.h"
#include "json/value.h"

namespace entrepot::dialect::oci {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Item said(Role role, std::uint32_t turn, std::string_view text) {
    return {.role = role, .turn = turn, .body = canon::Text{std::string(text)}};
}

Item called(std::uint32_t turn, std::string_view id, std::string_view name,
    std::string_view arguments = "{}") {
    return {.role = Role::kAssistant,
        .turn = turn,
        .body = canon::ToolCall{std::string(id), std::string(name), std::string(arguments), false}};
}

Item answered(std::uint32_t turn, std::string_view id, std::string_view text) {
    canon::ToolResult result;
    result.call_id = id;
    result.content.push_back(said(Role::kTool, turn, text));
    return {.role = Role::kTool, .turn = turn, .body = std::move(result)};
}

canon::Request asked() {
    canon::Request request;
    request.origin = "openai-chat";
    request.items.push_back(said(Role::kUser, 1, "Hi"));
    return request;
}

canon::Tool weather() {
    canon::Tool out;
    out.name = "weather";
    out.description = "tells it";
    out.parameters = R"({"type":"object","properties":{"city":{"type":"string","description":)"
                     R"("where"},"days":{"type":"array","items":{"type":"integer"}}},)"
                     R"("required":["city"]})";
    return out;
}

Result<EncodedRequest> encode(const Dialect& dialect, const canon::Request& request,
    std::string_view model, OnLossy on_lossy = OnLossy::kMeaning) {
    EncodeTarget target;
    target.model_id = model;
    target.on_lossy = on_lossy;
    target.account = "ocid1.compartment.oc1..c";
    return dialect.encode_request(request, target);
}

/// The chat request of the body, or the field that is refused.
std::string chat_of(const Result<EncodedRequest>& encoded) {
    if (!encoded) return "refused: " + encoded.error().field;
    const auto body = json::Document::parse(encoded->body);
    return body ? std::string(body->root()["chatRequest"].raw()) : "no JSON";
}

std::string generic_of(const canon::Request& request, OnLossy on_lossy = OnLossy::kMeaning) {
    return chat_of(encode(generic(), request, "xai.grok-4", on_lossy));
}
std::string cohere_of(const canon::Request& request, OnLossy on_lossy = OnLossy::kMeaning) {
    return chat_of(encode(cohere(), request, "cohere.command-r-08-2024", on_lossy));
}
std::string v2_of(const canon::Request& request, OnLossy on_lossy = OnLossy::kMeaning) {
    return chat_of(encode(cohere_v2(), request, "cohere.command-a-reasoning", on_lossy));
}

TEST(OciEnvelope, NamesTheCompartmentAndTheModelOrADedicatedEndpoint) {
    EXPECT_EQ(encode(generic(), asked(), "xai.grok-4")->body,
        R"({"compartmentId":"ocid1.compartment.oc1..c","servingMode":{"servingType":"ON_DEMAND",)"
        R"("modelId":"xai.grok-4"},"chatRequest":{"apiFormat":"GENERIC","messages":[{"role":)"
        R"("USER","content":[{"type":"TEXT","text":"Hi"}]}]}})");
    EXPECT_THAT(encode(generic(), asked(), "ocid1.generativeaiendpoint.oc1.eu.a")->body,
        HasSubstr(R"("servingMode":{"servingType":"DEDICATED",)"
                  R"("endpointId":"ocid1.generativeaiendpoint.oc1.eu.a"})"));
    EXPECT_THAT(encode(generic(), asked(), "ocid1.generativeaimodel.oc1.eu.a")->body,
        HasSubstr(R"("modelId":"ocid1.generativeaimodel.oc1.eu.a")"));
}

TEST(OciEnvelope, AStreamAsksForItsUsageInEveryFormat) {
    canon::Request request = asked();
    request.is_stream = true;
    for (const std::string& body : {generic_of(request), cohere_of(request), v2_of(request)})
        EXPECT_THAT(body, HasSubstr(R"("isStream":true,"streamOptions":{"isIncludeUsage":true})"));
}

TEST(OciGeneric, CarriesAConversationWithCallsAndTheirResults) {
    canon::Request request = asked();
    request.items.insert(request.items.begin(), said(Role::kSystem, 0, "Be brief."));
    request.items.push_back(said(Role::kAssistant, 2, "One moment."));
    request.items.push_back(called(2, "c1", "weather", R"({"city":"Oslo"})"));
    request.items.push_back(answered(3, "c1", "rain"));
    request.tools.push_back(weather());
    request.tool_choice = canon::ToolChoice{canon::ToolChoice::Mode::kNamed, "weather"};
    request.parallel_tool_calls = false;
    const std::string body = generic_of(request, OnLossy::kRefuse);
    EXPECT_THAT(
        body, HasSubstr(R"({"role":"SYSTEM","content":[{"type":"TEXT","text":"Be brief."}]})"));
    EXPECT_THAT(body,
        HasSubstr(R"({"role":"ASSISTANT","content":[{"type":"TEXT","text":"One moment."}],)"
                  R"("toolCalls":[{"id":"c1","type":"FUNCTION","name":"weather","arguments":)"
                  R"("{\"city\":\"Oslo\"}"}]})"));
    EXPECT_THAT(body,
        HasSubstr(
            R"({"role":"TOOL","content":[{"type":"TEXT","text":"rain"}],"toolCallId":"c1"})"));
    EXPECT_THAT(body,
        HasSubstr(R"("tools":[{"type":"FUNCTION","name":"weather","description":"tells it",)"
                  R"("parameters":{"type":"object")"));
    EXPECT_THAT(body, HasSubstr(R"("toolChoice":{"type":"FUNCTION","name":"weather"})"));
    EXPECT_THAT(body, HasSubstr(R"("isParallelToolCalls":false)"));
}

TEST(OciGeneric, CarriesEveryKindOfMediaAsAUrl) {
    canon::Request request = asked();
    const auto add = [&](Media::Kind kind, std::string_view type) {
        Media media;
        media.kind = kind;
        media.media_type = type;
        media.data = "AAAA";
        if (kind == Media::Kind::kImage) media.detail = "high";
        request.items.push_back({.turn = 1, .body = media});
    };
    add(Media::Kind::kImage, "image/jpeg");
    add(Media::Kind::kAudio, "audio/mpeg");
    add(Media::Kind::kVideo, "video/mp4");
    add(Media::Kind::kDocument, "application/pdf");
    EXPECT_THAT(generic_of(request, OnLossy::kRefuse),
        HasSubstr(
            R"({"type":"IMAGE","imageUrl":{"url":"data:image/jpeg;base64,AAAA","detail":)"
            R"("HIGH"}},{"type":"AUDIO","audioUrl":{"url":"data:audio/mpeg;base64,AAAA"}},)"
            R"({"type":"VIDEO","videoUrl":{"url":"data:video/mp4;base64,AAAA"}},)"
            R"({"type":"DOCUMENT","documentUrl":{"url":"data:application/pdf;base64,AAAA"}})"));
    Media kept;
    kept.source = Media::Source::kFileId;
    kept.data = "file-1";
    canon::Request stored = asked();
    stored.items.push_back({.turn = 1, .body = kept});
    EXPECT_EQ(generic_of(stored), "refused: messages[1].content");
}

// Tool messages take texts alone.
TEST(OciGeneric, AnImageInAResultIsShownBehindTheResults) {
    canon::Request request = asked();
    request.items.push_back(called(2, "c1", "look"));
    request.items.push_back(called(2, "c2", "look"));
    Item result = answered(3, "c1", "seen");
    Media image;
    image.media_type = "image/png";
    image.data = "AAAA";
    std::get<canon::ToolResult>(result.body).content.push_back({.turn = 3, .body = image});
    request.items.push_back(std::move(result));
    request.items.push_back(answered(4, "c2", "dark"));
    EXPECT_THAT(generic_of(request),
        HasSubstr(R"({"role":"TOOL","content":[{"type":"TEXT","text":"dark"}],"toolCallId":"c2"},)"
                  R"({"role":"USER","content":[{"type":"IMAGE","imageUrl":{"url":)"
                  R"("data:image/png;base64,AAAA"}}]}])"));
}

TEST(OciGeneric, CarriesSamplingFormatsAndWordsInItsOwnSpelling) {
    canon::Request request = asked();
    request.output_tokens_max = 50;
    request.temperature = "0.70";
    request.top_p = "1";
    request.top_k = 5;
    request.seed = 7;
    request.choices = 2;
    request.stop = {"END"};
    request.logprobs = true;
    request.top_logprobs = 3;
    request.logit_bias = R"({"5":-100})";
    request.verbosity = "low";
    request.service_tier = "priority";
    request.metadata = R"({"a":"b"})";
    request.reasoning.emplace().effort = "minimal";
    canon::ResponseFormat& format = request.format.emplace();
    format.kind = canon::ResponseFormat::Kind::kJsonSchema;
    format.name = "out";
    format.schema = R"({"type":"object"})";
    format.is_strict = true;
    const std::string body = generic_of(request, OnLossy::kRefuse);
    for (const std::string_view part :
        {R"("maxTokens":50)", R"("temperature":0.70)", R"("topP":1)", R"("topK":5)", R"("seed":7)",
            R"("numGenerations":2)", R"("stop":["END"])", R"("logProbs":3)",
            R"("logitBias":{"5":-100})", R"("verbosity":"LOW")", R"("serviceTier":"PRIORITY")",
            R"("metadata":{"a":"b"})", R"("reasoningEffort":"MINIMAL")",
            R"("responseFormat":{"type":"JSON_SCHEMA","jsonSchema":{"name":"out","schema":)"
            R"({"type":"object"},"isStrict":true}})"})
        EXPECT_THAT(body, HasSubstr(std::string(part)));
    EXPECT_THAT(
        chat_of(encode(generic(), request, "openai.o5")), HasSubstr(R"("maxCompletionTokens":50)"));
}

TEST(OciGeneric, NamesWhatItHasNoPlaceForAndRefusesWhatChangesTheAnswer) {
    canon::Request request = asked();
    request.items[0].cache = canon::CacheMark{"1h"};
    request.user = "u";
    request.prompt_cache_key = "k";
    request.store = true;
    request.service_tier = "flex";
    request.reasoning.emplace().effort = "xhigh";
    request.reasoning->summary = "auto";
    canon::Thought thought{"hm"};
    request.items.push_back({.role = Role::kAssistant,
        .turn = 2,
        .body = thought,
        .signature = canon::Signature{"anthropic-messages", "s"}});
    request.items.push_back(said(Role::kUser, 3, "And?"));
    const auto encoded = encode(generic(), request, "xai.grok-4");
    ASSERT_TRUE(encoded) << encoded.error().message;
    EXPECT_THAT(encoded->dropped,
        ElementsAre("messages[1].cache_control", "messages[2].reasoning_content",
            "reasoning.summary", "reasoning_effort", "service_tier", "user", "prompt_cache_key",
            "store"));
    EXPECT_THAT(encoded->body, HasSubstr(R"("reasoningEffort":"HIGH")"));
    EXPECT_THAT(encoded->body, Not(HasSubstr("ASSISTANT")));
    EXPECT_EQ(generic_of(request, OnLossy::kRefuse), "refused: messages[1].cache_control");
    canon::Request searching = asked();
    searching.extras.push_back({"web_search_options", "{}"});
    EXPECT_EQ(generic_of(searching), "refused: web_search_options");
}

TEST(OciCohere, PutsHistoryAndPreambleBesideTheLastMessage) {
    canon::Request request;
    request.origin = "anthropic-messages";
    request.items = {said(Role::kSystem, 0, "Be brief."), said(Role::kUser, 1, "Hi"),
        said(Role::kAssistant, 2, "Hello."), said(Role::kUser, 3, "Who?")};
    request.output_tokens_max = 9;
    EXPECT_EQ(cohere_of(request, OnLossy::kRefuse),
        R"({"apiFormat":"COHERE","message":"Who?","chatHistory":[{"role":"USER","message":"Hi"},)"
        R"({"role":"CHATBOT","message":"Hello."}],"preambleOverride":"Be brief.","maxTokens":9})");
}

TEST(OciCohere, TakesToolsByTheirTypesAndResultsBesideTheirCalls) {
    canon::Request request = asked();
    request.items.push_back(called(2, "c1", "weather", R"({"city":"Oslo"})"));
    request.items.push_back(called(2, "c2", "weather", R"({"city":"Rome"})"));
    request.items.push_back(answered(3, "c1", R"({"sky":"grey"})"));
    request.items.push_back(answered(4, "c2", "sun"));
    request.tools.push_back(weather());
    const std::string body = cohere_of(request, OnLossy::kRefuse);
    EXPECT_THAT(body,
        HasSubstr(R"("message":"","chatHistory":[{"role":"USER","message":"Hi"},)"
                  R"({"role":"CHATBOT","message":"","toolCalls":[{"name":"weather",)"
                  R"("parameters":{"city":"Oslo"}},{"name":"weather","parameters":)"
                  R"({"city":"Rome"}}]}],"toolResults":[{"call":{"name":"weather",)"
                  R"("parameters":{"city":"Oslo"}},"outputs":[{"sky":"grey"}]},)"
                  R"({"call":{"name":"weather","parameters":{"city":"Rome"}},)"
                  R"("outputs":[{"output":"sun"}]}])"));
    EXPECT_THAT(body,
        HasSubstr(R"("tools":[{"name":"weather","description":"tells it","parameterDefinitions":)"
                  R"({"city":{"description":"where","type":"str","isRequired":true},)"
                  R"("days":{"type":"List[int]","isRequired":false}}}])"));
}

TEST(OciCohere, RefusesWhatItCannotSayByName) {
    canon::Request request = asked();
    request.tools.push_back(weather());
    request.tool_choice = canon::ToolChoice{canon::ToolChoice::Mode::kRequired, ""};
    EXPECT_EQ(cohere_of(request), "refused: tool_choice");
    request.tool_choice->mode = canon::ToolChoice::Mode::kNone;
    EXPECT_THAT(cohere_of(request), Not(HasSubstr("tools")));
    canon::Request seeing = asked();
    seeing.items.push_back({.turn = 1, .body = Media{}});
    EXPECT_EQ(cohere_of(seeing), "refused: messages[1].content");
    canon::Request ending = asked();
    ending.items.push_back(said(Role::kAssistant, 2, "So I say:"));
    EXPECT_EQ(cohere_of(ending), "refused: messages");
    canon::Request many = asked();
    many.choices = 2;
    EXPECT_EQ(cohere_of(many), "refused: n");
    canon::Request shaped = asked();
    shaped.tools.push_back(weather());
    shaped.tools[0].parameters =
        R"({"type":"object","properties":{"unit":{"type":"string","enum":["C","F"]}}})";
    EXPECT_THAT(encode(cohere(), shaped, "cohere.command-r")->dropped,
        ElementsAre("tools.weather.parameters.unit"));
}

TEST(OciCohereV2, CarriesAConversationWithImagesThoughtsAndCalls) {
    canon::Request request = asked();
    Media image;
    image.media_type = "image/png";
    image.data = "AAAA";
    request.items.push_back({.turn = 1, .body = image});
    request.items.push_back({.role = Role::kAssistant, .turn = 2, .body = canon::Thought{"hm"}});
    request.items.push_back(called(2, "c1", "weather", R"({"city":"Oslo"})"));
    request.items.push_back(answered(3, "c1", "rain"));
    request.tools.push_back(weather());
    request.tools[0].is_strict = true;
    request.tool_choice = canon::ToolChoice{canon::ToolChoice::Mode::kRequired, ""};
    request.reasoning.emplace().budget_tokens = 500;
    request.stop = {"END"};
    const std::string body = v2_of(request, OnLossy::kRefuse);
    EXPECT_THAT(body,
        HasSubstr(R"({"role":"USER","content":[{"type":"TEXT","text":"Hi"},{"type":"IMAGE_URL",)"
                  R"("imageUrl":{"url":"data:image/png;base64,AAAA"}}]},{"role":"ASSISTANT",)"
                  R"("content":[{"type":"THINKING","thinking":"hm"}],"toolCalls":[{"id":"c1",)"
                  R"("type":"FUNCTION","function":{"name":"weather","arguments":)"
                  R"("{\"city\":\"Oslo\"}"}}]},{"role":"TOOL","toolCallId":"c1","content":)"
                  R"([{"type":"TEXT","text":"rain"}]})"));
    EXPECT_THAT(body, HasSubstr(R"("isStrictToolsEnabled":true,"toolsChoice":"REQUIRED")"));
    EXPECT_THAT(body, HasSubstr(R"("stopSequences":["END"])"));
    EXPECT_THAT(body, HasSubstr(R"("thinking":{"type":"ENABLED","tokenBudget":500})"));
    request.frequency_penalty = "-1";
    EXPECT_EQ(v2_of(request, OnLossy::kName), "refused: frequency_penalty");
}

}  // namespace
}  // namespace entrepot::dialect::oci
